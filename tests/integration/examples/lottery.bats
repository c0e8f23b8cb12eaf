#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/lottery: what was drawn stays drawn, whatever dies; and each line is logged once.

bats_require_minimum_version 1.5.0
load example.bash

setup() {
  example_setup lottery
  page_fleet "" 1
}

teardown() {
  fleet_stop
}

draw() {
  argosy workflow query --id "$1" --name draw | jq -cS .
}

# logged_once TEXT: the log has one line of workflow code with the text, once it has any: an answer may
# be there before the line.
logged_once() {
  fleet_wait_log "event=workflow.logged .*$1"
  [ "$(grep -c -- "event=workflow.logged .*$1" "$FLEET_LOG")" = 1 ]
}

@test "the README's commands, with a restart of the fleet in between" {
  local before run_id
  page_lines "" 2
  before=$(draw lottery-1)
  jq -e '.winner >= 1 and .winner <= 100
    and (.ticket | test("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"))' <<<"$before"
  # The time is that of the first workflow task's start: an event of the history.
  history lottery-1 | jq -e --argjson us "$(jq .drawn_at_us <<<"$before")" '
    [.events[] | select(.eventType == "EVENT_TYPE_WORKFLOW_TASK_STARTED")][0].eventTime
    | (.[0:19] + "Z" | fromdate) == ($us / 1000000 | floor)'

  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  cp "$FLEET_LOG" first.log
  : >"$FLEET_LOG"
  page_fleet "" 1
  cat first.log >>"$FLEET_LOG"
  run -0 --separate-stderr page_lines "" 3
  [ "$(tail -n 1 <<<"$output" | jq -cS .)" = "$before" ]
  [ "$(draw lottery-1)" = "$before" ]

  # Once each, at level info, with the run's names.
  run_id=$(argosy workflow describe --id lottery-1 --output json | jq -r .workflowExecutionInfo.execution.runId)
  local names="workflow_type=\"LotteryWorkflow\" workflow_id=\"lottery-1\" run_id=\"$run_id\""
  logged_once "$names text=\"drawn: one of 100\""
  logged_once "$names text=\"announced: number $(jq .winner <<<"$before")\""
  run ! grep "event=workflow.logged" <(grep -v "level=info" "$FLEET_LOG")
}

@test "every worker that had the run is killed: the same draw, by another one" {
  argosy workflow start --type LotteryWorkflow --id lottery-2 --input 1000000
  local before
  before=$(draw lottery-2)
  for _ in 1 2 3; do
    kill -KILL $(workers cpu)
    [ "$(draw lottery-2)" = "$before" ]
  done
  # Runs differ: the odds of the same number are one in a million.
  argosy workflow start --type LotteryWorkflow --id lottery-3 --input 1000000
  [ "$(draw lottery-3 | jq .winner)" != "$(jq .winner <<<"$before")" ]
}
