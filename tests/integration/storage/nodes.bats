#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Three nodes, each a supervisor in a network namespace of its own: the first has engine, storage and
# CPU workers, the others a GPU worker each. A checkpoint written on one of these resumes on the other,
# when the first is gone as a whole.

bats_require_minimum_version 1.5.0
load ../../nodes.bash

NODES=(b c)

setup() {
  nodes_setup
  probe_setup
  probe_gpu_setup
  node_config a <<'YAML'
engine:
  listen: [ipc, "tcp://*:7233"]
  server_key_file: server.key
  authorized_keys_dir: authorized
  server_public_key_file: server.key.pub
  client_key_file: a.key
  lease_ms: 2000
storage:
  listen: [ipc, "tcp://*:7234"]
  server_key_file: server.key
  authorized_keys_dir: authorized
  server_public_key_file: server.key.pub
  client_key_file: a.key
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
YAML
  local number=0 node
  for node in "${NODES[@]}"; do
    number=$((number + 1))
    node_config "$node" <<YAML
engine:
  endpoint: tcp://10.79.$number.1:7233
  server_public_key_file: server.key.pub
  client_key_file: $node.key
storage:
  endpoint: tcp://10.79.$number.1:7234
  server_public_key_file: server.key.pub
  client_key_file: $node.key
groups:
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: 1
    queues: [{name: gpu-queue}]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  done
}

teardown() {
  nodes_stop
}

# finetune JOB_ID: its result goes to JOB_ID.json.
finetune() {
  argosy finetune --data-dir a --base tiny --name same --job-id "$1" --epochs 15000 --patience 0 \
    --schedule constant --dataset "$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl" \
    --output json >"$1.json" 2>"$1.err" 3>&-
}

# checkpoint JOB_ID: waits for a checkpoint of the training; prints the process that wrote it.
checkpoint() {
  until argosy workflow describe --data-dir a --id "finetune-$1" --output json 2>/dev/null |
    jq -er '.pendingActivities[0] | select(.activityType.name == "train_classifier")
      | select(.heartbeatDetails.payloads[0].data | @base64d | fromjson | .checkpoint != null)
      | .lastWorkerIdentity | split("@")[0]' 2>/dev/null; do
    kill -0 "$TRAINING" || return 1
  done
}

@test "a checkpoint written on one node resumes on another" {
  local node gone=b left=c processes
  for node in a "${NODES[@]}"; do node_start "$node"; done
  finetune undisturbed || { cat undisturbed.err; false; }

  work_slow
  finetune moved &
  TRAINING=$!
  local writer
  writer=$(checkpoint moved)
  if pgrep --parent "${NODE_PID[c]}" | grep -qx "$writer"; then gone=c left=b; fi
  processes=$(pgrep --parent "${NODE_PID[$gone]}")
  grep -qx "$writer" <<<"$processes"
  # The whole node, with the supervisor that would tell of it, and its network.
  # shellcheck disable=SC2086
  kill -KILL "${NODE_PID[$gone]}" $processes
  (inside a ip link delete "to-$gone")
  work_fast
  wait "$TRAINING" || { cat moved.err; false; }

  [ "$(jq -er .result.head.artifact moved.json)" = "$(jq -er .result.head.artifact undisturbed.json)" ]
  grep -q "event=activity.resumed.*type=train_classifier.*finetune-moved.*step=[1-9]" "$left.log"
  # One volume; the other nodes have what they fetched.
  [ -d a/storage ]
  [ ! -e b/storage ]
  [ ! -e c/storage ]
  [ -n "$(ls "$left/cache/artifacts")" ]
  run -0 argosy artifact verify --data-dir a
  [[ "$output" == *" 0 damaged" ]]
}
