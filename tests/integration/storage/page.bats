#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/storage.md, word for word.

load ../../page.bash

setup() {
  page_setup docs/storage.md
  PATH="$PWD/build/release/bin:$PATH"
  export ARGOSY_MODEL_DIR=$PWD/.cache/models
}

teardown() {
  fleet_stop
}

# run_lines HEADING N: the block's output, which must succeed.
run_lines() {
  run page_lines "$1" "$2"
  echo "$output"
  [ "$status" = 0 ]
}

@test "files go in and out, are released, collected and verified" {
  page_fleet "Files in and out" 1
  run_lines "Files in and out" 2
  [[ "$output" == *"  texts.jsonl"*"pin:tutorial"*"1 artifact, 36 B"* ]]
  run_lines "Who keeps an artifact, and when it goes" 1
  [[ "$output" == *"released"*"0 artifacts, 0 B would be collected"*"0 artifacts, 0 B collected"* ]]
  run_lines "Registered models" 1
  [[ "$output" == *"all-MiniLM-L6-v2"* ]]
  run_lines "Is it all still right?" 1
  [[ "$output" == *"1 read, 0 damaged"*'"checked": 1'* ]]
}
