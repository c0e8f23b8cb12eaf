# SPDX-License-Identifier: Apache-2.0
# load.bash: thousands of activities at once, and a ledger of what became of each; for bats files.

load ../../fleet.bash

# load_groups: the groups "flows" (workflow tasks) and "acts" (two processes for work-queue).
load_groups() {
  cat <<YAML
  - name: flows
    kind: cpu
    processes: 1
    activities: false
    queues: [{name: cpu-queue}]
    plugins: [$PROBE_SO]
  - name: acts
    kind: cpu
    processes: 2
    workflows: false
    grace_ms: 3000
    queues: [{name: work-queue, slots: 8}]
    plugins: [$PROBE_SO]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
}

# load_fleet [LINE...]: a fleet of these groups, for setup; its config begins with the lines.
load_fleet() {
  fleet_setup
  probe_setup
  { printf '%s\n' "$@" "groups:"; load_groups; } | fleet_config
  fleet_start
}

# load_start N MS QUEUE: starts N runs, fan-1 to fan-N, of 1,000 activities each, on the queue; each
# takes MS milliseconds, or when below 0 until load_release. N is more than a slow machine gets done
# before load_release.
load_start() {
  local i
  for ((i = 1; i <= $1; i++)); do
    client workflow start --type FanWorkflow --task-queue cpu-queue --id "fan-$i" --input \
      "{\"queue\": \"$3\", \"count\": 1000, \"first\": $((i * 1000)), \"ms\": $2}" || return 1
  done
}

# load_release: what is left of the load takes no time.
load_release() {
  : >"$PROBE_DIR/release"
}

# load_finish N: releases the runs and waits for them, then: each activity ran exactly once.
load_finish() {
  local i
  load_release
  for ((i = 1; i <= $1; i++)); do
    client workflow result --id "fan-$i" --wait 120s || return 1
  done
  local what
  for what in started done; do
    grep "fan_step $what" "$PROBE_DIR/ledger" | sed -E 's/.*from=//' | sort -n | cmp - <(seq 1000 $(($1 * 1000 + 999))) ||
      { echo "not each was $what exactly once"; return 1; }
  done
  ! grep -v "attempt=1 loss=0" <(grep fan_step "$PROBE_DIR/ledger")
}

# load_mark NAME: a line in the ledger.
load_mark() {
  printf '%s000 mark %s\n' "$(date +%s%3N)" "$1" >>"$PROBE_DIR/ledger"
}

# load_settle FROM TO MOST: between two marks: the milliseconds until no more than MOST ran at once,
# for good, and how many ended after that.
load_settle() {
  awk -v from="$1" -v to="$2" -v most="$3" '
    $2 == "mark" && $3 == from { inside = 1; begin_us = last_us = $1 }
    $2 == "mark" && $3 == to { inside = 0 }
    $3 == "started" { running++ }
    $3 == "done" { running--; ended += inside }
    inside && running > most { last_us = $1; ended = 0 }
    END { printf "%d %d\n", (last_us - begin_us) / 1000, ended }' "$PROBE_DIR/ledger"
}

# queue_figure QUEUE FIGURE: a number of the queue's activities, such as inFlight.
queue_figure() {
  client task-queue describe "$1" --task-queue-type activity --output json |
    jq -r --arg path "$2" '.activity | getpath($path / ".") // 0 | tonumber'
}
