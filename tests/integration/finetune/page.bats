#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/fine-tuning.md, word for word.

bats_require_minimum_version 1.5.0
load ../../page.bash

setup() {
  page_setup docs/fine-tuning.md
}

teardown() {
  fleet_stop
}

@test "a classifier is trained, served and listed; files of one's own; the factory's way" {
  page_fleet "Train on the example" 1
  page_says "Train on the example" 2 "90 examples of 3 labels; 0 errors, 0 warnings"
  [[ "$output" == *"registered tickets@1"*"on 18 held-out examples"* ]]
  [[ "$output" == *'"input":"the package is three days late"'*'"model":"tickets@1"'* ]]
  grep -Eq "^tickets +1 +all-MiniLM-L6-v2 .*accuracy" <<<"$output"
  page_says "The dataset" 1
  [[ "$output" == *"registered tickets@2"*"on 15 held-out examples"* ]]
  page_says "The workflow" 1
  [[ "$output" == *"tickets@3"*"finetune-nightly"* || "$output" == *"finetune-nightly"*"tickets@3"* ]]
}
