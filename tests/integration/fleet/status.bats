#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What `argosy fleet status` shows of a fleet that works, as text and as JSON.

bats_require_minimum_version 1.5.0
load load.bash

setup() {
  load_fleet "node: node-1"
}

teardown() {
  fleet_stop
}

# The tree with single spaces.
tree() {
  client fleet status "$@" | tr -s ' '
}

@test "a tree of groups, workers, slots, tasks and deaths" {
  run -0 tree
  [[ "$output" == *"node node-1: running"*"engine"*"group flows: 1 of 1 ready"*"group acts: 2 of 2 ready, 0/16 slots"* ]]
  [[ "$output" == *"acts/0 ready"*"work-queue 0/8"*"acts/1 ready"* ]]
  [[ "$output" != *$'\e'* ]] # no terminal: no colours

  # Tasks, with the workers that have them; there are as many as slots.
  load_start 1 -1 work-queue
  all_at_work() { [ "$(queue_figure work-queue inFlight)" = 16 ]; }
  await all_at_work
  run -0 tree --tasks 3
  [[ "$output" == *"16/16 slots"*"work-queue 8/8"*"fan_step fan-1 "*" attempt 1"*"and 5 more"* ]]
  [ "$(grep -c 'fan_step fan-1' <<<"$output")" = 6 ]
  [[ "$output" == *"queues"*"work-queue activity 984 waiting (oldest "*"), 16 at workers"* ]]
  run -0 --separate-stderr client fleet status --output json
  jq -e '[.nodes[0].processes[] | select(.group == "acts") | .tasks | length] == [8, 8]' <<<"$output"
  jq -e '.nodes[0].groups | map({group, workers, ready, slots, slotsUsed}) ==
    [{group: "flows", workers: 1, ready: 1, slots: 0, slotsUsed: 0},
     {group: "acts", workers: 2, ready: 2, slots: 16, slotsUsed: 16}]' <<<"$output"
  jq -e '.nodes[0].processes[] | select(.name == "acts/0") | .queues ==
    [{queue: "work-queue", kind: "activity", slots: "8", slotsUsed: "8"}]' <<<"$output"
  jq -e '.queues[] | select(.queue == "work-queue") | .backlog == "984" and .inFlight == "16"' <<<"$output"

  # A worker that died says so, also when it is back.
  strike "--group acts --index 1"
  is_back() { tree | grep -qE "acts/1 ready [^ ]+ 1 "; }
  await is_back
  run -0 tree
  [[ "$output" == *"last death "*" ago: signal 9 (killed)"* ]]
  load_release
  client workflow result --id fan-1 --wait 120s
}

@test "the progress of the last heartbeat" {
  client workflow start --type FanWorkflow --task-queue cpu-queue --id beats-1 \
    --input '{"queue": "work-queue", "type": "probe_beat", "count": 1}'
  beats() { tree | grep -qE "probe_beat beats-1 [^ ]+ attempt 1 [1-9][0-9]*$"; }
  await beats
  client fleet status --output json | jq -e '[.nodes[].processes[].tasks[]? | select(.type == "probe_beat")] |
    length == 1 and (.[0].progress | tonumber) > 0 and (.[0].heartbeatAgeUs | tonumber) >= 0'
  : >"$PROBE_DIR/release"
  client workflow result --id beats-1 --wait 60s
}

@test "one node alone, and none of that name" {
  run -0 --separate-stderr client fleet status --node node-1
  [[ "$output" == *"node node-1: running"* ]]
  run -66 --separate-stderr client fleet status --node node-2
  [[ "$stderr" == *'no node "node-2" (did you mean "node-1"?)'* ]]
}

@test "a terminal has colours, and no line that is wider than it" {
  local columns
  for columns in 40 80 200; do
    run -0 script --quiet --return --command \
      "stty cols $columns; LC_ALL=C argosy fleet status --data-dir $FLEET_DIR/data" /dev/null
    [[ "$output" == *$'\e[32mready'* ]]
    [ -z "$(sed -E 's/\x1b\[[0-9;]*m//g; s/\r//' <<<"$output" | grep -E ".{$((columns + 1))}")" ]
  done
  run -0 env NO_COLOR=1 script --quiet --return --command "argosy fleet status --data-dir $FLEET_DIR/data" /dev/null
  [[ "$output" == *ready* && "$output" != *$'\e[32m'* ]]
}
