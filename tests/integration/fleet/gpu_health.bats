#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# GPUs in trouble, as a fake NVML (tests/fake_nvml) tells of them: whose workers drain and stay down,
# where their tasks run, and what becomes of the fleet when the helper dies, hangs or has no NVML. The
# workers have slices of a GPU that is not there, and compute on the CPU device.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
  probe_gpu_setup
  : >"$PROBE_DIR/batches"
  export FAKE_NVML=$FLEET_DIR/nvml
  mkdir "$FAKE_NVML"
  mkfifo "$FAKE_NVML/events"
  exec 7<>"$FAKE_NVML/events" # what is written there waits for the helper
  nvml_state
}

teardown() {
  exec 7>&-
  fleet_stop
}

# nvml_state LINES...: a GPU with three slices, and what else its driver says.
nvml_state() {
  {
    printf '%s\n' "$@"
    printf '%s\n' "gpu GPU-0 00000000:3B:00.0 0" "temperature 40" "slowdown 90" "memory 1000 4000" \
      "slice MIG-0 7 0" "slice MIG-1 8 0" "slice MIG-2 9 0"
  } >"$FAKE_NVML/state.new"
  mv "$FAKE_NVML/state.new" "$FAKE_NVML/state"
}

# xid NUMBER GPU_INSTANCE: the driver reports an error of a slice.
xid() {
  echo "8 0 $1 $2 0" >&7
}

# gpu_fleet [LIBRARY]
gpu_fleet() {
  fleet_config <<YAML
node: node-1
supervisor:
  gpu_health: {library: ${1:-$ARGOSY_BUILD_DIR/tests/fake_nvml/libfake_nvml.so}, interval_ms: 100, hang_ms: 3000}
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue}]
  - name: gpu
    kind: gpu
    gpus: [MIG-0, MIG-1]
    model: tiny
    processes: 2
    grace_ms: 1000
    queues: [{name: gpu-queue}]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
}

status() {
  client fleet status --output json
}

process_is() { # NAME STATE
  status | jq -e --arg name "$1" --arg state "$2" \
    'any(.nodes[].processes[]; .name == $name and .state == $state)' >/dev/null
}

gpu_is() { # UUID STATE [REASON]
  status | jq -e --arg uuid "$1" --arg state "$2" --arg reason "${3:-}" \
    'any(.nodes[].gpus[]; .uuid == $uuid and .health == $state and (.reason // "") == $reason)' >/dev/null
}

pid_of() { # NAME
  status | jq -r --arg name "$1" '.nodes[].processes[] | select(.name == $name) | .pid'
}

metrics() {
  curl --silent --fail --max-time 10 "http://$(status | jq -r '.nodes[0].http')/metrics"
}

embed() { # ID
  jq -n '["a text"]' >"$FLEET_DIR/$1.json"
  client workflow start --type BatchEmbedWorkflow --input-file "$FLEET_DIR/$1.json" --id "$1"
}

@test "an Xid drains the workers of that GPU and of no other; an application's own drains nobody" {
  gpu_fleet
  local first second
  await gpu_is MIG-0 well
  await gpu_is MIG-1 well
  first=$(pid_of gpu/0)
  second=$(pid_of gpu/1)
  xid 31 8
  fleet_wait_log "event=gpu.xid gpu=1 uuid=MIG-1 xid=31 answer=ignored"
  gpu_is MIG-1 well
  xid 79 8
  await process_is gpu/1 drained
  gpu_is MIG-1 bad "xid 79 (fell off the bus)"
  gpu_is MIG-0 well
  client fleet status | grep -E 'gpu MIG-1 .*bad \(xid 79 \(fell off the bus\)\)'
  client top --once --interval 100ms | grep -E '^MIG-1 .*node-1 .*bad .*xid 79'
  [ "$(pid_of gpu/0)" = "$first" ]
  client fleet status | grep -F "bad (xid 79 (fell off the bus))"
  metrics >"$FLEET_DIR/metrics"
  grep -F 'argosy_gpu_state{gpu="1",uuid="MIG-1",state="bad"} 1' "$FLEET_DIR/metrics"
  grep -F 'argosy_gpu_state{gpu="0",uuid="MIG-0",state="well"} 1' "$FLEET_DIR/metrics"
  grep -F 'argosy_gpu_xids_total{gpu="1",uuid="MIG-1"} 2' "$FLEET_DIR/metrics"
  grep -F 'argosy_gpu_temperature_celsius{gpu="0",uuid="MIG-0"} 40' "$FLEET_DIR/metrics"
  grep -F 'argosy_gpu_memory_used_bytes{gpu="0",uuid="MIG-0"} 1000' "$FLEET_DIR/metrics"

  # The fleet goes on with what it has, until that is bad, too.
  embed after
  client workflow result --id after
  xid 31 7
  echo "2 0 0 7 0" >&7 # a memory error of the other slice
  await gpu_is MIG-0 bad "double-bit memory error"
  await process_is gpu/0 drained
  run curl --silent --max-time 10 "http://$(status | jq -r '.nodes[0].http')/readyz"
  [[ "$output" == *"gpu/1 is drained, its GPU is bad: xid 79 (fell off the bus)"* ]]

  # An operator says that one is mended.
  client fleet undrain gpu/1
  await process_is gpu/1 ready
  await gpu_is MIG-1 well
  [ "$(pid_of gpu/1)" != "$second" ]
  process_is gpu/0 drained
  embed mended
  client workflow result --id mended
}

