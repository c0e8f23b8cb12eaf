#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/evaluation.md, word for word.

load ../../page.bash

setup() {
  page_setup docs/evaluation.md
  export ARGOSY_MODEL_DIR=$FLEET_DIR/.cache/models
}

teardown() {
  fleet_stop
}

@test "suites are checked, scored and compared as written" {
  page_fleet "Use it" 1
  page_says "Use it" 2 "sentences: similarity, 24 cases" \
    "suite help, model all-MiniLM-L6-v2, baseline all-MiniLM-L6-v2" \
    "0 cases were right with the baseline and are wrong now"
  grep -q '<!DOCTYPE html>' sentences.html
  grep -q '<!DOCTYPE html>' now.html
  [[ "$output" == *"suite tickets, model tickets@1"* ]]
  jq -e '.baseline.model == "all-MiniLM-L6-v2"' now.json
}
