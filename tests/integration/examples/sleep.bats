#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/sleep: 30 days in its own test, and as a run of a fleet that is stopped and started.

bats_require_minimum_version 1.5.0
load example.bash

setup() {
  example_setup sleep
}

teardown() {
  fleet_stop
}

@test "the example's own test: 30 days pass, two mails are sent" {
  run -0 --separate-stderr page_lines "" 1
  [ "$(tail -n 3 <<<"$output")" = "$(sed -n 's/^    \(day .*\)/\1/p' README.md)" ]
}

@test "in real time: the run waits through a restart of the fleet, and is canceled" {
  page_fleet "" 2
  argosy workflow start --type TrialWorkflow --id trial-1 --input '{"user": "ada", "days": 30}'
  event_wait trial-1 TIMER_STARTED
  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  : >"$FLEET_LOG"
  page_fleet "" 2
  argosy workflow show --id trial-1 | grep -q TimerStarted
  argosy workflow cancel --id trial-1
  run -1 argosy workflow result --id trial-1
  history trial-1 | jq -e '.events[-1].eventType == "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED"'
}

@test "the README's commands: a run of a fleet, canceled" {
  page_fleet "" 2
  page_lines "" 3
  run -1 argosy workflow result --id trial-1
}
