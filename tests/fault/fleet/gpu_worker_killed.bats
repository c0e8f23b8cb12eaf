#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# GPU workers that die in the middle of a batch: killed before there is a checkpoint, and poisoned by
# one task of the batch. What shared the batch completes with the vectors of an undisturbed run.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

NEIGHBOURS=8
# The text of 38 tokens of the tiny model, which no other text of these tests has.
POISON="poison poison poison poison poison poison"

setup() {
  fleet_setup
  probe_setup
  probe_gpu_setup
  : >"$PROBE_DIR/batches"
}

teardown() {
  fleet_stop
}

# start_gpu_fleet PROCESSES
start_gpu_fleet() {
  fleet_config <<YAML
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: $1
    queues: [{name: gpu-queue}]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}, {name: PROBE_POISON_TOKENS, value: "38"}]
YAML
  fleet_start
}

# embed_start ID TEXT
embed_start() {
  jq -n --arg text "$2" '[$text]' >"$FLEET_DIR/$1.json"
  client workflow start --type BatchEmbedWorkflow --input-file "$FLEET_DIR/$1.json" --id "$1"
}

# vector ID: the result of a run, which has to complete.
vector() {
  # Not by run: what fails inside $(...) ends the test by the pipe's status alone.
  client workflow result --id "$1" --output json | jq -ce .result
}

# pending ID: its embedding, as the engine sees it.
pending() {
  client workflow describe --id "$1" --output json |
    jq -c '.pendingActivities[]? | select(.activityType.name == "compute_embeddings")'
}

# held_wait ID: returns when a worker has the run's embedding.
held_wait() {
  await pending_has "$1" 'select(.activityType.name == "compute_embeddings"
    and .state == "PENDING_ACTIVITY_STATE_STARTED")' >/dev/null
}

# batch_held: holds the next batch, starts a run for it and returns when it waits at the gate.
batch_held() {
  : >"$PROBE_DIR/hold"
  embed_start held "the batch that waits"
  await test ! -e "$PROBE_DIR/hold"
}

# jobs_wait COUNT: returns when so many texts wait for a batch or had one.
jobs_wait() {
  await eval '[ "$(wc -l <"$PROBE_DIR/jobs")" -ge '"$1"' ]'
}

# attempt ID: which attempt of its embedding completed.
attempt() {
  history "$1" | jq '[.events[].activityTaskStartedEventAttributes | select(. != null)] |
    last | .attempt // 1'
}

@test "a GPU worker killed in a batch, without a checkpoint: from the start, on the other one" {
  start_gpu_fleet 2
  embed_start undisturbed "the batch that waits"
  local expected victim
  expected=$(vector undisturbed)
  batch_held
  held_wait held
  [ "$(pending held | jq '.heartbeatDetails.payloads | length')" = 0 ]
  victim=$(pending held | jq -r .lastWorkerIdentity)
  kill -KILL "${victim%%@*}"
  [ "$(vector held)" = "$expected" ]
  [ "$(attempt held)" = 1 ] # a loss is no attempt
  [ "$(identities held compute_embeddings)" != "$victim" ]
}

@test "a poisoned task in a batch: its neighbours complete, it runs alone, the fleet lives on" {
  start_gpu_fleet 1
  local number expected=()
  for ((number = 0; number < NEIGHBOURS; number++)); do
    embed_start "undisturbed-$number" "neighbour $number"
  done
  for ((number = 0; number < NEIGHBOURS; number++)); do
    expected[number]=$(vector "undisturbed-$number")
  done

  # All of them come while a batch is under way, so that they share the next one.
  batch_held
  for ((number = 0; number < NEIGHBOURS; number++)); do
    embed_start "neighbour-$number" "neighbour $number"
    [ "$number" != 2 ] || embed_start poison "$POISON"
  done
  jobs_wait $((NEIGHBOURS + 1 + NEIGHBOURS + 1))
  gate_open

  for ((number = 0; number < NEIGHBOURS; number++)); do
    [ "$(vector "neighbour-$number")" = "${expected[number]}" ]
    [ "$(attempt "neighbour-$number")" = 1 ]
  done
  run -1 --separate-stderr client workflow result --id poison --output json
  [[ "$output" == *WorkerLost* ]]
  # The batch it met its neighbours in, then alone: three losses end its first attempt, the next one
  # ends the second.
  [ "$(grep -c "poisoned=1" "$PROBE_DIR/batches")" = 4 ]
  [ "$(grep "poisoned=1" "$PROBE_DIR/batches" | grep -c "texts=$((NEIGHBOURS + 1)) ")" = 1 ]
  [ "$(grep "poisoned=1" "$PROBE_DIR/batches" | grep -c "texts=1 ")" = 3 ]

  embed_start after "the fleet lives on"
  vector after
}
