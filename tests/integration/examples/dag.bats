#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/dag: four activities in four processes, three of them at once.

bats_require_minimum_version 1.5.0
load example.bash

setup() {
  example_setup dag
  page_fleet "" 1
}

teardown() {
  fleet_stop
}

@test "A, B and C at once, then D: four processes, by result and by history" {
  page_lines "" 2 # as the README says
  run -0 --separate-stderr argosy workflow result --id dag-1
  jq -e '[.a, .b, .c, .d] | unique | length == 4' <<<"$output"
  local step
  for step in a b c d; do
    [ "$(jq ".$step" <<<"$output")" = "$(workers $step)" ]
    [ "$(identities dag-1 "${step^^}" | cut -d@ -f1)" = "$(workers $step)" ]
  done
  # The first three were scheduled by one workflow task; D after all three had completed.
  history dag-1 | jq -e '
    [.events[].activityTaskScheduledEventAttributes | select(. != null) | .workflowTaskCompletedEventId]
      as $by | $by[0] == $by[1] and $by[1] == $by[2]
    and ([.events[] | select(.eventType == "EVENT_TYPE_ACTIVITY_TASK_COMPLETED") | .eventId | tonumber][2]
         < ($by[3] | tonumber))'
}
