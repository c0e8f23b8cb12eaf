#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Evaluations whose workers, engine and storage are killed at each of their steps: each ends with the
# report of an evaluation that nothing disturbed, to the byte.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<'YAML'
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
  - {name: gpu, kind: gpu, device: cpu, model: tiny, processes: 2, queues: [{name: gpu-queue}]}
YAML
  fleet_start
  cd "$FLEET_DIR"
  client model synth other --seed 9
  # 2,000 pairs are 8 parts for each of two models.
  { echo '{"suite": "pairs", "type": "similarity"}'
    seq 2000 | jq -c '{a: "text \(.) of many", b: "another text \(. * 7 % 100)", score: (. % 10)}'
  } >pairs.jsonl
  { echo '{"suite": "labels", "type": "classification"}'
    seq 2500 | jq -c '{text: "a text \(.) of \(. * 7 % 100)", label: (if . % 2 == 0 then "even" else "odd" end)}'
  } >labels.jsonl
}

teardown() {
  cd /
  fleet_stop
}

# evaluate SUITE ID: starts it and waits for it in the background.
evaluate() {
  client eval "$1.jsonl" --model tiny --baseline-model other --id "$2" --report "$2.json" --output json \
    >"$2.out" 2>"$2.err" 3>&- &
  EVALUATION=$!
}

# evaluated ID: waits for it; its report must be that of the undisturbed run.
evaluated() {
  wait "$EVALUATION" || { cat "$1".*; return 1; }
  cmp undisturbed.json "$1.json"
}

# reached ID TYPE: waits until the engine has scheduled an activity of that type.
reached() {
  until history "$1" 2>/dev/null | grep "\"$2\"" >/dev/null; do
    kill -0 "$EVALUATION" 2>/dev/null || return 0
  done
}

# kill_all: GPU workers, or another program of the fleet.
kill_all() {
  if [ "$1" = gpu ] || [ "$1" = cpu ]; then
    strike_workers "$1"
  else
    strike "$1"
  fi
}

# disturbed SUITE: every kind of process is killed at the steps that it matters for.
disturbed() {
  local at who answer=$2
  evaluate "$1" undisturbed
  wait "$EVALUATION" || { cat undisturbed.*; return 1; }
  for at in "$answer gpu" "$answer argosy-engine" "$answer argosy-storage" "score_suite cpu" \
    "write_page argosy-storage"; do
    read -r at who <<<"$at"
    evaluate "$1" "$at-$who"
    reached "$at-$who" "$at"
    kill_all "$who"
    evaluated "$at-$who"
  done
}

@test "a similarity suite with everything killed: the same report" {
  disturbed pairs embed_artifact
}

@test "a classification with everything killed: the same report" {
  disturbed labels classify_artifact
}
