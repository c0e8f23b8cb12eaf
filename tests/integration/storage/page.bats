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

@test "files go in and out, are released, collected and verified" {
  page_fleet "Files in and out" 1
  page_says "Files in and out" 2
  [[ "$output" == *"  texts.jsonl"*"pin:tutorial"*"1 artifact, 36 B"* ]]
  page_says "Who keeps an artifact, and when it goes" 1
  [[ "$output" == *"released"*"0 artifacts, 0 B would be collected"*"0 artifacts, 0 B collected"* ]]
  page_says "Registered models" 1 "all-MiniLM-L6-v2"
  page_says "Is it all still right?" 1
  [[ "$output" == *"1 read, 0 damaged"*'"checked": 1'* ]]
}
