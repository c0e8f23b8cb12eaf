#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many documents, and documents that get in each other's way.

bats_require_minimum_version 1.5.0
load ../../fleet.bash
load ingest.bash

setup() {
  fleet_setup
  ingest_fleet tiny
  cd "$FLEET_DIR"
}

teardown() {
  fleet_stop
}

# wait_running ID: until the workflow has an open run; prints its run id.
wait_running() {
  until client workflow describe --id "$1" --output json 2>/dev/null |
    jq -er '.workflowExecutionInfo | select(.status == "WORKFLOW_EXECUTION_STATUS_RUNNING") | .execution.runId'; do
    kill -0 "$FLEET_PID"
  done
}

# starts_are COUNT: so many starts of runs have reached the engine, those of runs that were open too.
starts_are() {
  curl --fail --silent "http://$(client fleet status --output json | jq -r '.nodes[0].http')/metrics" |
    grep -qxF "argosy_engine_requests_total{method=\"StartWorkflowExecution\"} $1"
}

# found COLLECTION: the documents in it.
found() {
  client search "$1" "words" -k 1000 --output json | jq -c '[.[].document_id] | unique'
}

@test "two thousand files are two thousand documents" {
  mkdir many
  seq 2000 | awk '{ file = sprintf("many/%05d.txt", $1); print "Words of file " $1 > file; close(file) }'
  run -0 --separate-stderr client ingest many --collection notes --parallel 64 --output json
  jq -e '.failures == [] and (.documents | length) == 2000 and all(.documents[]; .chunks == 1)' <<<"$output"
  run -0 --separate-stderr client search notes "Words of file 777" -k 1 --output json
  jq -e '.[0].score > 0.9999' <<<"$output"
}

@test "the command again, while the run is open, waits for it" {
  echo "Some words." >a.txt
  client fleet drain gpu
  client ingest a.txt --collection notes >first.txt 2>&1 3>&- &
  local first=$! run_id
  run_id=$(wait_running ingest-a.txt)
  kill -KILL "$first"
  client ingest a.txt --collection notes --output json >second.json 2>error.txt 3>&- &
  local second=$!
  await starts_are 2
  client fleet undrain gpu
  wait "$second" || { cat error.txt; false; }
  jq -e '.failures == [] and .documents[0].embedded == 1' second.json
  [ "$(client workflow describe --id ingest-a.txt --output json | jq -r .workflowExecutionInfo.execution.runId)" = "$run_id" ]
}

@test "the same document for two collections at once is in both, as each was asked for" {
  echo "Some words." >a.txt
  client fleet drain gpu
  client ingest a.txt --collection first --metadata '{"n": 1}' >first.txt 2>&1 3>&- &
  local first=$!
  wait_running ingest-a.txt
  client ingest a.txt --collection second --metadata '{"n": 2}' >second.txt 2>&1 3>&- &
  local second=$!
  await starts_are 2
  client fleet undrain gpu
  wait "$first" || { cat first.txt; false; }
  wait "$second" || { cat second.txt; false; }
  client search first words --filter '{"n": 1}' --output json | jq -e 'length == 1'
  client search second words --filter '{"n": 2}' --output json | jq -e 'length == 1'
}

@test "a run that is in the way and fails is not taken for ours" {
  echo "Some words." >a.txt
  client fleet drain cpu
  client workflow start --type DocumentIngestWorkflow --task-queue cpu-queue --id ingest-a.txt --input "$(jq -n '
    {document_id: "a.txt", collection: "notes", source: {artifact: ("sha256:" + "0" * 64), size: 1}, model: "tiny"}')"
  client ingest a.txt --collection notes --output json >result.json 2>error.txt 3>&- &
  local ingest=$!
  await starts_are 2
  client fleet undrain cpu
  wait "$ingest" || { cat error.txt result.json; false; }
  jq -e '.failures == [] and .documents[0].chunks == 1' result.json
  [ "$(client workflow list --query 'WorkflowId = "ingest-a.txt"' --output json | jq -c '[.. | .status? // empty] | sort')" = \
    '["WORKFLOW_EXECUTION_STATUS_COMPLETED","WORKFLOW_EXECUTION_STATUS_FAILED"]' ]
}

@test "files of the same path in different places: one replaces the other, unless a prefix tells them apart" {
  mkdir one two
  echo "Words of one." >one/a.txt
  echo "Words of two." >two/a.txt
  (cd one && client ingest a.txt --collection notes --id-prefix one/)
  (cd two && client ingest a.txt --collection notes --id-prefix two/)
  [ "$(found notes)" = '["one/a.txt","two/a.txt"]' ]
  (cd two && client ingest a.txt --collection notes --id-prefix two/ --remove)
  [ "$(found notes)" = '["one/a.txt"]' ]
  (cd one && client ingest a.txt --collection same)
  (cd two && client ingest a.txt --collection same)
  client search same words --output json | jq -e 'length == 1 and .[0].text == "Words of two."'
}

@test "progress: a bar on a terminal, nothing with --output json" {
  paragraphs 1 400 >book.txt
  script --quiet --return --command "argosy ingest book.txt --collection notes --data-dir '$FLEET_DIR/data'" terminal.txt 3>&-
  grep -q 'ingest \[.*%' terminal.txt
  run -0 --separate-stderr client ingest book.txt --collection notes --output json
  [ -z "$stderr" ]
}

@test "by the names of the factory" {
  echo "Some words." >a.txt
  client ingest a.txt --collection notes
  run -0 --separate-stderr client run search --input '{"collection": "notes", "question": "words", "k": 1}' --output json
  jq -e '.. | objects | select(.document_id? == "a.txt")' <<<"$output"
  # The source of the run before, under a name of its own.
  local source
  source=$(history ingest-a.txt | jq -c '.events[0].workflowExecutionStartedEventAttributes.input.payloads[0].data | @base64d | fromjson | .source')
  client run ingest --input "{\"document_id\": \"b\", \"collection\": \"notes\", \"source\": $source}"
  [ "$(found notes)" = '["a.txt","b"]' ]
  run -65 client run ingest --input '{"document_id": "b"}'
}
