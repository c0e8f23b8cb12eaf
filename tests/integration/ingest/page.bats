#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/ingest.md, word for word.

load ../../page.bash

setup() {
  page_setup docs/ingest.md
  export ARGOSY_MODEL_DIR=$FLEET_DIR/.cache/models
}

teardown() {
  fleet_stop
}

@test "documents are ingested, searched and removed as written" {
  page_fleet "Use it" 1
  page_says "Use it" 2 "3 of 3 documents in collection library: 3 chunks, 3 embedded, 0 unchanged" \
    '"document_id": "notes/space.md"' '"unchanged": 1' \
    "removed notes/cats.html from collection library"
}
