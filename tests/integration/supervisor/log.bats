#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# One log of all processes, whatever they write and whoever reads it; and what is left of the dead.
# The fleet's programs are shell scripts: workers do what their group's FAKE_RUN says.

bats_require_minimum_version 1.5.0
load "$ARGOSY_SOURCE_DIR/tests/fleet.bash"

setup() {
  FLEET_DIR=$(mktemp -d "${TMPDIR:-/tmp}/argosy-test.XXXXXX")
  FLEET_LOG=$FLEET_DIR/fleet.log
  FLEET_PID=
  CRASHES=$FLEET_DIR/data/crashes
  mkdir "$FLEET_DIR/programs"
  mkfifo "$FLEET_DIR/starts"
  exec {STARTS}<>"$FLEET_DIR/starts"
  export FLEET_DIR
  cat >"$FLEET_DIR/programs/fake" <<'FAKE'
#!/usr/bin/env bash
trap 'kill %1 2>/dev/null; exit 0' TERM
sleep infinity &
# The group and index of a worker are its fourth and sixth words.
echo "${0##*/argosy-} ${4:-} ${6:-} $$" >"$FLEET_DIR/starts"
eval "${FAKE_START:-}"
echo ready >&"$ARGOSY_READY_FD"
eval "${FAKE_RUN:-}"
wait %1
FAKE
  chmod +x "$FLEET_DIR/programs/fake"
  for program in engine link worker-cpu; do ln -s fake "$FLEET_DIR/programs/argosy-$program"; done
}

teardown() {
  [ -z "$FLEET_PID" ] || kill -KILL "$FLEET_PID" 2>/dev/null || true
  [ -z "${BATS_ERROR_STATUS:-}" ] || tail -n 40 "$FLEET_LOG"
  exec {STARTS}<&-
  rm -rf "$FLEET_DIR"
}

# supervise: runs the fleet whose config stands on standard input, its log in $FLEET_LOG.
supervise() {
  { printf 'data_dir: %s/data\nhttp: {listen: none}\nstorage: {enabled: false}\n' "$FLEET_DIR"; cat; } \
    >"$FLEET_DIR/fleet.yaml"
  argosy-supervisor --config "$FLEET_DIR/fleet.yaml" --programs "$FLEET_DIR/programs" \
    >>"${1:-$FLEET_LOG}" 2>&1 3>&- &
  FLEET_PID=$!
}

# next_start NAME INDEX: waits until the worker starts; its pid.
next_start() {
  local program group index pid
  while read -r -t 30 -u "$STARTS" program group index pid; do
    if [ "$group $index" = "$1 $2" ]; then echo "$pid"; return; fi
  done
  return 1
}

finish() {
  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  FLEET_PID=
}

# crash_of REASON: the file of a death that was kept, once its record is in the log.
crash_of() {
  fleet_wait_log "event=crash.kept"
  local file
  file=$(sed -nE 's/.* event=crash.kept .* file=//p' "$FLEET_LOG" | head -n 1)
  await test -e "$file"
  grep -q "^reason    $1" "$file" && echo "$file"
}

@test "each line is a record of the worker that wrote it, in logfmt" {
  supervise <<'YAML'
groups:
- name: cpu
  kind: cpu
  processes: 2
  environment:
  - name: FAKE_RUN
    value: |
      echo "ts=1 level=info process=worker-cpu event=thing.done index=$$6"
      printf 'colour \033[31mred\nno "end"' >&2
      exit 0
YAML
  fleet_wait_log 'process=worker-cpu worker=cpu/1 event=thing.done index=1'
  fleet_wait_log 'process=worker-cpu worker=cpu/0 event=thing.done index=0'
  fleet_wait_log 'level=warn process=worker-cpu event=process.output worker=cpu/0 text="colour  \[31mred"'
  fleet_wait_log 'event=process.output worker=cpu/1 text="no \\"end\\""'
  finish
}

