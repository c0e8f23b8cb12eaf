#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Workers killed with SIGKILL in the middle of things: the work goes on elsewhere, at once, from the
# last checkpoint, and nothing that was completed runs again.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
}

teardown() {
  fleet_stop
}

# Workflow-only and activity-only workers, two of each.
start_split_fleet() {
  fleet_config <<YAML
groups:
  - name: flows
    kind: cpu
    processes: 2
    activities: false
    queues: [{name: cpu-queue}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
  - name: acts
    kind: cpu
    processes: 2
    workflows: false
    queues: [{name: cpu-queue, slots: 4}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
}

# both_ready: whether both workers for activities are.
both_ready() {
  client fleet status --output json |
    jq -e '[.nodes[0].processes[] | select(.group == "acts" and .state == "ready")] | length == 2' >/dev/null
}

# lose N: kills the worker of the activity of run gate-N, which no other has had before; sets TOOK_US to
# how long it was until the other one had it.
lose() {
  local begin=$((2 * $1 - 1)) victim killed_us
  await both_ready
  client workflow start --type ProbeGate --task-queue cpu-queue --id "gate-$1"
  ledger_wait "probe_gate waiting" "$begin"
  victim=$(ledger_field "probe_gate waiting" "$begin" pid)
  killed_us=$(($(date +%s%N) / 1000))
  kill -KILL "$victim"
  ledger_wait "probe_gate waiting" $((begin + 1))
  TOOK_US=$(($(ledger_field "probe_gate waiting" $((begin + 1)) utc_us) - killed_us))
  [ "$(ledger_field "probe_gate waiting" $((begin + 1)) pid)" != "$victim" ]
  # A loss is not an attempt.
  [ "$(ledger_field "probe_gate waiting" $((begin + 1)) attempt)" = 1 ]
  [ "$(ledger_field "probe_gate waiting" $((begin + 1)) loss)" = 1 ]
  gate_open
  client workflow result --id "gate-$1"
  history "gate-$1" | jq -e '[.events[].activityTaskStartedEventAttributes | select(. != null)] |
    length == 1 and (.[0].attempt // 1) == 1'
}

@test "a worker killed in an activity: running on the other one within a second" {
  start_split_fleet
  local number fastest_us=
  for number in 1 2 3; do
    lose "$number"
    echo "from kill to running elsewhere: $TOOK_US us"
    [ -n "$fastest_us" ] && [ "$fastest_us" -lt "$TOOK_US" ] || fastest_us=$TOOK_US
  done
  # A machine may stand still for a while, but not each time.
  [ "$fastest_us" -lt 1000000 ]
}

@test "a killed activity resumes at its last checkpoint" {
  start_split_fleet
  client workflow start --type ProbeCount --task-queue cpu-queue --id count-1
  ledger_wait "probe_count waiting"
  # The first heartbeat has reached the engine once describe shows it.
  await pending_has count-1 '.heartbeatDetails.payloads | select(length > 0)' >/dev/null
  kill -KILL "$(ledger_field "probe_count waiting" 1 pid)"
  run -0 --separate-stderr client workflow result --id count-1 --output json
  jq -e '.result == 10' <<<"$output"
  [ "$(ledger_field "probe_count started" 1 from)" = 0 ]
  [ "$(ledger_field "probe_count started" 2 from)" -ge 1 ]
  [ "$(grep -c "probe_count started" "$PROBE_DIR/ledger")" = 2 ]
}

@test "a workflow worker killed between two activities: another replays and continues" {
  start_split_fleet
  client workflow start --type ProbeThree --task-queue cpu-queue --id three-1
  ledger_wait "probe_gate waiting"
  local worker
  worker=$(history three-1 | jq -r '[.events[].workflowTaskStartedEventAttributes.identity | select(. != null)] | last' | cut -d@ -f1)
  workers flows | grep -qx "$worker"
  kill -KILL "$worker"
  gate_open
  client workflow result --id three-1
  # The first step did not run again; the last one's workflow task was another process's.
  [ "$(grep -c "probe_pass passed" "$PROBE_DIR/ledger")" = 2 ]
  [ "$(grep -c "probe_gate passed" "$PROBE_DIR/ledger")" = 1 ]
  local last
  last=$(history three-1 | jq -r '[.events[].workflowTaskCompletedEventAttributes.identity | select(. != null)] | last' | cut -d@ -f1)
  [ "$last" != "$worker" ]
}

@test "a poisoned activity fails after three losses, and the fleet lives on" {
  start_split_fleet
  run client workflow execute --type ProbePass --task-queue cpu-queue --id before
  [ "$status" = 0 ]
  client workflow start --type ProbePoison --task-queue cpu-queue --id poison-1
  ledger_wait "probe_poison poisoned" 3
  client workflow terminate --id poison-1 --reason "seen enough"
  client workflow execute --type ProbePass --task-queue cpu-queue --id after
}

@test "signals, queries and cancellation reach a waiting run" {
  start_split_fleet
  client workflow start --type ProbeSignal --task-queue cpu-queue --id signal-1
  run -0 --separate-stderr client workflow query --id signal-1 --type state --output json
  [[ "$output" == *waiting* ]]
  client workflow signal --id signal-1 --name go --input '"with this"'
  run -0 --separate-stderr client workflow result --id signal-1 --output json
  jq -e '.result == "with this"' <<<"$output"
  client workflow start --type ProbeSignal --task-queue cpu-queue --id cancel-1
  client workflow cancel --id cancel-1
  run client workflow result --id cancel-1
  [ "$status" = 1 ]
  [[ "$output" == *cancel* ]]
}
