#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Everything that can happen to a node, at random and under load: processes killed and stopped, memory
# eaten, programs that cannot be executed, a log that nobody reads, and all that operators do. What a
# client was told holds: each run completes, each activity completes once, and none that had completed
# begins again. Then the node is whole within seconds, and has leaked neither process nor descriptor.
#
#   ARGOSY_CHAOS_SECONDS=300 ARGOSY_CHAOS_SEED=N ctest --test-dir build/release -R fault_chaos
#
# A seed gives the same deeds in the same order; when they strike is the machine's.

bats_require_minimum_version 1.5.0
load ../../integration/fleet/load.bash

CPU_WORKERS=3
GPU_WORKERS=2
GRACE_MS=1000
HANG_MS=3000
MEMORY_MB=120
BACK_WITHIN_MS=45000 # the longest delay of a worker that died often is 30 s (spec 04, section 6)

# Deeds, each as often as it is likely.
DEEDS=(kill_worker kill_worker kill_worker kill_worker stop_worker stop_worker kill_link kill_storage
  kill_engine eat_memory exec_failure full_pipe full_pipe restart_group restart_group reload reload
  reload concurrency concurrency scale scale pause drain drain upgrade upgrade)

setup() {
  fleet_setup
  probe_setup
  probe_gpu_setup
  cd "$FLEET_DIR"
  : >acknowledged
  : >deeds
  mkfifo never log
  exec 8<>never # nobody writes to it: reading it for a while lets time pass
  chaos_config 16 original
  # The supervisor's log is a pipe that is full soon when its reader stops (F_SETPIPE_SZ).
  exec 9<>log
  python3 -c 'import fcntl; fcntl.fcntl(9, 1031, 4096)'
  cat <log >"$FLEET_LOG" 3>&- 8>&- 9>&- &
  READER=$!
  argosy up -c fleet.yaml >log 2>&1 3>&- 8>&- 9>&- &
  FLEET_PID=$!
  fleet_wait_log "event=fleet.ready"
  exec 9>&-
}

teardown() {
  kill -KILL "${LOAD_PID:-}" 2>/dev/null || true
  kill -CONT "${READER:-}" 2>/dev/null || true
  fleet_stop
}

# chaos_config SLOTS TOKEN: what changes in a reload: slots live, the token by a restart of the group.
chaos_config() {
  fleet_config <<YAML
node: chaos
supervisor: {cgroup: none}
groups:
  - name: cpu
    kind: cpu
    processes: $CPU_WORKERS
    grace_ms: $GRACE_MS
    hang_ms: $HANG_MS
    memory_mb: $MEMORY_MB
    queues: [{name: cpu-queue, slots: $1}]
    plugins: [$PROBE_SO]
    environment:
      - {name: PROBE_DIR, value: $PROBE_DIR}
      - {name: PROBE_EAT_MB, value: "$((2 * MEMORY_MB))"}
      - {name: TOKEN, value: $2}
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: $GPU_WORKERS
    grace_ms: $GRACE_MS
    hang_ms: $HANG_MS
    queues: [{name: gpu-queue}]
YAML
}

# pass MS: lets time pass; what happens in it is the test.
pass() {
  read -r -t "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" <&8 || true
}

# one_of WORD...: sets "one" to one of them by chance.
one_of() {
  local words=("$@")
  one=${words[RANDOM % $#]}
}

# --- The load -----------------------------------------------------------------------------------

# start ID ARGUMENTS...: what a client was told to be started is written down.
start() {
  if timeout 20 argosy workflow start --data-dir data --id "$@" >/dev/null 2>&1; then
    printf '%s\n' "$1" >>acknowledged
  fi
}

# load: starts runs, one after the other, until it is ended: short activities, some that outlast the
# grace period, and embeddings.
load() {
  local number=0
  echo '["one text", "another text"]' >texts.json
  while [ ! -e calm ]; do
    number=$((number + 1))
    case $((number % 5)) in
    0) start "embed-$number" --type BatchEmbedWorkflow --input-file texts.json ;;
    1) start "slow-$number" --type FanWorkflow --task-queue cpu-queue --input \
      "{\"queue\": \"cpu-queue\", \"count\": 2, \"first\": $((number * 10)), \"ms\": $((3 * GRACE_MS))}" ;;
    *) start "fan-$number" --type FanWorkflow --task-queue cpu-queue --input \
      "{\"queue\": \"cpu-queue\", \"count\": 10, \"first\": $((number * 10)), \"ms\": 20}" ;;
    esac
    pass 300
  done
}

# --- The deeds ----------------------------------------------------------------------------------