@test "each line is a record of the worker that wrote it, in JSON" {
  supervise <<'YAML'
log_format: json
groups:
- name: cpu
  kind: cpu
  processes: 1
  environment:
  - name: FAKE_RUN
    value: |
      echo '{"ts":"1","level":"info","process":"worker-cpu","event":"thing.done","index":"0"}'
      echo '{"ts":"1","level":"info","process":"worker-cpu","event":"thing'
      printf 'bytes \377\001\n'
YAML
  fleet_wait_log 'thing.done'
  fleet_wait_log 'bytes'
  fleet_wait_log 'fleet.ready'
  finish
  jq -se 'map(select(.event == "thing.done" and .worker == "cpu/0" and .index == "0")) | length == 1' "$FLEET_LOG"
  jq -se 'map(select(.event == "process.output" and .worker == "cpu/0").text) ==
    ["{\"ts\":\"1\",\"level\":\"info\",\"process\":\"worker-cpu\",\"event\":\"thing", "bytes ? "]' "$FLEET_LOG"
}

@test "a flood is limited and said, and the fleet stays responsive" {
  supervise <<'YAML'
groups:
- {name: loud, kind: cpu, processes: 1, environment: [{name: FAKE_RUN, value: "while :; do yes flood; done 2>/dev/null"}]}
- {name: quiet, kind: cpu, processes: 1}
YAML
  fleet_wait_log "log.suppressed name=loud/0 lines="
  local pid before_ms took_ms
  pid=$(next_start quiet 0)
  fleet_wait_log "event=process.ready name=quiet/0"
  before_ms=$(date +%s%3N)
  kill -KILL "$pid"
  next_start quiet 0
  took_ms=$(($(date +%s%3N) - before_ms))
  # 100 ms of it are the delay before the first restart.
  echo "restarted after $took_ms ms beside a flood"
  [ "$took_ms" -lt 5000 ]
  # More than the burst passes only at the rate.
  local seconds lines
  fleet_wait_log "event=process.ready name=quiet/0 pid=$(pgrep -P "$FLEET_PID" -f -- '--group quiet')"
  seconds=$(ps -o etimes= -p "$FLEET_PID")
  lines=$(grep -c 'text="flood"' "$FLEET_LOG")
  echo "$lines lines of the flood in $seconds s, $(ps -o cputimes= -p "$FLEET_PID") s of a processor"
  [ "$lines" -ge 1600 ]
  [ "$lines" -le $((2000 + 200 * (seconds + 2))) ]
  kill -KILL -- "-$(pgrep -P "$FLEET_PID" -f -- '--group loud')"
  finish
}

@test "a log that nobody reads stops nobody, and what was lost of it is said" {
  mkfifo "$FLEET_DIR/log"
  local blocked pid
  exec {blocked}<>"$FLEET_DIR/log"
  supervise "$FLEET_DIR/log" <<'YAML'
groups:
- {name: cpu, kind: cpu, processes: 4, environment: [{name: FAKE_RUN, value: "while :; do yes flood; done 2>/dev/null"}]}
YAML
  pid=$(next_start cpu 0)
  for _ in 1 2 3 4; do
    kill -KILL -- "-$pid"
    pid=$(next_start cpu 0)
  done
  # The log is a pipe of 64 KiB, of which nothing was read.
  kill -0 "$FLEET_PID"
  cat <&"$blocked" >>"$FLEET_LOG" &
  local reader=$!
  fleet_wait_log "level=warn process=supervisor event=log.dropped lines=[1-9]"
  kill -TERM "$FLEET_PID"
  # A shell that waits for its flood does not hear of it; one between two floods has ended by itself.
  for pid in $(pgrep -P "$FLEET_PID" -f -- --group); do kill -KILL -- "-$pid" 2>/dev/null || true; done
  wait "$FLEET_PID"
  FLEET_PID=
  kill "$reader"
  exec {blocked}<&-
}

@test "a fleet ends although nobody reads its log" {
  mkfifo "$FLEET_DIR/log"
  local blocked
  exec {blocked}<>"$FLEET_DIR/log"
  head -c 65536 /dev/zero >&"$blocked" # full before the first record
  supervise "$FLEET_DIR/log" <<<'groups: [{name: cpu, kind: cpu, processes: 1}]'
  next_start cpu 0
  finish
  exec {blocked}<&-
}

