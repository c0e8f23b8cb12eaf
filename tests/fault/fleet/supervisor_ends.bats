#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The end of a supervisor with work under way, by SIGKILL and by SIGTERM: no process is left behind,
# and the next fleet on the same data goes on with the work.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
  fleet_config <<YAML
groups:
  - name: cpu
    kind: cpu
    processes: 2
    grace_ms: 1000
    queues: [{name: cpu-queue, slots: 4}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
  client workflow start --type ProbeGate --task-queue cpu-queue --id gate-1
  ledger_wait "probe_gate waiting"
}

teardown() {
  fleet_stop
}

# gone PID...: returns when none of the processes runs; fails after 60 s.
gone() {
  local pid
  for pid in "$@"; do timeout 60 tail -f /dev/null --pid="$pid" 3>&-; done
}

goes_on() {
  : >"$FLEET_LOG"
  fleet_start
  ledger_wait "probe_gate waiting" 2
  gate_open
  client workflow result --id gate-1
}

@test "a killed supervisor leaves no process behind" {
  local children
  children=$(pgrep --parent "$FLEET_PID")
  [ "$(wc -l <<<"$children")" = 5 ] # engine, storage, link, two workers
  kill -KILL "$FLEET_PID"
  # shellcheck disable=SC2086
  gone $children
  goes_on
}

@test "an activity blocked past the grace is ended, and runs again in the next fleet" {
  local children
  children=$(pgrep --parent "$FLEET_PID")
  kill -TERM "$FLEET_PID"
  gone "$FLEET_PID"
  # shellcheck disable=SC2086
  gone $children
  goes_on
  # Handed back before its process was ended: not a loss.
  [ "$(ledger_field "probe_gate waiting" 2 loss)" = 0 ]
}