# order ARGUMENTS...: an operator's order, who waits a while for it; it may be refused, as when the
# engine is away.
order() {
  timeout 5 argosy fleet "$@" --data-dir data >>orders 2>&1 3>&- 8>&- || true
}

# some_worker: sets "one" to the process id of a worker, by chance; fails where there is none.
some_worker() {
  local pids
  mapfile -t pids < <(pgrep --parent "$FLEET_PID" --full -- "--group (cpu|gpu) " | sort -n)
  ((${#pids[@]} > 0)) && one_of "${pids[@]}"
}

kill_worker() { some_worker && kill -KILL "$one" || true; }
kill_link() { pkill -KILL --parent "$FLEET_PID" --full -- argosy-link || true; }
kill_storage() { pkill -KILL --parent "$FLEET_PID" --full -- argosy-storage || true; }
kill_engine() { pkill -KILL --parent "$FLEET_PID" --full -- argosy-engine || true; }

# For ever: the supervisor has to find that it makes no progress, which it watches in those that have
# told some: in one that has been ready for a while.
stop_worker() {
  local pids
  mapfile -t pids < <(timeout 5 argosy fleet status --data-dir data --output json 2>/dev/null |
    jq -r '.nodes[]?.processes[]? | select((.name | contains("/")) and .state == "ready" and .uptimeUs > 5000000) | .pid')
  ((${#pids[@]} > 0)) || return 0
  one_of "${pids[@]}"
  kill -STOP "$one" 2>/dev/null || true
}

eat_memory() {
  rm -f "$PROBE_DIR/eaten"
  start "eat-$step" --type ProbeEat --task-queue cpu-queue
}

# The program is away when a worker of it dies.
exec_failure() {
  one_of cpu gpu
  local kind=$one
  mv "bin/argosy-worker-$kind" "bin/away"
  pkill -KILL --parent "$FLEET_PID" --full -- "--group $kind --index 0" || true
  pass 1000
  mv "bin/away" "bin/argosy-worker-$kind"
}

# Nobody reads the log from here to the next time.
full_pipe() {
  if [ -e unread ]; then
    kill -CONT "$READER"
    rm unread
  else
    kill -STOP "$READER"
    : >unread
  fi
}

restart_group() { one_of cpu gpu && order restart "$one" --timeout 4s; }

reload() {
  one_of 4 8 16
  local slots=$one
  one_of original other
  chaos_config "$slots" "$one"
  order reload --timeout 4s
}

concurrency() {
  one_of 2 8 0
  local bound=$one
  one_of "" --per-process
  # shellcheck disable=SC2086
  order set-concurrency cpu-queue "$bound" $one
}

scale() {
  one_of cpu gpu
  order scale "$one" $((RANDOM % 3 + 1)) --timeout 4s
}

pause() {
  one_of cpu-queue gpu-queue
  order pause "$one"
  pass 500
  order resume "$one"
}

drain() {
  one_of cpu cpu/0 gpu gpu/1
  local target=$one
  order drain "$target" --timeout 4s
  order undrain "$target" --timeout 4s
}

upgrade() { order upgrade; }

# chaos SECONDS: one deed after the other. How much chance a deed takes does not change the next one.
chaos() {
  local end=$((SECONDS + $1)) deed next
  for ((step = 1; SECONDS < end; step++)); do
    one_of "${DEEDS[@]}"
    deed=$one
    next=$((RANDOM << 15 | RANDOM))
    echo "$deed" >>deeds
    "$deed"
    pass $((RANDOM % 700 + 300))
    RANDOM=$next
  done
}

# --- What holds afterwards ----------------------------------------------------------------------

# is_quiet: everything that deeds left behind is taken back.
is_quiet() {
  local queue
  for queue in cpu-queue gpu-queue; do
    client fleet resume "$queue" && client fleet set-concurrency "$queue" 0 &&
      client fleet set-concurrency "$queue" 0 --per-process || return 1
  done
  client fleet scale cpu --reset --timeout 5s && client fleet scale gpu --reset --timeout 5s &&
    client fleet undrain --timeout 5s && client fleet reload --timeout 5s
} >>orders 2>&1

# is_whole: all processes are ready, and none has still to be restarted.
is_whole() {
  client fleet status --output json 2>/dev/null | jq -e --argjson count $((CPU_WORKERS + GPU_WORKERS + 3)) '
    .nodes[0].processes | length == $count and all(.state == "ready" and (.stale | not))' >/dev/null
}

# await_for SECONDS COMMAND...
await_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do ((SECONDS < end)) || { echo "in vain: $*"; return 1; }; done
}

# descriptors PID
descriptors() {
  find "/proc/$1/fd" -mindepth 1 | wc -l
}

has_descriptors() { # AT_MOST PROGRAM
  [ "$(descriptors "$(pgrep --parent "$FLEET_PID" --full "$2")")" -le "$1" ]
}

# completes ID: the run does, and each of its activities has one end in its history, which is its
# completion. What a fan_step was (its number) and when it completed goes to the file "completed".
completes() {
  client workflow result --id "$1" --wait 120s >/dev/null
  history "$1" >history.json
  jq -e '
    [.events[].activityTaskScheduledEventAttributes | select(. != null)] as $scheduled
    | [.events[].activityTaskCompletedEventAttributes | select(. != null) | .scheduledEventId] as $completed
    | ($scheduled | length) > 0 and ($completed | length) == ($scheduled | length)
      and ($completed | unique | length) == ($completed | length)' history.json >/dev/null ||
    { echo "$1: not each activity has one end"; jq -c '.events[] | [.eventId, .eventType]' history.json; return 1; }
  jq -r '
    ([.events[] | select(.activityTaskScheduledEventAttributes.activityType.name == "fan_step")
      | {key: .eventId, value: (.activityTaskScheduledEventAttributes.input.payloads[0].data | @base64d)}]
      | from_entries) as $number
    | .events[] | select($number[.activityTaskCompletedEventAttributes.scheduledEventId // ""] != null)
    | "\($number[.activityTaskCompletedEventAttributes.scheduledEventId]) \(.eventTime)"' history.json >>completed
}

# check_ledger: each fan_step that completed was done, and began no more after that. A second is for
# the engine's clock, which is that of the turn of its loop.
check_ledger() {
  paste -d ' ' <(cut -d ' ' -f 1 completed) <(cut -d ' ' -f 2 completed | date -f - +%s%6N) >completed.us
  awk 'FNR == NR { completed[$1] = $2; next }
    $2 != "fan_step" { next }
    { sub("from=", "", $7) }
    $3 == "done" { done[$7] = 1; again += done_before[$7]++ > 0 }
    $3 == "started" && completed[$7] && $1 > completed[$7] + 1000000 { print "began again: " $0; bad = 1 }
    END {
      for (number in completed) { count++; if (!done[number]) { print "never done: " number; bad = 1 } }
      printf "%d activities, %d of them done again before they had completed\n", count, again
      exit bad || count == 0
    }' completed.us "$PROBE_DIR/ledger"
}

@test "everything at random, under load" {
  local seconds=${ARGOSY_CHAOS_SECONDS:-40} seed=${ARGOSY_CHAOS_SEED:-$((${EPOCHREALTIME/./} % 32768))}
  local supervisor_had engine_had from_us took_ms id children
  echo "ARGOSY_CHAOS_SEED=$seed ARGOSY_CHAOS_SECONDS=$seconds"
  supervisor_had=$(descriptors "$FLEET_PID")
  engine_had=$(descriptors "$(pgrep --parent "$FLEET_PID" --full argosy-engine)")
  load 3>&- &
  LOAD_PID=$!
  RANDOM=$seed
  chaos "$seconds"

  from_us=${EPOCHREALTIME/./}
  kill -CONT "$READER"
  chaos_config 16 original
  await_for 60 is_quiet || { tail -n 20 orders; client fleet status; false; }
  await_for 60 is_whole || { client fleet status; false; }
  took_ms=$(((${EPOCHREALTIME/./} - from_us) / 1000))
  : >calm
  wait "$LOAD_PID"
  sort deeds | uniq -c
  grep -E "event=process.died name=(cpu|gpu)" "$FLEET_LOG" | sed -E 's/.*reason="([^":0-9,]*).*/\1/' | sort | uniq -c
  echo "whole after $took_ms ms; $(wc -l <acknowledged) runs were acknowledged"
  [ "$took_ms" -lt "$BACK_WITHIN_MS" ]

  : >completed
  while read -r id; do completes "$id"; done <acknowledged
  check_ledger

  # A session whose process is gone is closed with its lease.
  await_for 30 eval '[ "$(descriptors "$FLEET_PID")" -le $((supervisor_had + 2)) ]'
  await_for 30 has_descriptors $((engine_had + 4)) argosy-engine
  children=$(pgrep --parent "$FLEET_PID")
  [ "$(wc -l <<<"$children")" = $((CPU_WORKERS + GPU_WORKERS + 3)) ]
  [ "$(pgrep --full -- "$FLEET_DIR/data/fleet.effective.yaml" | sort)" = "$(sort <<<"$children")" ]

  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  [ -z "$(pgrep --full -- "$FLEET_DIR/data")" ]
}
