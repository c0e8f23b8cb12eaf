#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/saga: bookings are undone in reverse order after a failure and after a cancellation, also
# when workers die meanwhile.

bats_require_minimum_version 1.5.0
load example.bash

setup() {
  example_setup saga
  page_fleet "" 1
}

teardown() {
  fleet_stop
}

ALL_UNDONE="book flight, book hotel, book car, \
cancel_booking car, cancel_booking hotel, cancel_booking flight"

# What ran, in order: "book flight", "cancel_booking hotel", ...
steps() {
  history "$1" | jq -r '[.events[].activityTaskScheduledEventAttributes | select(. != null)
    | .activityType.name + " " + (.input.payloads[0].data | @base64d | fromjson)] | join(", ")'
}

@test "all steps succeed: nothing is undone; a signal that comes early is not lost" {
  argosy workflow start --type TripWorkflow --id trip-0 \
    --input '{"flight": "LH 441", "hotel": "Astoria", "car": "Beetle"}'
  argosy workflow signal --id trip-0 --name confirm
  run -0 --separate-stderr argosy workflow result --id trip-0
  [ "$output" = '"booked"' ]
  [ "$(cat bookings/*.flight bookings/*.hotel bookings/*.car)" = $'LH 441\nAstoria\nBeetle' ]
  [ "$(steps trip-0)" = "book flight, book hotel, book car" ]
}

@test "the last step fails: all are undone in reverse order, the run fails with its cause" {
  argosy workflow start --type TripWorkflow --id trip-1 \
    --input '{"flight": "LH 441", "hotel": "Astoria", "car": "none left"}'
  argosy workflow signal --id trip-1 --name confirm
  run -1 argosy workflow result --id trip-1
  [[ "$output" == *"no car is left"* ]]
  [ "$(steps trip-1)" = "$ALL_UNDONE" ]
  [ -z "$(ls bookings)" ]
}

@test "cancelled while it waits: what was booked is undone, the run is canceled" {
  argosy workflow start --type TripWorkflow --id trip-2 \
    --input '{"flight": "LH 441", "hotel": "Astoria", "car": "Beetle"}'
  event_wait trip-2 TIMER_STARTED
  argosy workflow cancel --id trip-2
  run -1 argosy workflow result --id trip-2
  [ "$(steps trip-2)" = "book flight, book hotel, cancel_booking hotel, cancel_booking flight" ]
  history trip-2 | jq -e '.events[-1].eventType == "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED"'
}

# The README's third trip, with all workers killed at once; each has a share in it: the workflow is
# rebuilt from its history, the activity is tried again.
@test "the workers die in the middle of undoing: the rest is undone, nothing twice" {
  touch bookings/closed.flight
  argosy workflow start --type TripWorkflow --id trip-3 \
    --input '{"flight": "LH 441", "hotel": "Astoria", "car": "none left"}'
  argosy workflow signal --id trip-3 --name confirm
  event_wait trip-3 ACTIVITY_TASK_COMPLETED 4
  [ "$(ls bookings | grep -v closed | cut -d. -f2)" = flight ]
  attempt_wait trip-3 2
  local killed pid
  killed=$(workers cpu)
  kill -KILL $killed
  for pid in $killed; do timeout 60 tail --pid="$pid" -f /dev/null; done
  rm bookings/closed.flight
  run -1 argosy workflow result --id trip-3
  [[ "$output" == *"no car is left"* ]]
  [ -z "$(ls bookings)" ]
  [ "$(steps trip-3)" = "$ALL_UNDONE" ]
  [ "$(history trip-3 | jq '[.events[] | select(.eventType == "EVENT_TYPE_ACTIVITY_TASK_COMPLETED")] | length')" = 5 ]
  pid=$(identities trip-3 cancel_booking | tail -n 1 | cut -d@ -f1)
  run ! grep -qx "$pid" <<<"$killed"
}

@test "the README's commands" {
  page_lines "" 2
  page_lines "" 3
  [ "$(steps trip-1)" = "$ALL_UNDONE" ]
  page_lines "" 4
  attempt_wait trip-3 2
  page_lines "" 5
  [ "$(steps trip-3)" = "$ALL_UNDONE" ]
  [ -z "$(ls bookings)" ]
}
