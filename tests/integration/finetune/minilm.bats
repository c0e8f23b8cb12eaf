#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The quality of what comes of it on the real MiniLM, from the example's tickets. Skipped visibly where the model is not there.

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

@test "a training on the real model tells held-out tickets apart" {
  run -0 --separate-stderr client finetune --name tickets --output json \
    --dataset "$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl"
  jq -e '.result.metrics.accuracy >= 0.8 and .result.metrics.macro_f1 >= 0.8' <<<"$output"
}
