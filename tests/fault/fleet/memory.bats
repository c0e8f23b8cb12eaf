#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Workers that take too much memory: watched and replaced, or killed by the kernel; the reason says
# which, and the work completes.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
  CGROUP=
}

teardown() {
  fleet_stop
  [ -z "$CGROUP" ] || rmdir "$CGROUP"
}

# eating_config MEMORY_MB EAT_MB [CGROUP]: one CPU worker, whose ProbeEat takes so much.
eating_config() {
  fleet_config <<YAML
supervisor: {cgroup: ${3:-none}}
groups:
  - name: cpu
    kind: cpu
    processes: 1
    memory_mb: $1
    queues: [{name: cpu-queue}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}, {name: PROBE_EAT_MB, value: "$2"}]
YAML
}

eat() {
  client workflow start --type ProbeEat --task-queue cpu-queue --id eater
}

# cgroup_make BYTES: a control group of the machine's own, bounded to so much memory, that the test may
# use. Sets CGROUP; fails where there is none to be had.
cgroup_make() {
  local root limit
  if [ -w /sys/fs/cgroup/memory/memory.limit_in_bytes ] || [ -d /sys/fs/cgroup/memory ]; then
    root=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
  elif grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
    root=/sys/fs/cgroup limit=memory.max
  else
    return 1
  fi
  mkdir "$root/argosy-test-$$" 2>/dev/null || return 1
  CGROUP=$root/argosy-test-$$
  echo "$1" >"$CGROUP/$limit"
}

@test "a worker over its limit is drained and replaced, and its task completes" {
  eating_config 64 300
  fleet_start
  fleet_wait_log "event=memory.limits_watched"
  local worker
  worker=$(workers cpu)
  eat
  fleet_wait_log "event=process.replacing name=cpu/0 pid=$worker reason=\"over its memory limit\""
  client workflow result --id eater
  grep -E "event=process.died name=cpu/0 pid=$worker reason=\"over its memory limit: [0-9,]+ of 64 MB, exit 0" \
    "$FLEET_LOG"
}

@test "what the kernel kills for want of memory is told as such, and its task completes" {
  cgroup_make $((200 << 20)) || skip "no control group of memory can be made here"
  eating_config 0 1000
  # The fleet goes into the group by itself: exec keeps the process.
  bash -c 'echo $$ >"$0/cgroup.procs" && exec argosy up -c "$1"' "$CGROUP" "$FLEET_DIR/fleet.yaml" \
    >>"$FLEET_LOG" 2>&1 3>&- &
  FLEET_PID=$!
  fleet_wait_log "fleet ready"
  local worker
  worker=$(workers cpu)
  eat
  fleet_wait_log "event=process.died name=cpu/0 pid=$worker reason=\"killed by the kernel: out of memory\""
  client workflow result --id eater
  # One that somebody else kills is no such thing.
  worker=$(workers cpu)
  kill -KILL "$worker"
  fleet_wait_log "event=process.died name=cpu/0 pid=$worker reason=\"signal 9 (killed)\""
}

# A folder that looks like a control group: what is written is the supervisor's part, and the kernel's
# part is played here. tests/integration/supervisor has the kernel's own, where there is one.
@test "a worker in a control group of its own: bounded there, and its kills are counted there" {
  local cgroup=$FLEET_DIR/cgroup leaf=$FLEET_DIR/cgroup/argosy.worker.cpu.0 worker
  mkdir -p "$leaf" "$cgroup/argosy.supervisor"
  echo "cpu memory" >"$cgroup/cgroup.controllers"
  touch "$cgroup"/cgroup.{procs,subtree_control} "$cgroup/argosy.supervisor/cgroup.procs"
  touch "$leaf"/{memory.max,memory.swap.max,memory.oom.group,cgroup.procs,cgroup.kill}
  echo "oom_kill 3" >"$leaf/memory.events"
  eating_config 64 300 "$cgroup"
  # Without a terminal SIGHUP is a wish to reload.
  setsid argosy up -c "$FLEET_DIR/fleet.yaml" >>"$FLEET_LOG" 2>&1 3>&- &
  FLEET_PID=$!
  fleet_wait_log "fleet ready"
  fleet_wait_log "event=memory.limits_enforced by=kernel cgroup=\"$cgroup\""
  [ "$(cat "$cgroup/argosy.supervisor/cgroup.procs")" = "$FLEET_PID" ]
  [ "$(cat "$cgroup/cgroup.subtree_control")" = +memory ]
  [ "$(cat "$leaf/memory.max")" = $((64 << 20)) ]
  [ "$(cat "$leaf/memory.oom.group")" = 1 ]
  [ "$(cat "$leaf/cgroup.procs")" = 0 ]
  # Nobody but the kernel looks at its memory.
  worker=$(workers cpu)
  eat
  ledger_wait eating
  kill -KILL "$worker"
  fleet_wait_log "event=process.died name=cpu/0 pid=$worker reason=\"signal 9 (killed)\""
  client workflow result --id eater
  worker=$(workers cpu)
  echo "oom_kill 4" >"$leaf/memory.events"
  kill -KILL "$worker"
  fleet_wait_log "event=process.died name=cpu/0 pid=$worker reason=\"killed by the kernel: out of memory, over its limit of 64 MB\""
  # Another limit for a worker that runs.
  client workflow execute --type ProbePass --task-queue cpu-queue --id up-again
  sed -i 's/memory_mb: 64/memory_mb: 96/' "$FLEET_DIR/fleet.yaml"
  : >"$leaf/memory.max"
  kill -HUP "$FLEET_PID"
  timeout 60 bash -c 'until [ "$(cat "$0")" = $((96 << 20)) ]; do :; done' "$leaf/memory.max"
}
