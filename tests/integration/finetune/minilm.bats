#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The whole way on the real MiniLM: train on the example's tickets, then label texts that were not
# among them, by name and by name and version. Skipped visibly where the model is not there.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  local models=${ARGOSY_MODEL_DIR:-$ARGOSY_SOURCE_DIR/.cache/models}
  [ -f "$models/all-MiniLM-L6-v2/model.safetensors" ] || skip "no all-MiniLM-L6-v2 in $models"
  fleet_setup
  export ARGOSY_MODEL_DIR=$models
  fleet_config <<'YAML'
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
  - {name: gpu, kind: gpu, device: cpu, model: all-MiniLM-L6-v2, queues: [{name: gpu-queue}]}
YAML
  fleet_start
}

teardown() {
  [ -z "${FLEET_DIR:-}" ] || fleet_stop
}

# answer TEXT MODEL: what a served model says of a text.
answer() {
  client workflow execute --type PrepareAndInferWorkflow \
    --input "$(jq -nc --arg text "$1" --arg model "$2" '{$text, $model}')"
}

@test "tickets are told apart by the model that was trained on them" {
  run -0 --separate-stderr client finetune --name tickets --output json \
    --dataset "$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl"
  jq -e '.result.metrics.accuracy >= 0.8 and .result.metrics.macro_f1 >= 0.8' <<<"$output"
  answer "You charged my card two times" tickets | jq -e '.label == "billing" and .model == "tickets@1"'
  answer "The package is three days late" tickets@1 | jq -e '.label == "delivery" and .score > 0.5'
  answer "It broke when I switched it on" tickets@1 | jq -e '.label == "defect"'
}
