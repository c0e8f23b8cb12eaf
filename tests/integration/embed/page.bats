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
  page_says "Try it" 2 "vectors.npy: 2 vectors of 64 numbers, by all-MiniLM-L6-v2"
  [ "$(grep -c EmbedFileWorkflow <<<"$output")" -ge 4 ]
  # safetensors: 8 bytes of length, the header, 2 x 64 floats
  cmp <(tail -c 512 vectors.npy) <(tail -c 512 vectors.safetensors)
  [ -s notes.npy ]
  page_says "The job" 1 '"status": "COMPLETED"'
  page_says "The job" 2 "EmbedFileWorkflow"
}
