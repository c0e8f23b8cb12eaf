#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A training whose worker is killed twice, and one whose storage is killed: each goes on at its
# checkpoint and ends in the very bits of a training that nothing disturbed.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<'YAML'
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
  - {name: gpu, kind: gpu, device: cpu, model: tiny, processes: 2, queues: [{name: gpu-queue}]}
YAML
  fleet_start
}

teardown() {
  fleet_stop
}

# train JOB_ID: starts a training of some seconds and waits for it in the background; its result
# goes to $FLEET_DIR/JOB_ID.json.
train() {
  client finetune --base tiny --name same --job-id "$1" --epochs 100000 --patience 0 \
    --schedule constant --dataset "$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl" \
    --output json >"$FLEET_DIR/$1.json" 2>"$FLEET_DIR/$1.err" 3>&- &
  TRAINING=$!
}

# trained JOB_ID: waits for it; HEAD is the name of the head's content.
trained() {
  wait "$TRAINING" || { cat "$FLEET_DIR/$1".*; return 1; }
  HEAD=$(jq -er .result.head.artifact "$FLEET_DIR/$1.json")
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

  train twice
  checkpoint twice 0
  kill -KILL "$VICTIM"
  local first=$VICTIM
  checkpoint twice "$STEP"
  [ "$VICTIM" != "$first" ]
  kill -KILL "$VICTIM"
  trained twice
  [ "$HEAD" = "$expected" ]
  [ "$(grep -c "event=activity.resumed.*type=train_classifier.*finetune-twice.*step=[1-9]" "$FLEET_LOG")" = 2 ]
  run ! grep "event=checkpoint.refused" "$FLEET_LOG"

  train storage
  checkpoint storage 0
  pkill -KILL --parent "$FLEET_PID" --full argosy-storage
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
    until history "finetune-at-$at" 2>/dev/null | grep -q "$at"; do kill -0 "$TRAINING" || break; done
    workers gpu | xargs kill -KILL
    trained "at-$at"
    [ "$HEAD" = "$expected" ]
  done
}
