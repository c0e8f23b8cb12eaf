#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/order: every way in which an order can end, and signals before there is a handler.

bats_require_minimum_version 1.5.0
load example.bash

setup() {
  example_setup order
  page_fleet "" 1
}

teardown() {
  fleet_stop
}

start() {
  argosy workflow start --type OrderWorkflow --id "$1" --input "{\"deadline_ms\": $2}"
}

signal() {
  argosy workflow signal --id "$1" --name "$2" ${3:+--input "$3"}
}

balance() {
  argosy workflow query --id "$1" --name balance
}

# result ID STATUS AMOUNT: the order ended so, and so much was paid back.
result() {
  run -0 --separate-stderr argosy workflow result --id "$1"
  jq -e --arg status "$2" --argjson amount "$3" '. == {status: $status, paid_back: $amount}' <<<"$output"
}

# activities ID: the types of the activities that were completed, in order.
activities() {
  history "$1" | jq -r '[.events[].activityTaskScheduledEventAttributes.activityType.name
    | select(. != null)] | join(" ")'
}

@test "the README's commands: the balance is answered, cancelled by a signal, what was paid is paid back" {
  run -0 page_lines "" 2
  grep -qx 700 <<<"$output"
  result order-1 canceled 500
  [ "$(activities order-1)" = refund ]
  [ "$(balance order-1)" = 1200 ] # also of a run that is over
}

@test "paid in time: shipped, the deadline's timer canceled, the surplus paid back" {
  start order-2 86400000
  signal order-2 add_item 1200
  signal order-2 pay '"much"'
  signal order-2 pay 500
  [ "$(balance order-2)" = 700 ]
  signal order-2 pay 800
  result order-2 shipped 100
  [ "$(activities order-2)" = "ship refund" ]
  history order-2 | jq -e '[.events[].eventType] | index("EVENT_TYPE_TIMER_CANCELED") != null'
}

@test "not paid before the deadline: expired by the durable timer" {
  start order-3 500
  signal order-3 add_item 1200
  result order-3 expired 0
  history order-3 | jq -e '[.events[].eventType] | index("EVENT_TYPE_TIMER_FIRED") != null'
}

@test "cancelled as a run: the refund is shielded, the run is canceled" {
  start order-4 86400000
  signal order-4 add_item 1200
  signal order-4 pay 500
  [ "$(balance order-4)" = 700 ]
  argosy workflow cancel --id order-4
  run -1 argosy workflow result --id order-4
  [ "$(activities order-4)" = refund ]
  history order-4 | jq -e '.events[-1].eventType == "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED"'
}

@test "signals that came before any handler are handled in order; a killed worker changes nothing" {
  local worker
  worker=$(workers cpu)
  kill -STOP "$worker"
  start order-5 86400000
  signal order-5 add_item 1200
  signal order-5 pay 500
  kill -KILL "$worker" # it has run nothing of the order
  [ "$(balance order-5)" = 700 ]
  kill -KILL "$(workers cpu)"
  [ "$(balance order-5)" = 700 ] # by a third process, from the history
  signal order-5 cancel
  result order-5 canceled 500
  history order-5 | jq -e '[.events[].eventType] | .[0:index("EVENT_TYPE_WORKFLOW_TASK_COMPLETED")]
    | map(select(. == "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED")) | length == 2'
}
