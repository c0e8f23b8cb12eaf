#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A node whose disk is full, and has room again: a small file system of the fleet's own holds its data.
# What was acknowledged is there, what had completed does not run again.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  unshare --map-root-user --mount mount -t tmpfs none /mnt 2>/dev/null ||
    skip "file systems cannot be mounted here"
  fleet_setup
  probe_setup
  fleet_config <<YAML
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue, slots: 64}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  mkdir "$FLEET_DIR/data"
  # Only the fleet sees the file system: the supervisor is the process that made it.
  unshare --map-root-user --mount bash -c '
    mount -t tmpfs -o size=16m,mode=700 none "$1/data" && exec argosy up -c "$1/fleet.yaml"' \
    - "$FLEET_DIR" >>"$FLEET_LOG" 2>&1 3>&- &
  FLEET_PID=$!
  fleet_wait_log "fleet ready"
  DATA=/proc/$FLEET_PID/root$FLEET_DIR/data
}

teardown() {
  [ -z "${FLEET_DIR:-}" ] || fleet_stop
}

client() {
  nsenter --target "$FLEET_PID" --user --mount --preserve-credentials --wd="$PWD" \
    argosy "$@" --data-dir "$FLEET_DIR/data"
}

@test "the disk is full, and has room again" {
  start_many before 10
  client workflow start --type ProbeThree --task-queue cpu-queue --id three-1
  ledger_wait "probe_gate waiting"

  run dd if=/dev/zero of="$DATA/filler" bs=4k
  [[ "$output" == *"No space left"* ]]
  start_many full 10000
  fleet_wait_log "process.died name=engine .*exit 74"
  run -69 client workflow start --type ProbePass --task-queue cpu-queue --id refused-1
  gate_open # the activity completes, and has nobody to tell
  ledger_wait "probe_gate passed"

  rm "$DATA/filler"
  await client workflow start --type ProbePass --task-queue cpu-queue --id after-1
  client workflow result --id after-1
  client workflow result --id three-1
  history three-1 | jq -e '[.events[] | select(.activityTaskCompletedEventAttributes != null)] |
    length == 3'
  check_acknowledged
  # The gate's activity was reclaimed, not repeated.
  [ "$(grep -c "probe_gate waiting" "$PROBE_DIR/ledger")" = 1 ]
}
