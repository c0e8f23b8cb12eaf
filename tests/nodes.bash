# SPDX-License-Identifier: Apache-2.0
# nodes.bash: several nodes, each a supervisor in a network namespace of its own, for bats files. Node
# "a" has the engine, with cables to the nodes in NODES, which reach it at 10.79.N.1 (N from 1).
#
#   NODES=(b c)
#   setup()    { nodes_setup; node_config a <<<"..."; node_config b <<<"..."; }
#   teardown() { nodes_stop; }
#
# Everything lives in $FLEET_DIR, which is the current folder: NODE.yaml, NODE.log, the data folder
# NODE, and the keys server.key, NODE.key.

load "$BATS_TEST_DIRNAME/../../fleet.bash"

# Skips the test where namespaces cannot be had.
nodes_setup() {
  unshare --user --map-root-user --net true 2>/dev/null || skip "network namespaces are refused here"
  command -v ip >/dev/null && command -v nsenter >/dev/null || skip "there is no ip or nsenter"
  fleet_setup
  cd "$FLEET_DIR"
  declare -gA HOLDER=() NODE_PID=()
  keys_make
  networks_make
}

nodes_stop() {
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

# cable_cut NODE, cable_heal NODE: the node's way to the engine.
cable_cut() {
  (inside a ip link set "to-$1" down)
}

cable_heal() {
  (inside a ip link set "to-$1" up)
}
