#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `argosy fleet report`: what it says is in it, and what must not be in it is nowhere in it.

bats_require_minimum_version 1.5.0
load "$ARGOSY_SOURCE_DIR/tests/fleet.bash"

setup() {
  fleet_setup
  # Each worker says, among much else, where it looks for libraries: output that is not the fleet's own,
  # with a value of its environment in it.
  export MARKER_TOKEN=secret-marker-token
  fleet_config <<'YAML'
groups:
  - name: cpu
    kind: cpu
    processes: 1
    environment:
      - {name: API_TOKEN, value: "${MARKER_TOKEN}"}
      - {name: LD_DEBUG, value: libs}
      - {name: LD_LIBRARY_PATH, value: /nowhere/secret-marker-path}
  - {name: gpu, kind: gpu, device: cpu, processes: 1, model: tiny}
YAML
  fleet_start
  report_number=0
}

teardown() {
  fleet_stop
}

# report ARGUMENTS...: makes one and unpacks it; its folder is $report.
report() {
  report_number=$((report_number + 1))
  local file=$FLEET_DIR/report-$report_number.tar.gz
  run -0 client fleet report "$file" "$@"
  echo "$output"
  [[ "$output" == *"$file: "* ]]
  [ "$(stat -c %a "$file")" = 600 ]
  mkdir "$FLEET_DIR/report-$report_number"
  tar xzf "$file" -C "$FLEET_DIR/report-$report_number"
  report=$(echo "$FLEET_DIR/report-$report_number"/argosy-report-*)
  [ -d "$report" ]
}

# nowhere TEXT: it is in no file of the report.
nowhere() {
  run ! grep -rF -- "$1" "$report"
}

# check_contents: report.txt names each file with its size, and the command printed them.
check_contents() {
  local file name
  while read -r file; do
    name=${file#"$report/"}
    [ "$name" = report.txt ] || grep -qE "^ *$(stat -c %s "$file")  $name\$" "$report/report.txt" ||
      { echo "not said: $name"; return 1; }
    [[ "$output" == *"$name"* ]]
  done < <(find "$report" -type f)
}

# work_with_payloads: workflows that complete, that fail, and one whose worker dies.
work_with_payloads() {
  client workflow execute --type PrepareAndInferWorkflow --input '"payload-marker good"' --id good
  client workflow execute --type PrepareAndInferWorkflow --input '{"payload-marker": "bad"}' --id bad || true
  client workflow execute --type BatchEmbedWorkflow --input '["payload-marker one", "payload-marker two"]' --id batch
  strike_workers cpu
  fleet_wait_log "event=crash.kept name=cpu/0"
  client workflow execute --type PrepareAndInferWorkflow --input '"payload-marker again"' --id again
}

@test "a report has what it says, no payload and no secret" {
  work_with_payloads
  report
  check_contents
  local file
  for file in machine.txt config.yaml plan.txt fleet.json metrics.txt report.txt log/supervisor.txt \
    log/engine.txt log/link.txt log/cpu-0.txt log/gpu-0.txt; do
    [ -s "$report/$file" ] || { echo "missing: $file"; false; }
  done
  nowhere payload-marker
  nowhere secret-marker
  # It is worth something all the same.
  grep -q "^argosy [0-9]" "$report/machine.txt"
  grep -q "Max open files" "$report/machine.txt"
  grep -qE '^ +value: "?\(removed\)"?$' "$report/config.yaml"
  jq -e '[.nodes[].processes[].name] | index("cpu/0") and index("engine")' "$report/fleet.json"
  grep -q '^argosy_engine_up 1' "$report/metrics.txt"
  grep -q 'event=process.died name=cpu/0 .*signal 9' "$report/log/supervisor.txt"
  grep -q 'event=worker.ready' "$report/log/cpu-0.txt"
  grep -qE '^\[[0-9]+ lines of others\]$' "$report/log/cpu-0.txt"
  grep -qx 'reason    signal 9 (killed)' "$report"/crashes/*-cpu-0-*.txt
  grep -q 'event=worker.started' "$report"/crashes/*-cpu-0-*.txt

  # All of the log, on request: without secrets as well.
  report --with-output
  grep -q 'LD_LIBRARY_PATH' "$report/log/cpu-0.txt"
  grep -qF '${LD_LIBRARY_PATH}' "$report/log/cpu-0.txt"
  nowhere secret-marker
  kill -0 "$FLEET_PID"
}

@test "a report needs no engine, and no fleet" {
  strike_workers cpu
  fleet_wait_log "event=crash.kept name=cpu/0"
  local engine
  engine=$(pgrep --parent "$FLEET_PID" --full argosy-engine)
  kill -STOP "$engine"
  report
  kill -CONT "$engine"
  [ ! -e "$report/fleet.json" ]
  grep -q '^  fleet.json: .' "$report/report.txt"
  [[ "$output" == *"fleet.json: "* ]]
  [ -s "$report/log/engine.txt" ]
  [ -s "$report/metrics.txt" ]

  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  FLEET_PID=
  report
  check_contents
  grep -qx '  log: the supervisor does not run' "$report/report.txt"
  [ -s "$report/config.yaml" ]
  [ -s "$report"/crashes/*-cpu-0-*.txt ]
  nowhere secret-marker
}

@test "core dumps are packed when they are asked for" {
  mkdir -p "$FLEET_DIR/data/crashes"
  echo dump >"$FLEET_DIR/data/crashes/20260131T000000Z-cpu-0-7.core"
  report
  [ -z "$(find "$report" -name '*.core')" ]
  grep -q '^  crashes/20260131T000000Z-cpu-0-7.core: it holds payloads, models and keys' "$report/report.txt"
  report --with-cores
  [ "$(cat "$report/crashes/20260131T000000Z-cpu-0-7.core")" = dump ]
}

@test "a report says what it is, and writes over nothing" {
  run -0 --separate-stderr client fleet report "$FLEET_DIR/r.tar.gz" --output json
  [ "$(jq -r .bytes <<<"$output")" = "$(stat -c %s "$FLEET_DIR/r.tar.gz")" ]
  [ "$(jq -r '.contents[].file' <<<"$output" | sort)" = \
    "$(tar tzf "$FLEET_DIR/r.tar.gz" | sed 's,^[^/]*/,,' | sort)" ]
  run -73 client fleet report "$FLEET_DIR/r.tar.gz"
  [[ "$output" == *"File exists"* || "$output" == *"file exists"* ]]
  cd "$FLEET_DIR"
  run -0 argosy fleet report --data-dir data
  ls argosy-report-*.tar.gz
  run -66 argosy fleet report --data-dir nothing
  [[ "$output" == *"no fleet has run here"* ]]
}
