#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/hello: a greeting, and a failure that is not tried again.

bats_require_minimum_version 1.5.0
load example.bash

setup() {
  example_setup hello
  page_fleet "" 1
}

teardown() {
  fleet_stop
}

@test "the README's commands: the greeting, and nobody to greet" {
  run -0 page_lines "" 2
  [[ "$output" == *'"Hello, Ada!"'* ]]
  # Its timer was durable: an event of the history.
  history hello-1 | jq -e '[.events[].eventType] | index("EVENT_TYPE_TIMER_FIRED") != null'
  run -0 page_lines "" 3
  [[ "$output" == *"nobody to greet"* ]]
  history hello-2 | jq -e '[.events[].activityTaskFailedEventAttributes | select(. != null)]
    | length == 1 and .[0].failure.applicationFailureInfo.nonRetryable'
}

@test "killed while the run sleeps: another worker returns the greeting" {
  argosy workflow start --type HelloWorkflow --input '"Ada"' --id hello-3
  event_wait hello-3 TIMER_STARTED
  kill -KILL $(workers cpu)
  run -0 --separate-stderr argosy workflow result --id hello-3
  [ "$output" = '"Hello, Ada!"' ]
}
