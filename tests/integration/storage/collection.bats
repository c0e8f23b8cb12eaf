#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is collected with a real engine: artifacts stay while a workflow with an open run, or a
# registered model, owns them, and go after.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  cd "$FLEET_DIR"
  fleet_config <<'YAML'
storage: {artifact_keep_hours: 0}
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
  - {name: gpu, kind: gpu, device: cpu, model: tiny, processes: 1, queues: [{name: gpu-queue}]}
YAML
  fleet_start
}

teardown() {
  fleet_stop
}

# collected: the ids that a collection takes now, one per line.
collected() {
  client artifact gc --output json | jq -r '.collected[].artifact'
}

# collected_now: the same, where it takes any.
collected_now() {
  collected | grep .
}

@test "an open run keeps its artifacts; closed, they go" {
  printf 'mine' >mine.txt
  printf 'of nobody' >other.txt
  client artifact put mine.txt --workflow waits
  client artifact put other.txt --workflow never-started
  local mine other
  mine=sha256:$(sha256sum mine.txt | cut -d' ' -f1)
  other=sha256:$(sha256sum other.txt | cut -d' ' -f1)
  # Nobody polls that queue: the run stays open.
  client workflow start --type PrepareAndInferWorkflow --id waits --task-queue nobodys --input '"x"'
  [ "$(collected)" = "$other" ]
  [ -z "$(collected)" ]
  client artifact get "$mine" copy.txt
  client workflow terminate --id waits
  [ "$(collected)" = "$mine" ]
  rm -rf data/cache # this node has fetched it
  run -66 client artifact get "$mine" copy2.txt
  [[ "$output" == *"storage has no artifact"* ]]
}

@test "without an engine nothing of workflows goes" {
  printf 'mine' >mine.txt
  client artifact put mine.txt --workflow nobody-knows
  # The supervisor would start it again: both stand still.
  local engine
  engine=$(pgrep --parent "$FLEET_PID" --full argosy-engine)
  kill -STOP "$FLEET_PID" "$engine"
  run client artifact gc --output json
  kill -CONT "$FLEET_PID" "$engine"
  [ "$status" = 0 ]
  jq -e '.undecided == 1 and .collected == []' <<<"$output"
  # It is not asked again for some seconds.
  [ "$(await collected_now)" = "sha256:$(sha256sum mine.txt | cut -d' ' -f1)" ]
}

@test "a registered model keeps its files, is listed with its metrics, and unregistered lets them go" {
  client finetune --base tiny --name tickets --job-id one --epochs 20 \
    --dataset "$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl" --output json >result.json
  collected >/dev/null # what belonged to the job alone
  client model list --output json >models.json
  jq -e '.registered | length == 1 and .[0].name == "tickets" and .[0].version == 1 and .[0].base == "tiny"
    and (.[0].metadata.metrics.accuracy | type) == "number"' models.json
  run -0 client model list
  [[ "$output" == *"tickets  1        tiny"*"accuracy "* ]]
  local head
  head=$(jq -er '.registered[0].files[] | select(.name == "head.safetensors") | .artifact' models.json)
  [ -z "$(collected)" ]
  client artifact get "$head" head.safetensors
  client model unregister tickets@1
  client model unregister tickets@1
  run -66 client model unregister tickets@2
  client model list --output json | jq -e '.registered == []'
  collected | grep -qx "$head"
}
