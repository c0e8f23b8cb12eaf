#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bad input: a clear error on the right side, nothing lost, nothing crashed.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
}

teardown() {
  fleet_stop
}

start_small_fleet() {
  fleet_config <<'YAML'
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    queues: [{name: gpu-queue}]
YAML
  fleet_start
}

# The fleet still does its job, with the processes it began with.
still_serving() {
  [ "$(workers cpu; workers gpu)" = "$WORKERS" ]
  client workflow execute --type PrepareAndInferWorkflow --input '"still here"' --id "after-$RANDOM"
}

@test "input that workflows refuse" {
  start_small_fleet
  WORKERS=$(workers cpu; workers gpu)

  run client workflow execute --type PrepareAndInferWorkflow --input '"   "' --id blank
  [ "$status" = 1 ]
  [[ "$output" == *"Input text is empty"* ]]

  printf '"%10001s"' x | tr ' ' y >"$FLEET_DIR/long.json"
  run client workflow execute --type PrepareAndInferWorkflow --input-file "$FLEET_DIR/long.json" --id long
  [ "$status" = 1 ]
  [[ "$output" == *"Input text exceeds token limit"* ]]

  run client workflow execute --type PrepareAndInferWorkflow --input '42' --id number
  [ "$status" = 1 ]
  # Not retried: one attempt is on record.
  history blank | jq -e '[.events[].activityTaskFailedEventAttributes | select(. != null)] |
    length == 1 and .[0].retryState == "RETRY_STATE_NON_RETRYABLE_FAILURE"'

  # Malformed JSON is refused before anything is sent, with the place.
  run client workflow start --type PrepareAndInferWorkflow --input '{"text": ' --id malformed
  [ "$status" = 65 ]
  [[ "$output" == *"line 1"* ]]
  run client workflow describe --id malformed
  [ "$status" = 66 ]

  # Above the payload limit of 2 MiB.
  head -c 2200000 /dev/zero | tr '\0' a | sed 's/^/"/; s/$/"/' >"$FLEET_DIR/huge.json"
  run client workflow start --type PrepareAndInferWorkflow --input-file "$FLEET_DIR/huge.json" --id huge
  [ "$status" != 0 ]
  [[ "$output" == *"2097152 bytes"* ]]

  still_serving
}

@test "a workflow type that nobody registered waits and can be ended" {
  start_small_fleet
  WORKERS=$(workers cpu; workers gpu)
  client workflow start --type NoSuchWorkflow --input '1' --id unknown
  run -0 --separate-stderr client workflow describe --id unknown --output json
  jq -e '.workflowExecutionInfo.status == "WORKFLOW_EXECUTION_STATUS_RUNNING"' <<<"$output"
  still_serving
  client workflow terminate --id unknown --reason "no such type"
}

@test "a config with a misspelt key names the line and the nearest key" {
  fleet_config <<'YAML'
groups:
  - name: cpu
    kind: cpu
    proceses: 1
YAML
  run argosy up -c "$FLEET_DIR/fleet.yaml"
  [ "$status" = 78 ]
  [[ "$output" == *"fleet.yaml:5"* && "$output" == *"proceses"* && "$output" == *"processes"* ]]
}

@test "a truncated model file is refused by its worker; the other workers serve" {
  truncate -s -100 "$ARGOSY_MODEL_DIR/tiny/model.safetensors"
  start_small_fleet
  grep -q "level=error.*tiny/model.safetensors" "$FLEET_LOG"
  # Not restarted: a file does not mend itself.
  [ -z "$(workers gpu)" ]
  client workflow start --type PrepareAndInferWorkflow --input '"wait for a GPU worker"' --id waiting
  waits() { pending_has waiting 'select(.activityType.name == "run_inference")' >/dev/null; }
  await waits
  [[ "$(identities waiting preprocess)" == *"#cpu" ]]
  client workflow terminate --id waiting
}
