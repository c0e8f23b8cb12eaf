#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/operations.md, word for word.

load ../../page.bash

setup() {
  page_setup docs/operations.md
  PATH="$PWD/build/release/bin:$PATH"
}

teardown() {
  fleet_stop
}

@test "the page's commands do what it says" {
  page_fleet "Looking" 1
  page_says "Looking" 2 "node node-1: running" "group cpu: 2 of 2 ready" "gpu/0  ready" "gpu-queue 0/32" \
    "activity tasks: 0 waiting, 0 at workers (at most 64)" '"maxInFlight": 64'
  page_says "Looking" 3 "1 node, 3 of 3 workers ready" "gpu-queue  activity" '"donePerSecond":'
  page_says "Concurrency" 1 "at most 8 at once over the fleet" ", 4 in each process" \
    "set to 4 in each process" "at most 64 at once over the fleet, in each process as it was configured"
  page_says "Pausing a queue" 1 "gpu-queue: paused" "paused: nothing is handed out" '["gpu-queue"]' \
    "gpu-queue: resumed"
  page_says "Where processes run" 1 "NUMA node" "gpu/0 " "configuration: fleet.yaml"
  [ -s plan.svg ]
  page_says "Draining" 1 "1 worker drained" "gpu/0  drained" "2 workers drained" "3 workers ready"
  page_says "Changing a running fleet" 1 "3 workers ready" "2 workers ready" \
    "groups[cpu].queues[cpu-queue].slots: 16 -> 24" "1 process ready"
  page_says "Scaling" 1 '"queue":"gpu-queue","desired_work":0,"backlog":0' '"slots":32'
  page_says "Probes" 1 $'ok\nok\nok'
  page_says "Probes" 2 '{"connected":true}'
  page_says "Metrics" 1 'argosy_task_queue_max_in_flight{queue="gpu-queue",kind="activity"} 64' \
    'argosy_workers{group="cpu",state="ready"} 2' 'argosy_engine_up 1'
  page_says "Reporting a bug" 1 "report.tar.gz: " "argosy fleet report of node node-1" "  log/supervisor.txt" "  fleet.json"
}
