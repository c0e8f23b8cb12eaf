#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# CPU and GPU queues do not starve each other: a task of one is done while thousands of the other
# wait and hold every slot that is theirs. Nothing here measures time.

bats_require_minimum_version 1.5.0
load load.bash

setup() {
  fleet_setup
  probe_setup
  fleet_config <<YAML
groups:
  - name: cpu
    kind: cpu
    processes: 2
    queues: [{name: cpu-queue, slots: 8}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
  - {name: gpu, kind: gpu, device: cpu, processes: 1, model: tiny, queues: [{name: gpu-queue, slots: 16}]}
YAML
  fleet_start
}

teardown() {
  fleet_stop
}

backlog_is() { # QUEUE N
  [ "$(queue_figure "$1" stats.approximateBacklogCount)" = "$2" ]
}

# scale QUEUE MEMBER: a figure of the queue's activities, as an autoscaler gets it.
scale() {
  local http
  http=$(client fleet status --output json | jq -r '.nodes[0].http')
  curl --fail --silent "http://$http/v1/scale?queue=$1&kind=activity" | jq -r ".$2"
}

scale_is() { # QUEUE MEMBER VALUE
  [ "$(scale "$1" "$2")" = "$3" ]
}

@test "5,000 queued CPU tasks do not delay a GPU task" {
  load_start 5 -1 cpu-queue
  # Every CPU slot is taken by a task that waits; all others are in the queue.
  await backlog_is cpu-queue 4984
  [ "$(queue_figure cpu-queue inFlight)" = 16 ]
  scale_is cpu-queue desired_work 5000
  client workflow execute --type FanWorkflow --task-queue cpu-queue --id gpu-1 \
    --input '{"queue": "gpu-queue", "type": "run_inference", "count": 1}'
  # It is done, and not one of the CPU tasks is.
  backlog_is cpu-queue 4984
  [ "$(grep -c "fan_step done" "$PROBE_DIR/ledger")" = 0 ]
  load_finish 5
}

@test "2,000 queued GPU tasks do not delay a CPU task" {
  client fleet drain gpu
  local i
  for i in 1 2; do
    client workflow start --type FanWorkflow --task-queue cpu-queue --id "gpu-$i" \
      --input '{"queue": "gpu-queue", "type": "run_inference", "count": 1000}'
  done
  await backlog_is gpu-queue 2000
  # No worker polls the queue; an autoscaler hears of its work all the same.
  await scale_is gpu-queue desired_work 2000
  scale_is gpu-queue pollers 0
  client workflow execute --type ProbePass --task-queue cpu-queue --id cpu-1
  backlog_is gpu-queue 2000
  client fleet undrain gpu
  for i in 1 2; do
    client workflow result --id "gpu-$i" --wait 120s
  done
  await scale_is gpu-queue desired_work 0
}
