#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/saga: bookings are undone in reverse order after a failure and after a cancellation.

bats_require_minimum_version 1.5.0
load example.bash

setup() {
  example_setup saga
  example_up fleet.yaml
}

teardown() {
  fleet_stop
}

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
  [ "$(steps trip-0)" = "book flight, book hotel, book car" ]
}

@test "the last step fails: all are undone in reverse order, the run fails with its cause" {
  argosy workflow start --type TripWorkflow --id trip-1 \
    --input '{"flight": "LH 441", "hotel": "Astoria", "car": "none left"}'
  argosy workflow signal --id trip-1 --name confirm
  run -1 argosy workflow result --id trip-1
  [[ "$output" == *"no car is left"* ]]
  [ "$(steps trip-1)" = "book flight, book hotel, book car, \
cancel_booking car, cancel_booking hotel, cancel_booking flight" ]
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
