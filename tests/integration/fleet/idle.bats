#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What an idle fleet costs: less than 1 % of a core, of which the supervisor 0.1 %; an engine under 20 MB, a
# supervisor under 5, a CPU worker under 15. Memory is resident (VmRSS), with all that is shared.

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

# rss PID: resident memory, kB.
rss() {
  awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

# Other builds carry what the compiler put beside the code.
release_only() {
  grep -q '^CMAKE_BUILD_TYPE:.*=Rel' "$ARGOSY_BUILD_DIR/CMakeCache.txt" || skip "measured in a release build"
}

@test "the idle engine's memory is under 20 MB" {
  local engine
  engine=$(pgrep --parent "$FLEET_PID" --full argosy-engine)
  echo "engine VmRSS: $(rss "$engine") kB"
  [ "$(rss "$engine")" -lt 20000 ]
}

@test "the idle supervisor's memory is under 5 MB, and it uses under 0.1 % of a core" {
  release_only
  local before after
  echo "supervisor VmRSS: $(rss "$FLEET_PID") kB"
  [ "$(rss "$FLEET_PID")" -lt 5000 ]
  # Nanoseconds on a processor; its clock ticks are as long as what is allowed here.
  read -r before _ <"/proc/$FLEET_PID/schedstat"
  timeout 10 tail -f /dev/null || true
  read -r after _ <"/proc/$FLEET_PID/schedstat"
  echo "supervisor: $(((after - before) / 1000)) us in 10 s"
  [ $((after - before)) -lt 10000000 ]
}

@test "an idle CPU worker's memory is under 15 MB" {
  release_only
  local worker
  for worker in $(workers cpu); do
    echo "CPU worker VmRSS: $(rss "$worker") kB, of its own $(awk '/^RssAnon/ { print $2 }' "/proc/$worker/status") kB"
    [ "$(rss "$worker")" -lt 15000 ]
  done
}
