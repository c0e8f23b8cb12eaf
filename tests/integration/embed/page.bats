#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/embedding.md, word for word.

load ../../page.bash

setup() {
  page_setup docs/embedding.md
}

teardown() {
  fleet_stop
}

@test "a file of texts becomes files of vectors" {
  page_fleet "Try it" 1
  run page_lines "Try it" 2
  echo "$output"
  [ "$status" = 0 ]
  [[ "$output" == *"vectors.npy: 2 vectors of 64 numbers, by all-MiniLM-L6-v2"* ]]
  [ "$(grep -c EmbedFileWorkflow <<<"$output")" -ge 4 ]
  # safetensors: 8 bytes of length, the header, 2 x 64 floats
  cmp <(tail -c 512 vectors.npy) <(tail -c 512 vectors.safetensors)
  [ -s notes.npy ]
  run page_lines "The job" 1
  [ "$status" = 0 ]
  [[ "$output" == *'"status": "COMPLETED"'* ]]
  run page_lines "The job" 2
  [ "$status" = 0 ]
  [[ "$output" == *"EmbedFileWorkflow"* ]]
}
