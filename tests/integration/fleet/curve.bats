#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A fleet over tcp with CURVE: who has a key is served, who has not is told so.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  cd "$FLEET_DIR"
  for name in engine fleet user stranger; do argosy key create "$name.key"; done
  mkdir authorized
  cp fleet.key.pub user.key.pub authorized/
  PORT=$(free_port)
}

teardown() {
  fleet_stop
}

# A tcp port that nobody has now.
free_port() {
  local port
  for port in $(shuf -i 20000-32000 -n 50); do
    (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  return 1
}

start_tcp_fleet() {
  fleet_config <<YAML
engine:
  listen: [tcp://127.0.0.1:$PORT]
  server_key_file: engine.key
  authorized_keys_dir: authorized
  server_public_key_file: engine.key.pub
  client_key_file: fleet.key
groups:
  - {name: cpu, kind: cpu, processes: 2, queues: [{name: cpu-queue}]}
  - {name: gpu, kind: gpu, device: cpu, model: tiny, queues: [{name: gpu-queue}]}
YAML
  fleet_start
}

# config_of KEY [SERVER_KEY]: the config of a client elsewhere.
config_of() {
  cat >client.yaml <<YAML
data_dir: elsewhere
engine:
  endpoint: tcp://127.0.0.1:$PORT
  server_public_key_file: ${2:-engine.key.pub}
  client_key_file: $1
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}]}
YAML
}

@test "workflows run over tcp with keys" {
  start_tcp_fleet
  config_of user.key
  run -0 argosy workflow execute --config client.yaml --type PrepareAndInferWorkflow \
    --input '"over the wire"' --id curve-1
  [[ "$output" == *'"label"'* ]]
  argosy workflow show curve-1 --config client.yaml --output json |
    jq -e '[.events[].activityTaskCompletedEventAttributes | select(. != null)] | length == 3'
}

@test "a key that the engine does not know is refused, and admitted once it does" {
  start_tcp_fleet
  config_of stranger.key
  run -69 --separate-stderr argosy workflow list --config client.yaml
  [[ "$stderr" == *"refused the handshake"* ]]
  cp stranger.key.pub authorized/
  run -0 argosy workflow list --config client.yaml
}

@test "another engine's key is refused by the client's own handshake" {
  start_tcp_fleet
  config_of user.key stranger.key.pub
  run --separate-stderr argosy workflow list --config client.yaml
  [ "$status" != 0 ]
  echo "$stderr"; [[ "$stderr" == *"refused the handshake"* ]]
  # The fleet does not mind.
  config_of user.key
  run -0 argosy workflow list --config client.yaml
}

@test "keys are made once, for their owner alone" {
  [ "$(stat -c %a engine.key)" = 600 ]
  run -0 grep -c key engine.key
  [ "$output" = 2 ]
  run ! grep -q secret engine.key.pub
  run --separate-stderr argosy key create engine.key
  [ "$status" != 0 ]
  [[ "$stderr" == *'engine.key'* ]]
  chmod 644 user.key
  config_of user.key
  run --separate-stderr argosy workflow list --config client.yaml
  [ "$status" != 0 ]
  [[ "$stderr" == *"others may read"* ]]
}
