#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/split: two supervisors, one engine; deaths on the activity node do not disturb the workflow.

bats_require_minimum_version 1.5.0
export BATS_TEST_TIMEOUT=60
load example.bash

setup() {
  example_setup split
  page_fleet "" 1
  FIRST_PID=$FLEET_PID
  FLEET_LOG=$FLEET_DIR/second.log page_fleet "" 2
}

teardown() {
  if [ "$FLEET_PID" != "$FIRST_PID" ]; then
    kill -TERM "$FLEET_PID"
    wait "$FLEET_PID" || cat "$FLEET_DIR/second.log"
  fi
  FLEET_PID=$FIRST_PID
  fleet_stop
}

@test "all activity workers are killed in mid-work: the workflow goes on, another one does the work" {
  local flows killed pid
  flows=$(pgrep --parent "$FIRST_PID" --full -- "--group workflows")
  mkfifo numbers
  argosy workflow start --type SumWorkflow --id sum-1 --input "\"$PWD/numbers\""

  exec 5>numbers # opens when the activity has the other end
  killed=$(workers sums)
  kill -KILL $killed
  for pid in $killed; do timeout 60 tail --pid="$pid" -f /dev/null; done

  # Reminded and answering meanwhile.
  event_wait sum-1 TIMER_FIRED
  [ "$(argosy workflow query --id sum-1 --type reminders)" -ge 1 ]

  exec 6>numbers # opens when the next attempt has the other end
  seq 1 10 >&6
  exec 5>&- 6>&-
  run -0 --separate-stderr argosy workflow result --id sum-1
  jq -e '.sum == 55' <<<"$output"
  pid=$(jq .pid <<<"$output")
  [[ $'\n'"$killed"$'\n' != *$'\n'"$pid"$'\n'* ]]
  workers sums | grep -qx "$pid"
  # The same workflow worker from first to last, and no activity there.
  [ "$(pgrep --parent "$FIRST_PID" --full -- "--group workflows")" = "$flows" ]
  history sum-1 | jq -e --arg flows "$flows" '
    [.events[].workflowTaskStartedEventAttributes.identity | select(. != null) | split("@")[0]]
    | unique == [$flows]'
  [ "$(identities sum-1 sum_numbers | cut -d@ -f1)" = "$pid" ]
}

@test "the README's commands" {
  page_lines "" 3
  attempt_wait sum-1 1
  run -0 page_lines "" 4
  [[ "$output" == *'"sum": 55'* || "$output" == *'"sum":55'* ]]
}
