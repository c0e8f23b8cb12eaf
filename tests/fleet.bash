# SPDX-License-Identifier: Apache-2.0
# fleet.bash: a fleet of real processes in a folder of its own, for bats files.
#
#   setup()    { fleet_setup; fleet_config <<<"..."; fleet_start; }
#   teardown() { fleet_stop; }
#
# ARGOSY_BIN_DIR is where the programs are (set by CTest). Everything lives in $FLEET_DIR, under
# /tmp, because socket paths are short; FLEET_DATA names the data where they are not in $FLEET_DIR/data.
# Waiting is always for an event: a log line, a FIFO, a result.

set -o pipefail
PATH="$ARGOSY_BIN_DIR:$PATH"

fleet_setup() {
  FLEET_DIR=$(mktemp -d "${TMPDIR:-/tmp}/argosy-test.XXXXXX")
  FLEET_LOG=$FLEET_DIR/fleet.log
  FLEET_PID=
  export ARGOSY_HTTP_LISTEN=127.0.0.1:0 # fleets of other tests run at the same time
  export ARGOSY_MODEL_DIR=$FLEET_DIR/models
  argosy model synth tiny
}

# fleet_config: the config file, from standard input; node, data_dir and the tiny model are filled in.
fleet_config() {
  { printf 'data_dir: %s/data\n' "$FLEET_DIR"; cat; } >"$FLEET_DIR/fleet.yaml"
}

# fleet_start: runs the fleet of the config and waits until every process is ready.
fleet_start() {
  # Descriptor 3 is bats' own: a child that keeps it would keep bats waiting.
  argosy up -c "$FLEET_DIR/fleet.yaml" >>"$FLEET_LOG" 2>&1 3>&- &
  FLEET_PID=$!
  fleet_wait_log "fleet ready" || { cat "$FLEET_LOG"; return 1; }
}

# fleet_wait_log TEXT: returns when the log has the text; fails when the fleet ends or after 60 s.
fleet_wait_log() {
  grep -q -- "$1" < <(timeout 60 tail -n +1 -F --pid="$FLEET_PID" "$FLEET_LOG" 2>/dev/null 3>&-)
}

fleet_stop() {
  if [ -n "${FLEET_PID:-}" ] && kill -TERM "$FLEET_PID" 2>/dev/null; then
    wait "$FLEET_PID" || echo "the fleet ended with status $?"
  fi
  if [ -n "${BATS_ERROR_STATUS:-}" ] && [ "${BATS_ERROR_STATUS:-0}" != 0 ]; then
    tail -n 60 "$FLEET_LOG"
  fi
  rm -rf "$FLEET_DIR"
}

# client ARGUMENTS...: the command line tool, against this fleet.
client() {
  argosy "$@" --data-dir "${FLEET_DATA:-$FLEET_DIR/data}"
}

# event_wait ID TYPE [COUNT]: returns when the run has COUNT events (1) of the type; fails after 60 s.
event_wait() {
  local events lines
  exec {events}< <(exec timeout 60 argosy workflow show --id "$1" --follow --output json \
    --data-dir "${FLEET_DATA:-$FLEET_DIR/data}" 2>/dev/null 3>&-)
  local follower=$!
  lines=$(grep -m "${3:-1}" -- "EVENT_TYPE_$2\"" <&"$events") || true
  # A run that has no more events would keep it for the rest of its time.
  kill "$follower" 2>/dev/null || true
  exec {events}<&-
  [ "$(grep -c . <<<"$lines")" = "${3:-1}" ]
}

# await COMMAND...: repeats it until it succeeds; fails after a minute.
await() {
  local end=$((SECONDS + 60))
  until "$@"; do ((SECONDS < end)) || { echo "in vain: $*" >&2; return 1; }; done
}

# pending_has ID FILTER: whether jq's filter gives something of one of a run's open activities, as the
# engine sees them; prints it.
pending_has() {
  client workflow describe --id "$1" --output json 2>/dev/null | jq -er "first(.pendingActivities[]? | $2)"
}

# history ID: the events of the latest run of a workflow id, as JSON.
history() {
  client workflow show --id "$1" --output json
}

