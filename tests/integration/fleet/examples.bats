#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The configurations in examples/fleet: each is valid, takes its environment, and gives the plan that
# it is meant for on a machine of its kind. None is left out.

bats_require_minimum_version 1.5.0

setup() {
  PATH="$ARGOSY_BIN_DIR:$PATH"
  EXAMPLES=$ARGOSY_SOURCE_DIR/examples/fleet
  MACHINES=$ARGOSY_SOURCE_DIR/tests/golden/topology
  cd "$BATS_TEST_TMPDIR"
  unset ARGOSY_DATA_DIR ARGOSY_MODEL_DIR ARGOSY_ENGINE NODE_NAME CUDA_VISIBLE_DEVICES
}

# effective FILE PATH: a value of the effective config.
effective() {
  argosy config show --effective "$EXAMPLES/$1" --output json | jq -r ".config.$2"
}

# workers GROUP: how many lines of the plan are the group's.
workers() {
  grep -c "^$1/" <<<"$output"
}

@test "every example is valid, is shown whole, and is in the list of the folder" {
  local count=0
  for file in "$EXAMPLES"/*.yaml "$EXAMPLES"/several-files/fleet.yaml; do
    run -0 argosy config check "$file"
    [[ "$output" == "$file: valid, 2 worker groups"* ]]
    argosy config show --effective --secrets "$file" | grep -v "^#" >effective.yaml
    argosy config show --effective --secrets effective.yaml | diff effective.yaml -
    argosy config show "$file" >shown.yaml
    run -0 argosy config check shown.yaml
    local name=${file#"$EXAMPLES"/}
    grep -qF "| \`${name%fleet.yaml}\` |" "$EXAMPLES/README.md"
    count=$((count + 1))
  done
  [ "$count" -eq 5 ]
}

@test "laptop: two processes, and the GPU queue on the processor where there is no GPU" {
  run -0 argosy topo --config "$EXAMPLES/laptop.yaml" --synthetic "pack:1 core:8 pu:2"
  [ "$(workers cpu)" -eq 2 ]
  [[ "$output" == *"gpu/0"*"CPU device (no GPU)"* ]]
  ARGOSY_DATA_DIR=/srv/fleet run -0 effective laptop.yaml data_dir
  [ "$output" = /srv/fleet ]
  [ "$(effective laptop.yaml data_dir)" = "$EXAMPLES/.argosy" ]
}

@test "eight GPUs: a worker for each, with memory of its side of the machine" {
  run -0 argosy topo --config "$EXAMPLES/gpu-node.yaml" --xml "$MACHINES/dgx.xml"
  [ "$(workers cpu)" -eq 12 ]
  [ "$(workers embed)" -eq 8 ]
  [ "$(grep -c '^embed/.*memory of NUMA node 0' <<<"$output")" -eq 4 ]
  [ "$(grep -c '^embed/.*memory of NUMA node 1' <<<"$output")" -eq 4 ]
  [[ "$output" != *shared* ]]
  NODE_NAME=rack-7 run -0 effective gpu-node.yaml node
  [ "$output" = rack-7 ]
}

@test "no GPU: the processors are shared out" {
  run -0 argosy topo --config "$EXAMPLES/cpu-only.yaml" --synthetic "pack:2 numa:1 core:16 pu:1"
  [ "$(workers gpu)" -eq 1 ]
  [ "$(workers cpu)" -ge 2 ]
  [ "$(effective cpu-only.yaml 'groups[1].device')" = cpu ]
}

@test "remote engine: workers alone, and CURVE keys of their own" {
  run -0 argosy topo --config "$EXAMPLES/remote-engine.yaml" --synthetic "pack:1 core:8 pu:2"
  [ "$(workers workflows)" -eq 2 ]
  run ! grep -E "^(engine|storage) " <<<"$output"
  ARGOSY_ENGINE=10.0.0.7 run -0 effective remote-engine.yaml engine
  [ "$(jq -r .endpoint <<<"$output")" = tcp://10.0.0.7:7233 ]
  [ "$(jq -r .client_key_file <<<"$output")" = /etc/argosy/client.key ]
}

@test "several files: a group of a shared file is changed by the node's own" {
  run -0 argosy topo --config "$EXAMPLES/several-files/fleet.yaml" --synthetic "pack:1 core:8 pu:2"
  [ "$(workers embed)" -eq 1 ]
  [ "$(effective several-files/fleet.yaml 'groups[0].batch_tokens')" = 32768 ]
  [ "$(effective several-files/fleet.yaml 'groups[0].device')" = cpu ]
}
