#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A job whose processes are killed goes on at its checkpoint and ends in the very bits of a job that
# nothing disturbed: its worker twice, all workers at each step, any process at a random moment.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
  probe_gpu_setup
  fleet_config <<YAML
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: 2
    queues: [{name: gpu-queue}]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
}

teardown() {
  fleet_stop
}

# finetune JOB_ID: a job whose training takes a second or two, half a minute where work is slow; its result
# goes to $FLEET_DIR/JOB_ID.json.
finetune() {
  client finetune --base tiny --name same --job-id "$1" --epochs 15000 --patience 0 \
    --schedule constant --dataset "$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl" \
    --output json >"$FLEET_DIR/$1.json" 2>"$FLEET_DIR/$1.err" 3>&-
}

# train JOB_ID: starts a job in the background.
train() {
  finetune "$1" &
  TRAINING=$!
}

# trained JOB_ID: waits for it; HEAD is the hash of what was registered.
trained() {
  local status=0
  wait "$TRAINING" || status=$?
  # The command gives up when the engine is away too long; the same command waits for the job again.
  while [ "$status" = 69 ]; do
    status=0
    finetune "$1" || status=$?
  done
  [ "$status" = 0 ] || { cat "$FLEET_DIR/$1".*; return 1; }
  # Storage may be on its way up again.
  local registered
  until registered=$(client model list --output json | jq -e .registered); do :; done
  HEAD=$(jq -er --argjson version "$(jq .result.version "$FLEET_DIR/$1.json")" '
    [.[] | select(.name == "same" and .version == $version)]
    | if length == 1 then .[0].files[] | select(.name == "head.safetensors") | .artifact else null end' \
    <<<"$registered")
}

# checkpoint JOB_ID STEP: waits until the engine knows of a checkpoint behind that step; sets VICTIM
# to the process that trains and STEP to where it was.
checkpoint() {
  local pending
  until pending=$(client workflow describe --id "finetune-$1" --output json 2>/dev/null |
    jq -er --argjson after "$2" '.pendingActivities[0]
      | select(.activityType.name == "train_classifier" and .state == "PENDING_ACTIVITY_STATE_STARTED")
      | (.heartbeatDetails.payloads[0].data | @base64d | fromjson) as $details
      | select($details.checkpoint != null and $details.step > $after)
      | "\(.lastWorkerIdentity | split("@")[0]) \($details.step)"'); do
    kill -0 "$TRAINING" || return 1
  done
  read -r VICTIM STEP <<<"$pending"
}

@test "a worker killed twice, and storage killed: the same bits" {
  train undisturbed
  trained undisturbed
  local expected=$HEAD

  work_slow
  train twice
  checkpoint twice 0
  kill -KILL "$VICTIM"
  local first=$VICTIM
  checkpoint twice "$STEP"
  [ "$VICTIM" != "$first" ]
  kill -KILL "$VICTIM"
  work_fast
  trained twice
  [ "$HEAD" = "$expected" ]
  [ "$(grep -c "event=activity.resumed.*type=train_classifier.*finetune-twice.*step=[1-9]" "$FLEET_LOG")" = 2 ]
  run ! grep "event=checkpoint.refused" "$FLEET_LOG"

  work_slow
  train storage
  checkpoint storage 0
  strike argosy-storage
  work_fast
  trained storage
  [ "$HEAD" = "$expected" ]
}

@test "a worker killed at any moment of the job: the same bits" {
  train undisturbed
  trained undisturbed
  local expected=$HEAD at
  for at in validate_dataset embed_artifact train_classifier evaluate_classifier; do
    train "at-$at"
    # As soon as the step has begun, or is over: all workers of the GPU queue go at once.
    until history "finetune-at-$at" 2>/dev/null | grep "$at" >/dev/null; do kill -0 "$TRAINING" || break; done
    strike_workers gpu
    trained "at-$at"
    [ "$HEAD" = "$expected" ]
  done
}

# random_below N: from the seed that the test prints.
random_below() {
  echo $((RANDOM * 32768 + RANDOM)) | awk -v below="$1" '{ print $1 % below }'
}

# kill_random VICTIM: kills a process of that kind, or all of the node.
kill_random() {
  case $1 in
    gpu) strike "--group gpu --index $((RANDOM % 2))" ;;
    cpu) strike_workers cpu ;;
    engine | storage | link) strike "argosy-$1" ;;
    supervisor | node)
      local children
      children=$(pgrep --parent "$FLEET_PID")
      # shellcheck disable=SC2086
      if [ "$1" = node ]; then kill -KILL "$FLEET_PID" $children; else kill -KILL "$FLEET_PID"; fi
      wait "$FLEET_PID" || true
      for child in $children; do timeout 60 tail -f /dev/null --pid="$child" 3>&-; done
      fleet_start
      ;;
  esac
}

@test "any process killed at a random moment: the same bits" {
  RANDOM=${ARGOSY_TEST_SEED:=$$}
  echo "seed: ARGOSY_TEST_SEED=$ARGOSY_TEST_SEED"
  local begin=${EPOCHREALTIME/./} duration victim wait_us round=0
  train undisturbed
  trained undisturbed
  local expected=$HEAD
  duration=$((${EPOCHREALTIME/./} - begin))
  for victim in gpu storage engine cpu supervisor gpu node; do
    round=$((round + 1))
    wait_us=$(random_below "$duration")
    train "random-$round"
    # Until then, or until it is over.
    timeout "$((wait_us / 1000000)).$(printf %06d $((wait_us % 1000000)))" \
      tail -f /dev/null --pid="$TRAINING" 3>&- || true
    echo "round $round: $victim after $wait_us us of $duration"
    kill_random "$victim"
    trained "random-$round"
    [ "$HEAD" = "$expected" ]
  done
  run ! grep "event=checkpoint.refused" "$FLEET_LOG"
}
