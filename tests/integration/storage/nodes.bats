#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Three nodes, each a supervisor in a network namespace of its own: the first has engine, storage and
# CPU workers, the others a GPU worker each. A checkpoint written on one of these resumes on the other,
# when the first is gone as a whole.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

# Of the node that begins, and of those that reach it at 10.79.N.1.
NODES=(b c)

setup() {
  unshare --user --map-root-user --net true 2>/dev/null || skip "network namespaces are refused here"
  command -v ip >/dev/null && command -v nsenter >/dev/null || skip "there is no ip or nsenter"
  fleet_setup
  cd "$FLEET_DIR"
  declare -gA HOLDER=() NODE_PID=()
  keys_make
  networks_make
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
  - {name: gpu, kind: gpu, device: cpu, model: tiny, processes: 1, queues: [{name: gpu-queue}]}
YAML
  done
}

teardown() {
  local node
  # The engine's node last: the others drain to it.
  for node in "${NODES[@]}" a; do
    [ -n "${NODE_PID[$node]:-}" ] || continue
    kill -TERM "${NODE_PID[$node]}" 2>/dev/null && wait "${NODE_PID[$node]}" || true
    [ "${BATS_ERROR_STATUS:-0}" = 0 ] || tail -n 40 "$node.log"
  done
  for node in "${!HOLDER[@]}"; do kill "${HOLDER[$node]}"; done
  [ -z "${FLEET_DIR:-}" ] || rm -rf "$FLEET_DIR"
}

# One pair for engine and storage, one for each node.
keys_make() {
  local name
  mkdir authorized
  argosy key create server.key
  for name in a "${NODES[@]}"; do
    argosy key create "$name.key"
    cp "$name.key.pub" authorized/
  done
}

# inside NODE COMMAND...: in the node's network, in this process's place.
inside() {
  exec nsenter --target "${HOLDER[$1]}" --user --net --preserve-credentials "${@:2}"
}

# holder_start NODE WORDS...: a process that keeps a network; WORDS make it.
holder_start() {
  mkfifo "$1.made"
  "${@:2}" bash -c 'echo made >"$0"; exec sleep infinity' "$1.made" 3>&- &
  HOLDER[$1]=$!
  read -r _ <"$1.made"
}

# The first node's network has a cable to each of the others.
networks_make() {
  local number=0 node
  holder_start a unshare --user --map-root-user --net
  (inside a ip link set lo up)
  for node in "${NODES[@]}"; do
    number=$((number + 1))
    holder_start "$node" nsenter --target "${HOLDER[a]}" --user --net --preserve-credentials unshare --net
    (inside a ip link add "to-$node" type veth peer name uplink netns "${HOLDER[$node]}")
    (inside a ip address add "10.79.$number.1/30" dev "to-$node")
    (inside a ip link set "to-$node" up)
    (inside "$node" ip address add "10.79.$number.2/30" dev uplink)
    (inside "$node" ip link set uplink up)
    (inside "$node" ip link set lo up)
  done
}

node_config() {
  { printf 'node: %s\ndata_dir: %s/%s\n' "$1" "$FLEET_DIR" "$1"; cat; } >"$1.yaml"
}

# node_start NODE: its supervisor, until all its processes are ready.
node_start() {
  inside "$1" argosy up -c "$1.yaml" >>"$1.log" 2>&1 3>&- &
  NODE_PID[$1]=$!
  FLEET_PID=$! FLEET_LOG=$1.log fleet_wait_log "fleet ready" || { cat "$1.log"; return 1; }
}

# finetune JOB_ID: its result goes to JOB_ID.json.
finetune() {
  argosy finetune --data-dir a --base tiny --name same --job-id "$1" --epochs 30000 --patience 0 \
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
