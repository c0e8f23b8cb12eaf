#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# 100 MB of text, all of it different: the memory of the workers does not grow with it.

bats_require_minimum_version 1.5.0
load ../../fleet.bash
load ingest.bash

setup() {
  fleet_setup
  ingest_fleet tiny
  cd "$FLEET_DIR"
}

teardown() {
  fleet_stop
}

# peak_kib GROUP: the most memory a group's worker has had, in KiB.
peak_kib() {
  awk '/^VmHWM/ { print $2 }' "/proc/$(workers "$1" | head -n 1)/status"
}

# bound NAME: a number that workflows/ingest/ingest_activity.h promises.
bound() {
  awk -v name="$1" '$1 == "#define" && $2 == name { print $3 }' "$ARGOSY_SOURCE_DIR/workflows/ingest/ingest_activity.h"
}

# long_words FROM TO: paragraphs of four words, each of 240 characters, which is one unknown token: chunks
# are as large as a real model's, and cost little to embed.
long_words() {
  seq "$1" "$2" | awk '{ printf "%0240d%s", $1, NR % 4 ? " " : ".\n\n" }'
}

@test "a document of 100 MB is ingested in bounded memory, twice" {
  long_words 1 2000 >small.txt
  client ingest small.txt --collection notes --chunk-overlap 0
  local cpu gpu chunks
  cpu=$(peak_kib cpu)
  gpu=$(peak_kib gpu)
  long_words 1000000 1416000 >large.txt
  [ "$(stat -c %s large.txt)" -gt 100000000 ]
  run -0 --separate-stderr client ingest large.txt --collection notes --chunk-overlap 0 --output json
  chunks=$(jq .documents[0].chunks <<<"$output")
  [ "$chunks" -gt 50000 ]
  [ "$(jq .documents[0].embedded <<<"$output")" = "$chunks" ]
  # Again, with the chunks of before to compare with.
  run -0 --separate-stderr client ingest large.txt --collection notes --chunk-overlap 0 --output json
  [ "$(jq .documents[0].unchanged <<<"$output")" = "$chunks" ]

  local allowed=$((($(bound INGEST_STEP_MEMORY_MAX) + chunks * $(bound INGEST_CHUNK_MEMORY_MAX)) / 1024))
  echo "# $chunks chunks; CPU worker: $cpu KiB, then $(peak_kib cpu); GPU worker: $gpu KiB, then $(peak_kib gpu); $allowed KiB allowed" >&3
  [ $(($(peak_kib cpu) - cpu)) -le $allowed ]
  [ $(($(peak_kib gpu) - gpu)) -le $allowed ]
  # The history names artifacts: it is small too.
  [ "$(history ingest-large.txt | wc -c)" -lt 2000000 ]
}
