#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Live changes to a fleet that works: bounds, pauses and drains hold within a second, and no task is
# lost or run twice.

bats_require_minimum_version 1.5.0
load load.bash

setup() {
  load_fleet "queues: [{name: work-queue, max_in_flight: 12}]"
}

teardown() {
  fleet_stop
}

state() { # WORKER
  client fleet status --output json |
    jq -r --arg name "$1" '.nodes[].processes[] | select(.name == $name) | .state'
}

in_flight_is_at_most() {
  [ "$(queue_figure work-queue inFlight)" -le "$1" ]
}

in_flight_is_over() {
  [ "$(queue_figure work-queue inFlight)" -gt "$1" ]
}

# bound_holds NAME MOST ARGUMENTS...: sets it; within a second no more run at once, and later neither.
bound_holds() {
  local name=$1 most=$2 took_ms ended
  client fleet set-concurrency work-queue "${@:3}"
  load_mark "$name"
  await in_flight_is_at_most "$most"
  ledger_wait "fan_step done" $(($(grep -c "fan_step done" "$PROBE_DIR/ledger") + 100))
  load_mark "$name-end"
  read -r took_ms ended < <(load_settle "$name" "$name-end" "$most")
  echo "$name: at most $most at once after $took_ms ms, for $ended tasks"
  [ "$took_ms" -lt 1000 ]
  [ "$ended" -ge 50 ]
}

@test "bounds change under load: they hold within a second, and each task runs exactly once" {
  load_start 12 40 work-queue
  ledger_wait "fan_step done" 50
  bound_holds configured 12 12
  bound_holds three 3 3
  client fleet set-concurrency work-queue 0
  await in_flight_is_over 12
  bound_holds slots 4 2 --per-process
  client fleet set-concurrency work-queue 10 --per-process
  await in_flight_is_over 16
  bound_holds reset 12 --reset
  client fleet set-concurrency work-queue 0
  client fleet set-concurrency work-queue 32 --per-process
  load_finish 12
}

# started_after MARK: how many tasks started later than a second after it.
started_after() {
  awk -v mark="$1" '$2 == "mark" && $3 == mark { after_us = $1 + 1000000 }
    $3 == "started" && after_us && $1 > after_us { count++ } END { print count + 0 }' "$PROBE_DIR/ledger"
}

is_idle() { # QUEUE
  [ "$(queue_figure "$1" inFlight)" = 0 ]
}

@test "a queue pauses under load within a second, over a restart of the engine, and drops no task" {
  load_start 12 40 work-queue
  ledger_wait "fan_step done" 50
  client fleet pause work-queue --keep
  load_mark paused
  await is_idle work-queue
  [ "$(client fleet status --output json | jq -c .pausedQueues)" = '["work-queue"]' ]
  [ "$(queue_figure work-queue stats.approximateBacklogCount)" -gt 0 ]
  curl --fail --silent "http://$(client fleet status --output json | jq -r '.nodes[0].http')/v1/scale?queue=work-queue" |
    jq -e '.paused and .backlog > 0 and .in_flight == 0'
  curl --fail --silent "http://$(client fleet status --output json | jq -r '.nodes[0].http')/metrics" |
    grep 'argosy_task_queue_paused{queue="work-queue",kind="activity"} 1'
  # Another queue goes on meanwhile, and what comes to this one waits.
  client workflow start --type ProbeSignal --task-queue cpu-queue --id other
  client workflow query --id other --type state
  strike argosy-engine
  await client task-queue describe work-queue
  client workflow start --type FanWorkflow --task-queue cpu-queue --id fan-13 --input \
    '{"queue": "work-queue", "count": 1000, "first": 13000, "ms": 40}'
  client workflow query --id other --type state
  [ "$(client fleet status --output json | jq -c .pausedQueues)" = '["work-queue"]' ]
  [ "$(started_after paused)" = 0 ]
  client fleet set-concurrency work-queue 0
  client fleet set-concurrency work-queue 32 --per-process
  [ "$(started_after paused)" = 0 ]
  client fleet resume work-queue
  load_finish 13
}

