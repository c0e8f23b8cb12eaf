#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The node's link tells the engine of dead workers, and its own death is no worker's: sessions go on,
# the next link takes over and tells what nobody has told. The lease is ten minutes: what is heard
# of a death is heard through the link.

bats_require_minimum_version 1.5.0
load ../../integration/fleet/load.bash

setup() {
  fleet_setup
  probe_setup
  fleet_config <<YAML
engine: {lease_ms: 600000}
queues: [{name: work-queue, max_in_flight: 12}]
groups:
  - name: flows
    kind: cpu
    processes: 1
    activities: false
    queues: [{name: cpu-queue}]
    plugins: [$PROBE_SO]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: 2
    queues: [{name: work-queue}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
}

teardown() {
  fleet_stop
}

in_flight_is() {
  [ "$(queue_figure work-queue inFlight)" -eq "$1" ]
}

# begun PID: the tasks that it has begun and not ended, one number a line.
begun() {
  awk -v pid="pid=$1" '$4 == pid && $3 == "started" { open[$7] = 1 } $4 == pid && $3 == "done" { delete open[$7] }
    END { for (task in open) { sub("from=", "", task); print task } }' "$PROBE_DIR/ledger"
}

# victim: a GPU worker with tasks.
victim() {
  local pid
  while :; do
    for pid in $(workers gpu); do
      [ -z "$(begun "$pid")" ] || { echo "$pid"; return; }
    done
  done
}

# begun_elsewhere PID TASK...: each of them was begun by another process.
begun_elsewhere() {
  local task
  for task in "${@:2}"; do
    grep "fan_step started .* from=$task\$" "$PROBE_DIR/ledger" | grep -qv "pid=$1 " || return 1
  done
}

link_pid() {
  pgrep --parent "$FLEET_PID" --full -- argosy-link
}

log_has() { # TEXT COUNT
  [ "$(grep -c -- "$1" "$FLEET_LOG")" -ge "$2" ]
}

# link_strike COUNT: kills the link so often, each time the next one.
link_strike() {
  local before count
  before=$(grep -c "event=process.ready name=link" "$FLEET_LOG")
  for ((count = 1; count <= $1; count++)); do
    strike argosy-link
    await log_has "event=process.ready name=link" $((before + count))
  done
}

# finish RUNS LOST...: all runs end; each task ended once, and none but LOST was begun twice.
finish() {
  local i
  for ((i = 1; i <= $1; i++)); do
    client workflow result --id "fan-$i" --wait 120s
  done
  grep "fan_step done" "$PROBE_DIR/ledger" | sed 's/.*from=//' | sort -n | cmp - <(seq 1000 $(($1 * 1000 + 999)))
  grep "fan_step started" "$PROBE_DIR/ledger" | sed 's/.*from=//' | sort -n | uniq -d |
    cmp - <(printf '%s\n' "${@:2}" | grep . | sort -n)
  # A loss is no attempt.
  ! grep "fan_step" "$PROBE_DIR/ledger" | grep -v "attempt=1 " || return 1
  [ "$(grep -c "fan_step .* loss=1 " "$PROBE_DIR/ledger")" = $((2 * ($# - 1))) ]
}

@test "a GPU worker killed: its tasks run at the other one by the link's word, long before the lease" {
  load_start 1 -1 work-queue
  await in_flight_is 12
  local pid tasks began_us took_us
  pid=$(victim)
  await eval '[ "$(grep -c "fan_step started" "$PROBE_DIR/ledger")" = 12 ]'
  mapfile -t tasks < <(begun "$pid")
  began_us=${EPOCHREALTIME/./}
  kill -KILL "$pid"
  await begun_elsewhere "$pid" "${tasks[@]}"
  took_us=$((${EPOCHREALTIME/./} - began_us))
  echo "${#tasks[@]} tasks run elsewhere after $took_us us"
  [ "$took_us" -lt 10000000 ]
  fleet_wait_log "event=death.told pid=$pid tasks_lost=${#tasks[@]}\$"
  load_release
  finish 1 "${tasks[@]}"
}

@test "the link killed again and again under load: sessions go on, nothing is lost or run twice" {
  load_start 2 40 work-queue
  ledger_wait "fan_step done" 50
  link_strike 5
  [ "$(grep -c "event=process.died" "$FLEET_LOG")" = 5 ]
  run -0 --separate-stderr client fleet status --output json
  jq -e '.nodes[0].processes | length == 6' <<<"$output"
  finish 2
  ! grep "lost the engine" "$FLEET_LOG"
}

@test "a worker dies while there is no link: the next one tells" {
  load_start 1 -1 work-queue
  await in_flight_is 12
  await eval '[ "$(grep -c "fan_step started" "$PROBE_DIR/ledger")" = 12 ]'
  link_strike 3 # the next one is longer away
  local pid tasks
  pid=$(victim)
  mapfile -t tasks < <(begun "$pid")
  strike argosy-link
  kill -KILL "$pid"
  await begun_elsewhere "$pid" "${tasks[@]}"
  fleet_wait_log "event=death.told pid=$pid"
  # Not before there was one. Which of the two deaths the supervisor hears of first is chance.
  grep -E "event=(process.ready name=link|process.died name=(link|gpu)|death.told pid=$pid)" "$FLEET_LOG" |
    sed -E 's/.*event=//; s/ pid=.*//; s#name=gpu/.*#name=gpu#' | tail -n 4 >"$FLEET_DIR/order"
  cmp <(head -n 2 "$FLEET_DIR/order" | sort) <(printf '%s\n' "process.died name=gpu" "process.died name=link")
  cmp <(tail -n 2 "$FLEET_DIR/order") <(printf '%s\n' "process.ready name=link" "death.told")
  load_release
  finish 1 "${tasks[@]}"
}

@test "the link stands still while a worker dies: it tells when it goes on" {
  load_start 1 -1 work-queue
  await in_flight_is 12
  await eval '[ "$(grep -c "fan_step started" "$PROBE_DIR/ledger")" = 12 ]'
  local pid tasks link
  pid=$(victim)
  link=$(link_pid)
  mapfile -t tasks < <(begun "$pid")
  kill -STOP "$link"
  kill -KILL "$pid"
  # The supervisor knows, brings the worker back, and waits for nobody.
  await log_has "event=process.ready name=gpu/" 3
  ! begun_elsewhere "$pid" "${tasks[@]}" || false
  kill -CONT "$link"
  await begun_elsewhere "$pid" "${tasks[@]}"
  [ "$(link_pid)" = "$link" ]
  load_release
  finish 1 "${tasks[@]}"
}
