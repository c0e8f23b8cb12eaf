#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# SIGHUP to the processes of a fleet that works: engine and workers take bounds and slots over from
# the effective config, more and fewer, and no task is lost or run twice. What an operator has set
# goes before; with an error in the file all stays.

bats_require_minimum_version 1.5.0
load load.bash

setup() {
  load_fleet "queues: [{name: work-queue, max_in_flight: 30}]"
  EFFECTIVE=$FLEET_DIR/data/fleet.effective.yaml
}

teardown() {
  fleet_stop
}

# log_count TEXT: how many lines of the log have it.
log_count() {
  grep -c -- "$1" "$FLEET_LOG" || true
}

has_lines() { # TEXT COUNT
  [ "$(log_count "$1")" -ge "$2" ]
}

# hup PATTERN EVENT: SIGHUP to the fleet's processes whose command line matches, until each has
# logged the event.
hup() {
  local before
  before=$(log_count "event=$2 ")
  pkill -HUP --parent "$FLEET_PID" --full -- "$1"
  await has_lines "event=$2 " $((before + $(pgrep --parent "$FLEET_PID" --full --count -- "$1")))
}

# effective_set FROM TO: changes the effective config, at once.
effective_set() {
  grep -q -- "$1" "$EFFECTIVE"
  sed "s/$1/$2/" "$EFFECTIVE" >"$FLEET_DIR/new.yaml"
  mv "$FLEET_DIR/new.yaml" "$EFFECTIVE"
}

in_flight_is() {
  [ "$(queue_figure work-queue inFlight)" -eq "$1" ]
}

# settled MOST COUNT: from now on no more than MOST run, once what runs (40 tasks at most) has ended; for
# COUNT tasks.
settled() {
  load_mark "from-$1"
  ledger_wait "fan_step done" $(($(grep -c "fan_step done" "$PROBE_DIR/ledger") + $2 + 40))
  load_mark "to-$1"
  local took_ms ended
  read -r took_ms ended < <(load_settle "from-$1" "to-$1" "$1")
  echo "at most $1 at once after $took_ms ms, for $ended tasks"
  [ "$took_ms" -lt 1000 ] && [ "$ended" -ge "$2" ]
}

@test "slots and bounds follow the config under load, and no task is lost" {
  load_start 16 40 work-queue
  await in_flight_is 16 # two processes of 8
  effective_set "slots: 8" "slots: 12"
  hup "--group acts" worker.reloaded
  await in_flight_is 24
  effective_set "slots: 12" "slots: 20"
  hup "--group acts" worker.reloaded
  await in_flight_is 30 # the bound over the fleet
  effective_set "max_in_flight: 30" "max_in_flight: 5"
  hup argosy-engine engine.reloaded
  settled 5 60
  effective_set "max_in_flight: 5" "max_in_flight: 0"
  hup argosy-engine engine.reloaded
  await in_flight_is 40
  effective_set "slots: 20" "slots: 3"
  hup "--group acts" worker.reloaded
  settled 6 60
  effective_set "slots: 3" "slots: 24"
  hup "--group acts" worker.reloaded
  load_finish 16
  [ "$(log_count process.died)" = 0 ]
}

@test "fleet reload changes slots and bounds as processes run" {
  local before
  before=$(pgrep --parent "$FLEET_PID" | sort)
  load_start 1 -1 work-queue
  await in_flight_is 16
  sed -i 's/slots: 8/slots: 10/' "$FLEET_DIR/fleet.yaml"
  client fleet reload
  await in_flight_is 20
  sed -i 's/slots: 10/slots: 24/; s/max_in_flight: 30/max_in_flight: 40/' "$FLEET_DIR/fleet.yaml"
  client fleet reload
  await in_flight_is 40
  [ "$(pgrep --parent "$FLEET_PID" | sort)" = "$before" ]
  load_finish 1
}

@test "what an operator has set goes before the config, until it is reset" {
  load_start 1 -1 work-queue
  await in_flight_is 16
  client fleet set-concurrency work-queue 20 --keep
  client fleet set-concurrency work-queue 9 --per-process
  await in_flight_is 18
  effective_set "slots: 8" "slots: 14"
  effective_set "max_in_flight: 30" "max_in_flight: 25"
  hup "--group acts" worker.reloaded
  hup argosy-engine engine.reloaded
  run -0 client fleet set-concurrency work-queue 11 --per-process
  [[ "$output" == *"at most 20 at once over the fleet, 11 in each process"* ]]
  await in_flight_is 20
  run -0 client fleet set-concurrency work-queue --reset
  [[ "$output" == *"at most 25 at once over the fleet, in each process as it was configured"* ]]
  await in_flight_is 25
  load_finish 1
}

at_most() {
  argosy task-queue describe work-queue --address "ipc://$FLEET_DIR/data/engine.sock" |
    grep -q "(at most $1)"
}

@test "the engine takes the log level over" {
  effective_set "log_level: info" "log_level: error"
  effective_set "max_in_flight: 30" "max_in_flight: 7"
  pkill -HUP --parent "$FLEET_PID" --full argosy-engine
  await at_most 7
  [ "$(log_count event=engine.reloaded)" = 0 ]
  effective_set "log_level: error" "log_level: info"
  hup argosy-engine engine.reloaded
  [ "$(log_count event=engine.reloaded)" = 1 ]
}

@test "an error in the config leaves all as it was, and is logged" {
  load_start 1 -1 work-queue
  await in_flight_is 16
  effective_set "slots: 8" "slots: eight"
  effective_set "max_in_flight: 30" "max_in_flight: 1"
  hup "--group acts" worker.reload_failed
  hup argosy-engine engine.reload_failed
  grep "event=worker.reload_failed" "$FLEET_LOG" | grep "slots"
  run -0 argosy task-queue describe work-queue --address "ipc://$FLEET_DIR/data/engine.sock"
  [[ "$output" == *"16 at workers (at most 30)"* ]]
  # The others have nothing to read again, and go on.
  pkill -HUP --parent "$FLEET_PID" --full -- "argosy-(link|storage)"
  effective_set "slots: eight" "slots: 9"
  hup "--group acts" worker.reloaded
  await in_flight_is 18
  hup argosy-engine engine.reloaded
  load_finish 1
  [ "$(log_count process.died)" = 0 ]
}
