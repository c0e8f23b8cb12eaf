#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A node changes under load: groups grow, shrink and are restarted, the configuration is taken over, the
# engine is restarted, the supervisor replaced. No task is lost, and none runs twice.

bats_require_minimum_version 1.5.0
load load.bash

setup() {
  load_fleet
}

teardown() {
  fleet_stop
}

pids() { # GROUP
  workers "$1" | sort -n | tr '\n' ' '
}

@test "scale, restart, reload, engine restart and upgrade under load: each task runs exactly once" {
  local before engine
  load_start 20 10 work-queue
  ledger_wait "fan_step done" 50

  run -0 --separate-stderr client fleet scale acts 4
  [ "$output" = "4 workers ready" ]
  [ "$(workers acts | wc -l)" = 4 ]

  before=$(pids acts)
  run -0 --separate-stderr client fleet restart acts
  [ "$output" = "4 processes ready" ]
  [ "$(workers acts | grep -cxFf <(tr ' ' '\n' <<<"$before" | grep .) || true)" = 0 ]

  before=$(pids acts)
  sed -i 's/slots: 8/slots: 12/' "$FLEET_DIR/fleet.yaml"
  run -0 --separate-stderr client fleet reload
  [[ "$output" == *"groups[acts].queues[work-queue].slots: 8 -> 12"* ]]
  [ "$(pids acts)" = "$before" ] # as they run

  engine=$(pgrep --parent "$FLEET_PID" --full argosy-engine)
  run -0 --separate-stderr client fleet restart engine
  [ "$output" = "1 process ready" ]
  [ "$(pgrep --parent "$FLEET_PID" --full argosy-engine)" != "$engine" ]

  run -0 --separate-stderr client fleet upgrade
  [ "$(pids acts)" = "$before" ]
  kill -0 "$FLEET_PID"

  run -0 --separate-stderr client fleet scale acts 1
  [ "$output" = "1 worker ready" ]
  run -0 --separate-stderr client fleet scale acts --reset
  [ "$output" = "2 workers ready" ]
  load_finish 20
  # All of it was wanted: nothing of it is a fault in the log, or leaves a file behind.
  run ! grep -E "level=error|event=crash.kept" "$FLEET_LOG"
}

@test "a change that breaks a group takes no more of it than it can spare" {
  local before
  before=$(pids acts)
  # A plug-in that is none: the first new worker cannot start.
  echo "no program" >"$FLEET_DIR/plugin.so"
  sed -i "0,/workflows: false/! s#plugins: \[.*\]#plugins: [$FLEET_DIR/plugin.so]#" "$FLEET_DIR/fleet.yaml"
  argosy config check "$FLEET_DIR/fleet.yaml"
  run -1 client fleet reload
  [[ "$output" == *"1 of 6 processes failed"* ]]
  # One of two is away; the other goes on with what it has.
  [ "$(workers acts | grep -cxFf <(tr ' ' '\n' <<<"$before" | grep .))" = 1 ]
  client workflow start --type FanWorkflow --task-queue cpu-queue --id fan-1 --input \
    '{"queue": "work-queue", "count": 10, "first": 1000, "ms": 1}'
  client workflow result --id fan-1 --wait 60s
}

@test "what is asked for in vain changes nothing" {
  local before
  before=$(pids acts)
  echo 'nodee: x' >>"$FLEET_DIR/fleet.yaml"
  run -1 client fleet reload
  [[ "$output" == *'nodee: unknown key (did you mean "node"?)'* ]]
  run -66 client fleet restart act
  [[ "$output" == *'no worker or group "act" (did you mean "acts"?)'* ]]
  run -64 client fleet scale acts many
  run -64 client fleet scale acts 1025
  run -64 client fleet scale acts
  run -64 client fleet scale acts 3 --reset
  [ "$(pids acts)" = "$before" ]
}
