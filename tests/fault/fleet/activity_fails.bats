#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Activities that fail without a process dying: the retry policy decides, the workflow hears why, and
# handles it.

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
    queues: [{name: cpu-queue, slots: 4}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
}

teardown() {
  # Activities that waited at the gate for ever would hold the drain up.
  : >"$PROBE_DIR/release"
  exec 7<>"$PROBE_DIR/gate"
  printf 'xxxxxxxx' >&7
  fleet_stop
}

# handled ID TYPE: runs a workflow that handles its activity's failure; prints what it says of it.
handled() {
  run -0 --separate-stderr client workflow execute --type "$2" --task-queue cpu-queue --id "$1" \
    --output json
  jq -c .result <<<"$output"
}

@test "an activity past its start-to-close timeout, twice: out of attempts, and handled" {
  local told
  told=$(handled slow-1 ProbeSlow)
  jq -e '.timeout == 1 and .retry_state == 4' <<<"$told"
  # Where they are slower than their timeout they begin all the same, in any order.
  ledger_wait "probe_gate waiting" 2
  [ "$(grep "probe_gate waiting" "$PROBE_DIR/ledger" | grep -o "attempt=[0-9]*" | sort)" = $'attempt=1\nattempt=2' ]
}

@test "a schedule-to-start timeout expires because nobody polls" {
  local told
  told=$(handled nobody-1 ProbeNobody)
  jq -e '.timeout == 2' <<<"$told"
  [ ! -s "$PROBE_DIR/ledger" ]
}

@test "a non-retryable error ends the activity at once" {
  local told
  told=$(handled refused-1 ProbeRefused)
  jq -e '.type == "Refused" and .message == "never" and .retry_state == 2' <<<"$told"
  [ "$(grep -c "probe_refuse refused" "$PROBE_DIR/ledger")" = 1 ]
}

@test "a result that is too large fails the activity, not the worker" {
  local told worker_count
  told=$(handled large-1 ProbeTooLarge)
  jq -e '.type == "ERR_LIMIT" and .retry_state == 2' <<<"$told"
  worker_count=$(workers cpu | wc -l)
  [ "$worker_count" = 2 ]
  run grep -c "process.died\|process.ended" "$FLEET_LOG"
  [ "$output" = 0 ]
}

@test "a second start of the same id is refused with the run that is open" {
  run -0 --separate-stderr client workflow start --type ProbeGate --task-queue cpu-queue --id gate-1 \
    --output json
  local run_id
  run_id=$(jq -r .runId <<<"$output")
  run client workflow start --type ProbeGate --task-queue cpu-queue --id gate-1
  [ "$status" != 0 ]
  [[ "$output" == *"$run_id"* ]]
  gate_open
  client workflow result --id gate-1
  [ "$(grep -c "probe_gate waiting" "$PROBE_DIR/ledger")" = 1 ]
}

@test "a worker stopped past the heartbeat timeout: another goes on at its last heartbeat" {
  client workflow start --type ProbeBeat --task-queue cpu-queue --id beat-1
  ledger_wait "probe_beat beating"
  local victim
  victim=$(ledger_field "probe_beat beating" 1 pid)
  await pending_has beat-1 '.heartbeatDetails.payloads | select(length > 0)' >/dev/null
  kill -STOP "$victim"
  ledger_wait "probe_beat beating" 2
  [ "$(ledger_field "probe_beat beating" 2 pid)" != "$victim" ]
  [ "$(ledger_field "probe_beat beating" 2 attempt)" = 2 ] # a timeout is an attempt
  [ "$(ledger_field "probe_beat beating" 2 from)" -ge 1 ]
  : >"$PROBE_DIR/release"
  client workflow result --id beat-1
  # The stopped worker wakes up and completes what is no longer its own: that counts for nothing.
  kill -CONT "$victim"
  ledger_wait "pid=$victim .*" 2
  history beat-1 | jq -e '[.events[] | select(.activityTaskCompletedEventAttributes != null)] | length == 1'
}
