#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What an idle fleet costs: less than 1 % of a core, and an engine under 20 MB.

load ../../fleet.bash

setup() {
  fleet_setup
  argosy dev --data-dir "$FLEET_DIR/data" --model tiny --device cpu >"$FLEET_LOG" 2>&1 3>&- &
  FLEET_PID=$!
  fleet_wait_log "fleet ready"
  # Work once, so that caches and threads exist.
  client workflow execute --type PrepareAndInferWorkflow --input '"warm"' --id warm
}

teardown() {
  fleet_stop
}

# Clock ticks (10 ms) used so far by the fleet's processes.
ticks() {
  local total=0 pid
  for pid in "$FLEET_PID" $(pgrep --parent "$FLEET_PID"); do
    total=$((total + $(awk '{ print $14 + $15 }' "/proc/$pid/stat")))
  done
  echo "$total"
}

@test "an idle fleet uses under 1 % of a core" {
  local before after
  before=$(ticks)
  # The measured span; nothing is waited for here.
  timeout 10 tail -f /dev/null || true
  after=$(ticks)
  echo "ticks in 10 s: $((after - before))"
  [ $((after - before)) -lt 10 ]
}

@test "the idle engine's memory is under 20 MB" {
  local engine
  engine=$(pgrep --parent "$FLEET_PID" --full argosy-engine)
  rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$engine/status")
  echo "engine VmRSS: $rss kB"
  [ "$rss" -lt 20000 ]
}