@test "the task of a drained worker runs on another GPU: no attempt, no loss" {
  gpu_fleet
  embed undisturbed
  local expected victim slice
  expected=$(client workflow result --id undisturbed --output json | jq -ce .result)
  await gpu_is MIG-1 well
  : >"$PROBE_DIR/hold"
  embed held
  await test ! -e "$PROBE_DIR/hold"
  victim=$(tail -n 1 "$PROBE_DIR/batches" | sed -E 's/.*pid=([0-9]+).*/\1/')
  slice=7
  [ "$victim" = "$(pid_of gpu/0)" ] || slice=8
  xid 95 "$slice"
  [ "$(client workflow result --id held --output json | jq -ce .result)" = "$expected" ]
  history held | jq -e '[.events[].activityTaskStartedEventAttributes | select(. != null)] | last |
    (.attempt // 1) == 1' >/dev/null
  [[ "$(identities held compute_embeddings | tail -n 1)" != "$victim@"* ]]
}

@test "a contained memory error starts the workers of its GPU anew" {
  gpu_fleet
  local first second
  await gpu_is MIG-1 well
  first=$(pid_of gpu/0)
  second=$(pid_of gpu/1)
  xid 94 8
  restarted() { process_is gpu/1 ready && [ "$(pid_of gpu/1)" != "$second" ]; }
  await restarted
  [ "$(pid_of gpu/0)" = "$first" ]
  gpu_is MIG-1 well
}

@test "heat is told, and rows that cannot be replaced drain" {
  gpu_fleet
  local before
  await gpu_is MIG-1 well
  before=$(workers gpu)
  echo "throttle 64" >>"$FAKE_NVML/state"
  await gpu_is MIG-0 degraded "throttled by heat"
  echo "temperature 97" >>"$FAKE_NVML/state"
  await gpu_is MIG-0 degraded "hot: 97 degrees Celsius"
  nvml_state
  await gpu_is MIG-0 well
  [ "$(workers gpu)" = "$before" ]
  echo "rows 3 1 0 1" >>"$FAKE_NVML/state"
  await gpu_is MIG-0 bad "a row of its memory could not be replaced"
  await process_is gpu/0 drained
}

@test "a helper that dies or hangs is replaced; workers go on" {
  gpu_fleet
  local first hung
  await gpu_is MIG-1 well
  first=$(pid_of gpu/0)
  strike argosy-gpu-health
  fleet_wait_log "event=gpu.unwatched gpu=1"
  await gpu_is MIG-1 well
  # A driver that does not answer any more.
  nvml_state "hang nvmlDeviceGetTemperature"
  await test -e "$FAKE_NVML/hung"
  hung=$(pid_of gpu-health)
  nvml_state
  fleet_wait_log "event=process.replacing name=gpu-health"
  replaced() { process_is gpu-health ready && [ "$(pid_of gpu-health)" != "$hung" ]; }
  await replaced
  await gpu_is MIG-1 well
  # What the new one tells counts.
  xid 79 8
  await process_is gpu/1 drained
  [ "$(workers gpu)" = "$first" ]
}

@test "a GPU that is lost is bad, and stays so over a restart of the fleet" {
  gpu_fleet
  await gpu_is MIG-1 well
  nvml_state
  echo "fails 15" >>"$FAKE_NVML/state" # after the GPU's own lines
  await gpu_is MIG-0 bad "GPU is lost"
  await process_is gpu/0 drained
  await process_is gpu/1 drained
  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  nvml_state
  : >"$FLEET_LOG"
  fleet_start
  process_is gpu/0 drained
  gpu_is MIG-0 bad "GPU is lost"
  client fleet undrain gpu
  await process_is gpu/0 ready
  await process_is gpu/1 ready
  await gpu_is MIG-0 well
}

@test "a reload takes over what counts as trouble, and who watches" {
  gpu_fleet
  local first helper
  await gpu_is MIG-1 well
  first=$(pid_of gpu/0)
  helper=$(pid_of gpu-health)
  sed -i 's/gpu_health: {/gpu_health: {fatal_xids: [31], /' "$FLEET_DIR/fleet.yaml"
  client fleet reload
  [ "$(pid_of gpu-health)" = "$helper" ] # rules are not its business
  xid 31 8
  await process_is gpu/1 drained
  gpu_is MIG-1 bad "xid 31 (memory page fault)"
  sed -i 's/gpu_health: {/gpu_health: {enabled: false, /' "$FLEET_DIR/fleet.yaml"
  client fleet reload
  await gpu_is MIG-0 unwatched
  gpu_is MIG-1 bad "xid 31 (memory page fault)" # nobody said that it is well
  has_no_helper() { ! status | jq -e 'any(.nodes[].processes[]; .name == "gpu-health")' >/dev/null; }
  await has_no_helper
  [ "$(pid_of gpu/0)" = "$first" ]
}

@test "without NVML the fleet runs, and its GPUs are unwatched" {
  gpu_fleet "$FLEET_DIR/no-such-library.so"
  fleet_wait_log "event=nvml.absent"
  await process_is gpu-health failed
  gpu_is MIG-0 unwatched
  embed alone
  client workflow result --id alone
  grep -c "fleet ready$" "$FLEET_LOG"
}