@test "a dead worker's last lines are kept, for their owner alone" {
  supervise <<'YAML'
groups:
- {name: cpu, kind: cpu, processes: 1, environment: [{name: FAKE_RUN, value: "echo famous; printf \"last words\"; kill -ABRT $$$$"}]}
YAML
  local file
  file=$(crash_of "signal 6 (aborted)")
  [ "$(stat -c %a "$file") $(stat -c %a "$CRASHES")" = "600 700" ]
  [ "$(tail -n 3 "$file")" = "$(printf 'last lines\nfamous\nlast words')" ]
  grep -qx "process   cpu/0" "$file"
  grep -qx "program   worker-cpu" "$file"
  grep -qx "core      none (supervisor.core_keep_mb is 0)" "$file"
  finish
  [ -z "$(ls "$CRASHES" | grep -vE '^cores$|\.txt$')" ] # no drafts
}

@test "an end that was asked for leaves nothing; one that had to be forced does" {
  supervise <<'YAML'
groups:
- {name: well, kind: cpu, processes: 1}
- {name: deaf, kind: cpu, processes: 1, grace_ms: 100, environment: [{name: FAKE_START, value: "trap '' TERM"}]}
YAML
  fleet_wait_log "fleet ready"
  finish
  [ "$(cat "$CRASHES"/*.txt | grep -c ^process)" = 1 ]
  grep -qx "process   deaf/0" "$CRASHES"/*.txt
  grep -q "^reason    grace period over, signal 9" "$CRASHES"/*.txt
}

@test "the folder stays bounded" {
  mkdir -p "$CRASHES"
  local number
  for number in $(seq 1000 1299); do echo old >"$CRASHES/2020-$number.txt"; done
  supervise <<'YAML'
groups:
- {name: cpu, kind: cpu, processes: 1, environment: [{name: FAKE_RUN, value: "echo died; exit 1"}]}
YAML
  crash_of "exit 1"
  finish
  [ "$(ls "$CRASHES" | grep -c '\.txt$')" -le 200 ]
  [ -e "$CRASHES/2020-1299.txt" ] # the newest of the old ones
  [ ! -e "$CRASHES/2020-1000.txt" ]
}

@test "core dumps are kept where the config asks for them, and nowhere else" {
  case $(cat /proc/sys/kernel/core_pattern) in
  *[/\|]*) skip "this system's core dumps go elsewhere" ;;
  esac
  ulimit -S -c unlimited 2>/dev/null || skip "core dumps are forbidden here"
  cd "$FLEET_DIR"
  supervise <<'YAML'
groups:
- {name: cpu, kind: cpu, processes: 1, environment: [{name: FAKE_RUN, value: "kill -SEGV $$$$"}]}
YAML
  grep -qx "core      none (supervisor.core_keep_mb is 0)" "$(crash_of "signal 11 (segmentation fault)")"
  finish
  [ -z "$(find "$FLEET_DIR" -name 'core*' -type f -o -name '*.core')" ]
  rm "$CRASHES"/*.txt
  : >"$FLEET_LOG"
  supervise <<'YAML'
supervisor: {core_keep_mb: 64}
groups:
- {name: cpu, kind: cpu, processes: 1, environment: [{name: FAKE_RUN, value: "kill -SEGV $$$$"}]}
YAML
  local file
  file=$(crash_of "signal 11 (segmentation fault, core dumped)")
  grep -qx "core      beside this file (.core)" "$file"
  [ "$(head -c 4 "${file%.txt}.core" | tail -c 3)" = ELF ]
  [ "$(stat -c %a "${file%.txt}.core")" = 600 ]
  finish
}

@test "the last lines of the living are written when they are asked for" {
  supervise <<'YAML'
groups:
- {name: cpu, kind: cpu, processes: 1, environment: [{name: FAKE_RUN, value: "echo alive"}]}
YAML
  fleet_wait_log 'text="alive"'
  [ "$(cat "$FLEET_DIR/data/supervisor.lock")" = "$FLEET_PID" ]
  kill -USR1 "$FLEET_PID"
  await test -e "$FLEET_DIR/data/last-lines.txt"
  grep -qxP 'cpu/0\talive' "$FLEET_DIR/data/last-lines.txt"
  grep -qP '^supervisor\tts=.* event=process.started name=cpu/0 ' "$FLEET_DIR/data/last-lines.txt"
  [ "$(stat -c %a "$FLEET_DIR/data/last-lines.txt")" = 600 ]
  finish
}