@test "a paused queue of workflow tasks: runs wait where they are, and go on" {
  client workflow start --type ProbeSignal --task-queue cpu-queue --id waits
  client workflow query --id waits --type state
  client fleet pause cpu-queue
  client workflow signal --id waits --name go --input '"with this"'
  client workflow start --type ProbeSignal --task-queue cpu-queue --id new
  client workflow query --id waits --type state >"$FLEET_DIR/answer" 3>&- &
  local query=$!
  history waits | jq -e '[.events[].workflowExecutionSignaledEventAttributes | select(. != null)] | length == 1'
  history waits | jq -e '[.events[].workflowExecutionCompletedEventAttributes | select(. != null)] | length == 0'
  history new | jq -e '[.events[].workflowTaskStartedEventAttributes | select(. != null)] | length == 0'
  [ ! -s "$FLEET_DIR/answer" ]
  client fleet resume cpu-queue
  wait "$query"
  run -0 --separate-stderr client workflow result --id waits --output json
  jq -e '.result == "with this"' <<<"$output"
  client workflow signal --id new --name go --input '"later"'
  client workflow result --id new
}

@test "workers drain one after the other under load: no task is lost, none runs twice" {
  load_start 12 40 work-queue
  ledger_wait "fan_step done" 50
  local worker pid
  for worker in acts/0 acts/1; do
    pid=$(client fleet status --output json | jq -r --arg name "$worker" '.nodes[].processes[] | select(.name == $name) | .pid')
    run -0 --separate-stderr client fleet drain "$worker"
    [ "$output" = "1 worker drained" ]
    [ "$(state "$worker")" = drained ]
    load_mark "$worker"
    # Its work goes on at the other one, and none comes to it.
    ledger_wait "fan_step done" $(($(grep -c "fan_step done" "$PROBE_DIR/ledger") + 100))
    [ -z "$(sed -n "\|mark $worker|,\$p" "$PROBE_DIR/ledger" | grep "pid=$pid ")" ]
    run -0 --separate-stderr client fleet undrain "$worker"
    [ "$output" = "1 worker ready" ]
    [ "$(state "$worker")" = ready ]
  done
  # With all of them away the tasks wait, and none is lost.
  run -0 --separate-stderr client fleet drain acts
  [ "$output" = "2 workers drained" ]
  [ "$(queue_figure work-queue inFlight)" = 0 ]
  [ "$(queue_figure work-queue stats.approximateBacklogCount)" -gt 0 ]
  client fleet undrain
  client fleet set-concurrency work-queue 0
  client fleet set-concurrency work-queue 32 --per-process
  load_finish 12
}

@test "a task that outlasts the grace period of a drain is handed back: no attempt, no loss" {
  client workflow start --type FanWorkflow --task-queue cpu-queue --id gate-1 \
    --input '{"queue": "work-queue", "type": "probe_gate", "count": 1}'
  ledger_wait "probe_gate waiting"
  local pid worker
  pid=$(ledger_field "probe_gate waiting" 1 pid)
  worker=$(client fleet status --output json | jq -r --arg pid "$pid" '.nodes[].processes[] | select(.pid == $pid) | .name')
  client fleet drain "$worker"
  ledger_wait "probe_gate waiting" 2
  [ "$(ledger_field "probe_gate waiting" 2 pid)" != "$pid" ]
  [ "$(ledger_field "probe_gate waiting" 2 attempt)" = 1 ]
  [ "$(ledger_field "probe_gate waiting" 2 loss)" = 0 ]
  gate_open
  client workflow result --id gate-1 --wait 60s
  [ "$(grep -c "probe_gate passed" "$PROBE_DIR/ledger")" = 1 ]
}
