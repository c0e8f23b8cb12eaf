#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `argosy top` on a fleet of real processes: as text, as lines of JSON, on a terminal.

bats_require_minimum_version 1.5.0
load load.bash

setup() {
  load_fleet "node: node-1"
}

teardown() {
  fleet_stop
}

@test "without a terminal one interval is printed" {
  run -0 --separate-stderr client top --interval 200ms
  [[ "$output" == "argosy top "*"1 node, 3 of 3 workers ready"*"QUEUE"*"WORKER"*"acts/0"*"flows/0"* ||
    "$output" == "argosy top "*"1 node, 3 of 3 workers ready"*"QUEUE"*"WORKER"*"flows/0"*"acts/0"* ]]
  [[ "$output" != *$'\e'* && "$output" != *"q quit"* ]]
  run -64 client top --interval 1ms
  [[ "$output" == *"--interval is at least 100 ms"* ]]
}

@test "figures are those of what runs" {
  load_start 4 100 work-queue
  ledger_wait "fan_step done" 20
  local before
  before=$(grep -c "fan_step done" "$PROBE_DIR/ledger")
  run -0 --separate-stderr client top --once --interval 1s --output json
  # No more than were done meanwhile, and 16 that the engine had not heard of.
  jq -e --argjson most $(($(grep -c "fan_step done" "$PROBE_DIR/ledger") - before + 16)) \
    '.throughput.donePerSecond > 5 and .throughput.donePerSecond * .intervalUs / 1e6 <= $most' <<<"$output"
  jq -e '.queues[] | select(.queue == "work-queue") | .waiting > 0 and .atWorkers > 0 and .oldestUs > 0' <<<"$output"
  jq -e '[.workers[] | select(.group == "acts") | .tasksPerSecond] | length == 2 and min > 0' <<<"$output"
  jq -e '([.workers[] | select(.group == "acts") | .tasksPerSecond] | add) / .throughput.donePerSecond |
    . > 0.5 and . < 2' <<<"$output"
  jq -e '[.workers[] | .cpuPercent, .memoryBytes] | all(type == "number")' <<<"$output"
  load_finish 4
}

@test "lines of JSON go on while the engine is away" {
  argosy top --data-dir "$FLEET_DIR/data" --output json --interval 200ms >"$FLEET_DIR/lines" 3>&- &
  local top=$! engine
  has_line() { [ "$(jq -c "$1" "$FLEET_DIR/lines" 2>/dev/null | tail -n 1)" = "$2" ]; }
  await has_line '.workers | length' 3
  engine=$(client fleet status --output json | jq -r '.nodes[].processes[] | select(.name == "engine") | .pid')
  kill -STOP "$engine"
  await has_line 'has("error")' true
  kill -CONT "$engine"
  await has_line 'has("error")' false
  kill "$top"
  ! wait "$top"
}

@test "on a terminal: keys, sizes, signals; it is given back whatever happens" {
  python3 "$ARGOSY_SOURCE_DIR/tests/integration/fleet/top_terminal.py" "$FLEET_DIR/data"
}
