#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The example suites on the real model: their thresholds are met by far, or are missed, as they should.

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
  - name: gpu
    kind: gpu
    device: cpu
    model: all-MiniLM-L6-v2
    queues: [{name: gpu-queue}]
    labels:
      - {name: billing, prompt: "a question about money, an invoice or a payment"}
      - {name: defect, prompt: a device is broken or does not work}
      - {name: delivery, prompt: "a parcel, its shipment or delivery"}
YAML
  fleet_start
  SUITES=$ARGOSY_SOURCE_DIR/examples/evaluation
}

teardown() {
  [ -z "${FLEET_DIR:-}" ] || fleet_stop
}

# passes SUITE MODEL ARGUMENTS...
passes() {
  run --separate-stderr client eval "$SUITES/$1.jsonl" --model "$2" "${@:3}"
  echo "$output $stderr"
  [ "$status" = 0 ]
}

@test "sentences, help pages and tickets are understood" {
  passes sentences all-MiniLM-L6-v2 --minimum spearman=0.9
  passes help all-MiniLM-L6-v2 --minimum recall@5=0.9 --minimum ndcg@5=0.85
  passes tickets all-MiniLM-L6-v2 --minimum accuracy=0.8 --minimum macro_f1=0.8
}

@test "a trained classifier is better than label prompts, on tickets it has not seen" {
  client finetune --name tickets --dataset "$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl"
  passes tickets tickets@1 --minimum accuracy=0.9 --baseline-model all-MiniLM-L6-v2 --maximum-drop accuracy=0
}