# identities ID ACTIVITY_TYPE: who ran the activities of a type, one identity per line.
identities() {
  history "$1" | jq -r --arg type "$2" '
    [.events[] | select(.activityTaskScheduledEventAttributes.activityType.name == $type) | .eventId]
      as $scheduled
    | .events[].activityTaskStartedEventAttributes | select(. != null)
    | select(.scheduledEventId as $id | $scheduled | index($id)) | .identity'
}

# workers GROUP: the process ids of a group's workers, one per line.
workers() {
  pgrep --parent "$FLEET_PID" --full -- "--group $1( |\$)"
}

# strike PATTERN: kills the fleet's processes whose command line matches; waits until there is one, as
# what was killed before may not be up again.
strike() {
  until pkill -KILL --parent "$FLEET_PID" --full -- "$1" 2>/dev/null; do kill -0 "$FLEET_PID"; done
}

# strike_workers GROUP
strike_workers() {
  strike "--group $1( |\$)"
}

# probe_setup: a ledger and a gate for the activities of tests/probe; PROBE_SO is the plug-in.
probe_setup() {
  export PROBE_DIR=$FLEET_DIR/probe
  PROBE_SO=$ARGOSY_BUILD_DIR/tests/probe.so
  mkdir "$PROBE_DIR"
  mkfifo "$PROBE_DIR/gate"
  : >"$PROBE_DIR/ledger"
}

# probe_gpu_setup: fleets of this test run the GPU worker of tests/probe, which tells of its batches.
probe_gpu_setup() {
  local bin=$FLEET_DIR/bin
  mkdir "$bin"
  # The supervisor looks for programs beside itself, not beside what a link points to.
  ln -s "$ARGOSY_BIN_DIR"/* "$bin"
  ln -sf "$ARGOSY_BUILD_DIR/tests/probe-worker-gpu" "$bin/argosy-worker-gpu"
  cp --remove-destination "$ARGOSY_BIN_DIR"/argosy{,-supervisor} "$bin"
  PATH=$bin:$PATH
}

# work_slow: from now on the work of the GPU workers of probe_gpu_setup, whose groups have $PROBE_DIR in
# their environment, takes longer than any test; work_fast ends that.
work_slow() {
  : >"$PROBE_DIR/slow"
}

work_fast() {
  rm "$PROBE_DIR/slow"
}

# ledger_wait TEXT [COUNT]: returns when the ledger has COUNT lines (1) with TEXT; fails after 60 s.
ledger_wait() {
  local lines
  lines=$(timeout 60 tail -n +1 -F "$PROBE_DIR/ledger" 2>/dev/null 3>&- | grep -m "${2:-1}" -- "$1") || true
  [ "$(printf '%s\n' "$lines" | grep -c -- "$1")" -ge "${2:-1}" ]
}

# ledger_field TEXT N NAME: the field NAME= of the N-th ledger line with TEXT; "utc_us" is the first.
ledger_field() {
  local line
  line=$(grep -- "$1" "$PROBE_DIR/ledger" | sed -n "${2}p")
  if [ "$3" = utc_us ]; then printf '%s' "${line%% *}"; else sed -E "s/.* $3=([^ ]*).*/\1/" <<<"$line"; fi
}

# gate_open: lets one waiting activity through; waits until one is there.
gate_open() {
  timeout 60 bash -c 'printf x >"$0"' "$PROBE_DIR/gate"
}

# start_many PREFIX COUNT: starts workflows of one activity until one start fails; each one said to
# be started is written down.
start_many() {
  local number
  for number in $(seq "$2"); do
    client workflow start --type ProbePass --task-queue cpu-queue --id "$1-$number" >/dev/null 2>&1 ||
      return 0
    printf '%s\n' "$1-$number" >>"$FLEET_DIR/acknowledged"
  done
}

# check_acknowledged: every workflow said to be started completes, and its history has one completion.
check_acknowledged() {
  local id
  while read -r id; do
    client workflow result --id "$id" >/dev/null
    history "$id" | jq -e '[.events[] | select(.activityTaskCompletedEventAttributes != null)] |
      length == 1' >/dev/null
  done <"$FLEET_DIR/acknowledged"
}
