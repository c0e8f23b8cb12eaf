#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every worker, the storage process and the engine killed in the middle of an ingest: the document is
# whole afterwards, is what an undisturbed ingest gives, and no batch that was completed is embedded
# again.

bats_require_minimum_version 1.5.0
load ../../fleet.bash
load ../../integration/ingest/ingest.bash

setup() {
  fleet_setup
  ingest_fleet tiny 2
  cd "$FLEET_DIR"
  paragraphs 1 2500 >book.txt
}

teardown() {
  fleet_stop
}

# completed ID: how many batches the history says are embedded.
completed() {
  history "$1" | jq '[.events[] | select(.activityTaskScheduledEventAttributes.activityType.name == "embed_artifact") | .eventId] as $batches |
    [.events[].activityTaskCompletedEventAttributes | select(. != null) | select(.scheduledEventId as $id | $batches | index($id))] | length'
}

# children PROGRAM: its process ids in the fleet.
children() {
  pgrep --parent "$FLEET_PID" --full "$1"
}

# wait_scheduled ID TYPE: until the history says that an activity of that type is scheduled.
wait_scheduled() {
  until history "$1" | jq -e --arg type "$2" 'any(.events[]; .activityTaskScheduledEventAttributes.activityType.name == $type)' >scheduled.txt; do
    kill -0 "$FLEET_PID"
  done
}

# wait_completed ID N: until so many batches are. The engine may be away.
wait_completed() {
  until [ "$(completed "$1")" -ge "$2" ]; do
    kill -0 "$FLEET_PID"
  done
}

# chunks COLLECTION: what is in it, as a search for one text sees it, in the document's order.
chunks() {
  client search "$1" "Paragraph number 7" -k 1000 --output json |
    jq -c 'sort_by(.ordinal)[] | [.ordinal, .text, .metadata.offset, (.score * 1e5 | round)]'
}

@test "workers, storage and the engine killed while a document is ingested" {
  client ingest book.txt --collection undisturbed
  local whole
  whole=$(embedded_count)

  client ingest book.txt --collection disturbed --output json >result.json 2>error.txt 3>&- &
  local ingest=$!
  until client workflow describe --id ingest-book.txt --output json |
    jq -e '.workflowExecutionInfo.status == "WORKFLOW_EXECUTION_STATUS_RUNNING"' >running.txt; do
    kill -0 "$ingest"
  done
  wait_completed ingest-book.txt 2
  kill -KILL $(workers gpu) $(children argosy-storage)
  wait_completed ingest-book.txt 4
  kill -KILL $(workers cpu) $(workers gpu)
  wait_completed ingest-book.txt 6
  kill -KILL $(children argosy-engine)
  wait_scheduled ingest-book.txt index_chunks
  kill -KILL $(children argosy-storage) $(workers cpu)
  wait "$ingest" || { cat error.txt result.json; false; }

  jq -e '.failures == [] and .documents[0].embedded == .documents[0].chunks' result.json
  chunks undisturbed >expected.txt
  chunks disturbed >found.txt
  [ "$(wc -l <found.txt)" = 1000 ]
  cmp expected.txt found.txt

  # Each batch has one completion; what was embedded again is at most what was in flight at
  # each kill.
  history ingest-book.txt | jq -e '[.events[].activityTaskCompletedEventAttributes | select(. != null) |
    .scheduledEventId] | length == (unique | length)'
  local again=$(($(embedded_count) - 2 * whole))
  echo "$whole texts, $again embedded again"
  [ "$again" -ge 0 ]
  [ "$again" -le $((3 * 8 * 256)) ]
}
