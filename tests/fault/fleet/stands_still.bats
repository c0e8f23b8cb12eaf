#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Workers whose work stands still while their process lives: a batch that never returns, workflow code
# that computes or waits for ever. They are replaced, or go on without it; the work completes.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
}

teardown() {
  fleet_stop
}

# start_cpu_fleet HANG_MS: one process for everything, whose session outlasts what it computes.
start_cpu_fleet() {
  fleet_config <<YAML
engine: {lease_ms: 600000}
groups:
  - name: cpu
    kind: cpu
    processes: 1
    hang_ms: $1
    queues: [{name: cpu-queue}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
}

# start_probe TYPE ID [OPTIONS...]
start_probe() {
  client workflow start --type "$1" --task-queue cpu-queue --id "$2" "${@:3}"
}

@test "a GPU worker whose batch never returns is drained, killed and replaced; its task completes" {
  probe_gpu_setup
  fleet_config <<YAML
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: 2
    hang_ms: 3000
    queues: [{name: gpu-queue}]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
  echo '["a text"]' >"$FLEET_DIR/input.json"
  : >"$PROBE_DIR/hold"
  client workflow start --type BatchEmbedWorkflow --input-file "$FLEET_DIR/input.json" --id held
  await test ! -e "$PROBE_DIR/hold"
  local victim
  victim=$(sed -E 's/batch pid=([0-9]+).*/\1/' "$PROBE_DIR/batches" | tail -1)
  # Its session is alive, its poll loop turns: only the batch stands.
  fleet_wait_log "event=process.replacing name=gpu/. pid=$victim reason=\"no progress\""
  fleet_wait_log "event=process.died name=gpu/. pid=$victim reason=\"no progress, signal 9 (killed)\""
  client workflow result --id held
  local last
  last=$(identities held compute_embeddings | tail -1)
  [ "${last%%@*}" != "$victim" ]
}

@test "a workflow that computes for ever fails its task by name; the worker goes on with the others" {
  # On a busy machine some seconds of processor time are many.
  start_cpu_fleet 60000
  local worker
  worker=$(workers cpu)
  start_probe ProbeLoop endless --task-timeout 60s
  start_probe ProbePass other
  client workflow result --id other
  fleet_wait_log 'the code computed for over 2 s without waiting for anything'
  # The worker tells before the engine hears of it.
  await eval 'history endless | jq -e "any(.events[]; .workflowTaskFailedEventAttributes != null)" >/dev/null'
  grep 'workflow type "ProbeLoop", id "endless", run "' <(sed 's/\\"/"/g' "$FLEET_LOG")
  history endless | jq -e '[.events[].workflowTaskFailedEventAttributes | select(. != null)] | length == 1'
  [ "$(workers cpu)" = "$worker" ]
  # Mended code: the run was not lost.
  : >"$PROBE_DIR/release"
  client workflow result --id endless
  [ "$(workers cpu)" = "$worker" ]
}

@test "a workflow that waits for what is no future: its worker is replaced, the others go on" {
  start_cpu_fleet 3000
  local worker
  worker=$(workers cpu)
  start_probe ProbeBlock blocked
  fleet_wait_log "event=process.replacing name=cpu/0 pid=$worker reason=\"no progress\""
  : >"$PROBE_DIR/release"
  start_probe ProbePass other
  client workflow result --id other
  client workflow result --id blocked
  grep "event=process.died name=cpu/0 pid=$worker reason=\"no progress, signal 9 (killed)\"" "$FLEET_LOG"
}
