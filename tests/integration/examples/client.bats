#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/client: every shipped workflow that is given files, from C.

bats_require_minimum_version 1.5.0
load example.bash

setup() {
  example_setup client
  ARGOSY_MODEL_DIR=$FLEET_DIR/.cache/models argosy model synth all-MiniLM-L6-v2
  page_fleet "" 1
}

teardown() {
  fleet_stop
}

# lines N: the N-th block's output, which must succeed.
lines() {
  run --separate-stderr page_lines "" "$1"
  echo "$output" "$stderr"
  [ "$status" = 0 ]
  output=$(grep -v '^\$ ' <<<"$output") || true # a command may print nothing
}

@test "the README's commands: ingest, search, fine-tune, infer, evaluate, embed a file" {
  lines 2
  grep '"document_id":"page"' <<<"$output" | head -n 1 | jq -e '.collection == "library" and .chunks >= 1'
  tail -n 1 <<<"$output" | jq -e '.[0].document_id == "page"'
  lines 3
  [[ "$output" == *'"tickets@1"'* ]]
  tail -n 1 <<<"$output" | jq -e '.model == "tickets@1"'
  lines 4
  jq -e '.passed and .model == "tickets@1" and (.metrics | length == 2)' <<<"$output"
  [ "$(argosy workflow count --query "ExecutionStatus = 'Completed'")" = 5 ]
  lines 5
  [ "$(head -c 6 vectors.npy | tail -c 5)" = NUMPY ]
}

@test "what it refuses, as the README shows" {
  local command
  while read -r command; do
    run -1 bash -c "$command"
    grep -qxF -- "$output" README.md
  done < <(sed -n 's/^\$ \(\.\/client .*\)/\1/p' README.md)
  run -64 ./client search
  [ "$(argosy workflow count)" = 0 ]
}

@test "it tells of progress while it waits, and of a run's failure" {
  printf '{"text": "a parcel %d", "label": "a"}\n' $(seq 9) >one_label.jsonl
  argosy artifact put one_label.jsonl --pin client --output json >one_label.json
  run -1 ./client finetune "$(jq '.artifacts[0]
    | {job_id: "refused", name: "tickets", dataset: {artifact, size}}' one_label.json)"
  [[ "$output" == *"client: finetune-refused: "* ]]
  kill -STOP $(workers gpu)
  printf 'A kitten sleeps.' >cats.txt
  argosy artifact put cats.txt --pin client --output json >cats.json
  mkfifo progress
  exec 4<>progress
  timeout 60 ./client ingest "$(jq '.artifacts[0]
    | {document_id: "cats", collection: "library", source: {artifact, size}}' cats.json)" 2>&4 3>&- &
  timeout 60 grep -qm 1 '"stage":' <&4
  kill -CONT $(workers gpu)
  wait $!
}
