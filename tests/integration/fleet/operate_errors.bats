#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Operating commands that cannot be done: what is said, and with which status. Two fleets share
# nothing. What is kept is in force after everything was killed and started again; what is not, is not.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<'YAML'
node: node-1
queues: [{name: spare-queue, max_in_flight: 7}]
groups:
  - {name: cpu, kind: cpu, processes: 2, queues: [{name: cpu-queue, slots: 8}]}
YAML
}

teardown() {
  fleet_stop
}

# refused STATUS TEXT COMMAND...: the command fails in this way.
refused() {
  run --separate-stderr client "${@:3}"
  [ "$status" = "$1" ] && [[ "$stderr" == *"$2"* ]] && [ -z "$output" ] ||
    { echo "status $status: $stderr$output"; return 1; }
}

bounds() { # QUEUE
  client task-queue describe "$1" --output json |
    jq -r '.activity | "\(.maxInFlight // 0) \(.slots // 0)"'
}

states() {
  client fleet status --output json | jq -r '[.nodes[].processes[] | select(.group == "cpu") | .state] | join(" ")'
}

# kill_all: the supervisor is killed, which takes every process with it.
kill_all() {
  kill -KILL "$FLEET_PID"
  wait "$FLEET_PID" || true
  : >"$FLEET_LOG"
}

@test "unknown queues, groups, workers and nodes are named, with the nearest" {
  fleet_start
  refused 66 'no task queue "cpu-queu" (did you mean "cpu-queue"?)' task-queue describe cpu-queu
  refused 66 'no task queue "cpu-quuee" (did you mean "cpu-queue"?)' fleet set-concurrency cpu-quuee 3
  refused 66 'no task queue "elsewhere"' fleet set-concurrency elsewhere 3
  refused 66 'no worker or group "cqu" (did you mean "cpu"?)' fleet drain cqu
  refused 66 'no worker or group "cpu/2" (did you mean "cpu/0"?)' fleet undrain cpu/2
  refused 66 'no worker or group "engine"' fleet drain engine
  refused 66 'no node "nod-1" (did you mean "node-1"?)' fleet drain --node nod-1
  refused 64 'needs a queue and a number' fleet set-concurrency cpu-queue
  refused 64 '"many" is no number of tasks' fleet set-concurrency cpu-queue many
  refused 64 '--reset stands alone' fleet set-concurrency cpu-queue --reset --keep
  refused 65 'slots must be from 0' fleet set-concurrency cpu-queue 5000 --per-process
  run -66 --separate-stderr client fleet drain cqu --output json
  jq -e '.error.message | contains("did you mean")' <<<"$stderr"
  # Nothing of it changed anything.
  [ "$(bounds cpu-queue)" = "0 0" ]
  [ "$(states)" = "ready ready" ]
  # A queue of the config is known before anybody uses it; another one when that is said.
  [ "$(bounds spare-queue)" = "7 0" ]
  client fleet set-concurrency elsewhere 3 --new
  [ "$(bounds elsewhere)" = "3 0" ]
}

@test "a group that was scaled to nothing is known, and comes back" {
  fleet_start
  client fleet scale cpu 0
  [ -z "$(states)" ]
  refused 66 'this node has no workers' fleet restart
  refused 66 'no worker or group "cqu"' fleet scale cqu 2
  client fleet scale cpu 1
  [ "$(states)" = ready ]
  client fleet scale cpu 0
  client fleet scale cpu --reset
  [ "$(states)" = "ready ready" ]
}

@test "no engine: status 69, and what to do" {
  fleet_start
  fleet_stop_keep() { kill -TERM "$FLEET_PID"; wait "$FLEET_PID"; FLEET_PID=; }
  fleet_stop_keep
  refused 69 "is the fleet running?" fleet status
  refused 69 "is the fleet running?" fleet set-concurrency cpu-queue 3
  refused 69 "is the fleet running?" fleet drain
  refused 69 "is the fleet running?" task-queue describe cpu-queue
}

@test "a killed engine is back in time for a command that waits for it" {
  fleet_start
  kill -KILL "$(client fleet status --output json | jq -r '.nodes[].processes[] | select(.name == "engine") | .pid')"
  client fleet drain
  [ "$(states)" = "drained drained" ]
  client fleet undrain
}

@test "what is kept outlives the death of everything; what is not kept is forgotten" {
  fleet_start
  client fleet set-concurrency cpu-queue 5
  client fleet set-concurrency spare-queue 4 --keep
  client fleet set-concurrency spare-queue 3 --per-process --keep
  client fleet set-concurrency spare-queue 2
  client fleet drain cpu/0 --keep
  client fleet drain cpu/1
  [ "$(states)" = "drained drained" ]
  [ "$(bounds cpu-queue) $(bounds spare-queue)" = "5 0 2 3" ]

  kill_all
  fleet_start
  [ "$(states)" = "drained ready" ]
  [ "$(bounds cpu-queue) $(bounds spare-queue)" = "0 0 4 3" ]

  client fleet set-concurrency spare-queue --reset
  client fleet undrain cpu/0
  [ "$(states)" = "ready ready" ]
  kill_all
  fleet_start
  [ "$(states)" = "ready ready" ]
  [ "$(bounds spare-queue)" = "7 0" ]
}

@test "two fleets on one machine share nothing" {
  fleet_start
  local other=$FLEET_DIR/other first_pid=$FLEET_PID
  mkdir "$other"
  sed "s|^data_dir:.*|data_dir: $other/data|; s|^node:.*|node: node-2|" "$FLEET_DIR/fleet.yaml" >"$other/fleet.yaml"
  FLEET_DIR=$other FLEET_LOG=$other/fleet.log fleet_start
  local second_pid=$FLEET_PID
  FLEET_PID=$first_pid
  argosy fleet set-concurrency cpu-queue 3 --data-dir "$other/data"
  argosy fleet drain cpu/1 --data-dir "$other/data"
  [ "$(bounds cpu-queue)" = "0 0" ]
  [ "$(states)" = "ready ready" ]
  run -0 client fleet status --output json
  [ "$(jq -r '[.nodes[].node] | join(" ")' <<<"$output")" = node-1 ]
  local http
  http=$(jq -r '.nodes[0].http' <<<"$output")
  run -0 argosy fleet status -c "$other/fleet.yaml" --output json
  [ "$(jq -r '[.nodes[].node] | join(" ")' <<<"$output")" = node-2 ]
  [ "$(jq -r '.nodes[0].http' <<<"$output")" != "$http" ]
  # A port that is taken is said before anything starts.
  kill -TERM "$second_pid"
  FLEET_PID=$second_pid
  wait "$second_pid" || true
  FLEET_PID=$first_pid
  ARGOSY_HTTP_LISTEN=$http run argosy up -c "$other/fleet.yaml"
  [ "$status" = 78 ]
  [[ "$output" == *"$http"*"ddress already in use"* ]] || { echo "$output"; false; }
}
