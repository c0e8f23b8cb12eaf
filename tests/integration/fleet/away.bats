#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What processes cost whose engine is away: they try again, and wake up seldom meanwhile, however
# long it lasts.

load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<YAML
engine: {endpoint: "tcp://127.0.0.1:9", insecure: true}
groups:
  - {name: acts, kind: cpu, processes: 2, queues: [{name: cpu-queue}]}
YAML
  argosy up -c "$FLEET_DIR/fleet.yaml" >"$FLEET_LOG" 2>&1 3>&- &
  FLEET_PID=$!
  # Each has tried for a while: the first attempts are closer to each other. The link is the oldest.
  fleet_wait_log "worker=acts/0 .*waiting for the engine"
  fleet_wait_log "worker=acts/1 .*waiting for the engine"
}

teardown() {
  fleet_stop
}

# How often the threads of a process have waited for something so far.
waits() { # PID
  cat "/proc/$1"/task/*/status | awk '/^voluntary_ctxt_switches/ { sum += $2 } END { print sum }'
}

@test "without an engine a process wakes up less than ten times a second" {
  local pid count
  local -A before=()
  for pid in $(pgrep --parent "$FLEET_PID"); do before[$pid]=$(waits "$pid"); done
  [ "${#before[@]}" = 3 ]
  # The measured span; nothing is waited for here.
  timeout 5 tail -f /dev/null || true
  for pid in "${!before[@]}"; do
    count=$(($(waits "$pid") - before[$pid]))
    echo "$(tr '\0' ' ' <"/proc/$pid/cmdline"): $count in 5 s"
    [ "$count" -lt 50 ]
  done
}
