#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The engine away for ten seconds, and the whole node killed at once: clients and workers go on trying,
# and the ledger shows that nothing acknowledged is lost and nothing completed runs again.

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
    queues: [{name: cpu-queue, slots: 64}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
}

teardown() {
  kill -CONT "$FLEET_PID" 2>/dev/null || true
  fleet_stop
}

engine_pid() {
  pgrep --parent "$FLEET_PID" --full argosy-engine
}

@test "the engine killed, and down for ten seconds" {
  start_many before 10
  client workflow start --type ProbeThree --task-queue cpu-queue --id three-1
  ledger_wait "probe_gate waiting"
  local passed
  passed=$(grep -c "probe_pass passed" "$PROBE_DIR/ledger")

  # A client that goes on trying, as clients do. The supervisor is held for ten seconds, so that it
  # does not start the engine again.
  until client workflow result --id three-1; do :; done >"$FLEET_DIR/result" 2>&1 3>&- &
  local trying=$!
  kill -STOP "$FLEET_PID"
  kill -KILL "$(engine_pid)"
  gate_open # the activity completes, and has nobody to tell
  ledger_wait "probe_gate passed"
  run client workflow start --type ProbePass --task-queue cpu-queue --id during-1
  [ "$status" = 69 ] # said, not lost: it was never acknowledged
  run -124 timeout 10 tail -f /dev/null --pid="$trying" 3>&-
  kill -CONT "$FLEET_PID"

  wait "$trying"
  client workflow start --type ProbePass --task-queue cpu-queue --id during-1
  client workflow result --id during-1
  check_acknowledged
  # What had completed before did not run again; the gate's activity was reclaimed, not repeated.
  [ "$(grep -c "probe_gate waiting" "$PROBE_DIR/ledger")" = 1 ]
  [ "$(grep -c "probe_pass passed" "$PROBE_DIR/ledger")" -le $((passed + 12)) ]
}

@test "the whole node's processes killed at once" {
  : >"$FLEET_DIR/acknowledged"
  start_many before 1000 &
  local starter=$!
  client workflow start --type ProbeThree --task-queue cpu-queue --id three-1
  ledger_wait "probe_gate waiting"
  until [ "$(wc -l <"$FLEET_DIR/acknowledged")" -ge 5 ]; do kill -0 "$starter"; done
  # shellcheck disable=SC2046
  kill -KILL "$FLEET_PID" $(pgrep --parent "$FLEET_PID")
  wait "$starter"
  wait "$FLEET_PID" || true
  : >"$FLEET_LOG"
  fleet_start
  ledger_wait "probe_gate waiting" 2
  gate_open
  client workflow result --id three-1
  # The activity that had completed before did not run again.
  history three-1 | jq -e '[.events[] | select(.activityTaskCompletedEventAttributes != null)] |
    length == 3'
  check_acknowledged
}
