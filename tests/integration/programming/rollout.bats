#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Code that does not fit its history, and code that runs over its stack: what is said, who goes on.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<YAML
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}], plugins: [$FLEET_DIR/rollout.so]}
YAML
  deploy 1
}

teardown() {
  fleet_stop
}

# deploy VERSION: the fleet runs with the plug-in's version.
deploy() {
  if [ -n "$FLEET_PID" ]; then
    kill -TERM "$FLEET_PID"
    wait "$FLEET_PID"
    mv "$FLEET_LOG" "$FLEET_LOG.before"
  fi
  cc -shared -fPIC -Wall -Wextra -Werror -DVERSION="$1" -I"$ARGOSY_SOURCE_DIR/include" \
    -o "$FLEET_DIR/rollout.so" "$BATS_TEST_DIRNAME/rollout.c"
  fleet_start
}

start() {
  client workflow start --type "$2" --id "$1"
}

# task_failed ID CAUSE: the message of the run's failed workflow task, once there is one.
task_failed() {
  event_wait "$1" WORKFLOW_TASK_FAILED
  history "$1" | jq -er --arg cause "WORKFLOW_TASK_FAILED_CAUSE_$2" '
    [.events[].workflowTaskFailedEventAttributes | select(. != null)] | .[0]
    | select(.cause == $cause) | .failure.message'
}

@test "changed code: the history says what it has and what came; the run goes on with code that fits" {
  start rollout-1 Rollout
  event_wait rollout-1 ACTIVITY_TASK_COMPLETED

  deploy 2
  client workflow signal --id rollout-1 --name go --input 5
  local message
  message=$(task_failed rollout-1 NON_DETERMINISTIC_ERROR)
  [[ "$message" == *'event 5 is ActivityTaskScheduled (activity "1" of type "prepare"), but the code'"'"'s command there is StartTimer (timer "1")'* ]]
  # The worker says so too, of which run, and serves the others.
  fleet_wait_log 'level=warn .*event=worker.reported workflow_type="Rollout" workflow_id="rollout-1" .*event 5 is ActivityTaskScheduled'
  [ "$(client workflow execute --type Plain --id plain-1)" = 1 ]
  # Without a worker it is known before.
  history rollout-1 >"$FLEET_DIR/rollout-1.json"
  history plain-1 >"$FLEET_DIR/plain-1.json"
  cd "$FLEET_DIR"
  run -1 --separate-stderr argosy workflow replay --plugin rollout.so plain-1.json rollout-1.json
  [ "$output" = "plain-1.json: fits
rollout-1.json: $message" ]
  run -1 --separate-stderr argosy workflow replay --plugin rollout.so rollout-1.json --output json
  jq -e --arg message "$message" '.histories ==
    [{file: "rollout-1.json", fits: false, mismatch: $message}]' <<<"$output"
  # What people see without JSON.
  client workflow show --id rollout-1 --full | grep "WorkflowTaskFailed" | grep -q "StartTimer"

  deploy 1
  [ "$(argosy workflow replay --plugin rollout.so - <rollout-1.json)" = "-: fits" ]
  [ "$(client workflow result --id rollout-1)" = 5 ]
}

@test "code that runs over its stack: its task fails and names the run, the worker lives on" {
  local worker
  worker=$(workers cpu)
  start deep-1 Deep
  local message
  message=$(task_failed deep-1 WORKFLOW_WORKER_UNHANDLED_FAILURE)
  [[ "$message" == *'workflow type "Deep", id "deep-1": the code ran over its stack of 2'*' KiB'* ]]
  fleet_wait_log 'level=warn .*event=worker.reported workflow_type="Deep" workflow_id="deep-1" .*ran over its stack'
  [ "$(client workflow execute --type Plain --id plain-2)" = 1 ]
  [ "$(workers cpu)" = "$worker" ]

  deploy 2
  [ "$(client workflow result --id deep-1)" = 0 ]
}

@test "what workflow code logs comes at level info, once, with its run" {
  start rollout-2 Rollout
  fleet_wait_log 'level=info .*event=workflow.logged workflow_type="Rollout" workflow_id="rollout-2" run_id="[-0-9a-f]*" text="begins"'
  # The line is there before the engine has the task that it is of.
  event_wait rollout-2 ACTIVITY_TASK_SCHEDULED
  kill -KILL $(workers cpu)
  client workflow signal --id rollout-2 --name go --input 7
  [ "$(client workflow result --id rollout-2)" = 7 ]
  # The result may be here before the line is.
  fleet_wait_log 'workflow.logged .*"rollout-2".*text="goes"'
  [ "$(grep -c 'workflow.logged .*"rollout-2".*text="begins"' "$FLEET_LOG")" = 1 ]
  [ "$(grep -c 'level=info .*workflow.logged .*"rollout-2".*text="goes"' "$FLEET_LOG")" = 1 ]
  run ! grep 'worker.reported .*rollout-2' "$FLEET_LOG"
}
