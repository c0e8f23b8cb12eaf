#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# argosy embed while everything that has a part in it is killed, one after the other: the file is that
# of an undisturbed run, byte for byte, and nothing that was done is done again.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
  probe_gpu_setup
  fleet_config <<YAML
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue}, {name: storage-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: 2
    batch_tokens: 512
    queues: [{name: gpu-queue}]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
  cd "$FLEET_DIR"
}

teardown() {
  fleet_stop
}

# texts COUNT: that many lines of JSONL; each text is longer than the model reads.
texts() {
  awk -v count="$1" 'BEGIN {
    for (k = 0; k < 60; k++) words = words " w" k * 7 % 13 "x"
    for (i = 0; i < count; i++) printf "{\"text\": \"text %d%s\"}\n", i, words
  }'
}

# parts: how many parts of a job were embedded, as the GPU workers of this fleet tell.
parts() {
  grep -c "event=artifact.embedded workflow_id=\"$1\"" "$FLEET_LOG" || true
}

# part_wait JOB: returns when one more part of the job is done; fails after 60 s.
part_wait() {
  local before
  before=$(parts "$1")
  grep -m $((before + 1)) -c "event=artifact.embedded workflow_id=\"$1\"" \
    < <(timeout 60 tail -n +1 -F "$FLEET_LOG" 2>/dev/null 3>&-) | grep -qx $((before + 1))
}

# embedded JOB STEP: whether a GPU worker has told that it did that step, which it does before the
# engine hears of it.
embedded() {
  grep -q "event=artifact.embedded workflow_id=\"$1\" activity_id=$2 " "$FLEET_LOG"
}

# done_before JOB NAME: writes down which steps the engine has as completed, and where the log is, once
# it tells of them, too.
done_before() {
  history "$1" | jq -r '
    [.events[] | select(.activityTaskCompletedEventAttributes != null)
      | .activityTaskCompletedEventAttributes.scheduledEventId] as $done
    | .events[] | select(.eventId as $id | $done | index($id))
    | .activityTaskScheduledEventAttributes
    | select(.activityType.name == "embed_artifact") | .activityId' >"$FLEET_DIR/done.$2"
  local id
  while read -r id; do await embedded "$1" "$id"; done <"$FLEET_DIR/done.$2"
  wc -l <"$FLEET_LOG" >"$FLEET_DIR/lines.$2"
}

# not_done_again JOB NAME: none of them was embedded again in this fleet since then.
not_done_again() {
  local id
  while read -r id; do
    run ! grep -E "event=artifact.embedded workflow_id=\"$1\" activity_id=$id " \
      <(tail -n +$(($(cat "$FLEET_DIR/lines.$2") + 1)) "$FLEET_LOG")
  done <"$FLEET_DIR/done.$2"
}

# kill_after_a_part JOB NAME PID...: lets a part of the job pass first.
kill_after_a_part() {
  local job=$1 name=$2
  shift 2
  part_wait "$job"
  done_before "$job" "$name"
  kill -KILL "$@"
}

child() {
  pgrep --parent "$FLEET_PID" --full "$1"
}

@test "every process killed in the middle of a job" {
  texts 100000 >texts.jsonl
  client embed --input texts.jsonl --output expected.npy --id undisturbed

  client embed --input texts.jsonl --output vectors.npy --id killed >told 2>shown 3>&- &
  local command=$!
  kill_after_a_part killed gpu "$(workers gpu | head -n 1)"
  kill_after_a_part killed cpu "$(workers cpu)"
  kill_after_a_part killed storage "$(child argosy-storage)"
  kill_after_a_part killed engine "$(child argosy-engine)"
  kill_after_a_part killed command "$command"
  local status=0
  wait "$command" || status=$?
  [ "$status" = 137 ] # killed
  [ ! -e vectors.npy ]
  client embed --input texts.jsonl --output vectors.npy --id killed >told 2>shown 3>&- &
  command=$!
  # shellcheck disable=SC2046
  kill_after_a_part killed supervisor "$FLEET_PID" $(pgrep --parent "$FLEET_PID")
  wait "$FLEET_PID" || true
  for name in gpu cpu storage engine command; do not_done_again killed "$name"; done
  : >"$FLEET_LOG"
  echo 0 >"$FLEET_DIR/lines.supervisor"
  fleet_start
  wait "$command"

  cmp vectors.npy expected.npy
  not_done_again killed supervisor
  for name in gpu cpu storage engine command supervisor; do
    [ -s "$FLEET_DIR/done.$name" ]
  done
  grep -F "vectors.npy: 100000 vectors of 64 numbers, by tiny" told
  grep -F "100000 texts are longer than the model reads" told
  # The reading step ran once, and nothing was left over.
  [ "$(history killed | jq '[.events[] | select(.activityTaskScheduledEventAttributes.activityType.name
    == "plan_texts")] | length')" = 1 ]
  run ! compgen -G "vectors.npy.*"
}

@test "a part that is killed goes on at its last heartbeat" {
  # 600 batches in one part: slow ones take a minute, and a heartbeat tells of it after 13 seconds at
  # most.
  local count=4800
  texts "$count" >texts.jsonl
  client embed --input texts.jsonl --output expected.npy --id undisturbed

  local input pending victim
  input=$(history undisturbed | jq -r '.events[0].workflowExecutionStartedEventAttributes.input
    .payloads[0].data' | base64 -d | jq -c --argjson count "$count" '. + {part_texts: $count}')
  work_slow
  client workflow start --type EmbedFileWorkflow --id killed --input "$input"
  until pending=$(client workflow describe --id killed --output json) &&
    victim=$(jq -er '.pendingActivities[0] | select(.activityType.name == "embed_artifact" and
      (.heartbeatDetails.payloads | length) > 0) | .lastWorkerIdentity' <<<"$pending"); do
    jq -e '.workflowExecutionInfo.status == "WORKFLOW_EXECUTION_STATUS_RUNNING"' <<<"$pending"
  done
  kill -KILL "${victim%%@*}"
  work_fast
  client embed --input texts.jsonl --output vectors.npy --id killed
  cmp vectors.npy expected.npy
  grep -E "event=artifact.embedded workflow_id=\"killed\" .* loss=1 texts=$count resumed=[1-9]" \
    "$FLEET_LOG"
}
