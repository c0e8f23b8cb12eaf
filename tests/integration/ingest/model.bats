#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# With the real model: a question finds the document that answers it. Skipped where the model has not
# been fetched (scripts/demo does).

bats_require_minimum_version 1.5.0
load ../../fleet.bash
load ingest.bash

MODEL=all-MiniLM-L6-v2

setup() {
  [ -e "$ARGOSY_SOURCE_DIR/.cache/models/$MODEL/model.safetensors" ] || skip "$MODEL is not here"
  fleet_setup
  export ARGOSY_MODEL_DIR=$ARGOSY_SOURCE_DIR/.cache/models
  ingest_fleet "$MODEL"
  cd "$FLEET_DIR"
}

teardown() {
  [ -z "${FLEET_DIR:-}" ] || fleet_stop
}

# best QUESTION: the document that is nearest to it.
best() {
  client search library "$1" -k 1 --output json | jq -r '.[0].document_id'
}

@test "questions find the documents that answer them" {
  mkdir library
  echo "Knead the dough, let it rise for an hour, and bake the loaf until its crust is brown." >library/baking.txt
  echo "<h1>Cats</h1><p>A kitten sleeps most of the day and purrs when it is stroked.</p>" >library/pets.html
  printf '# Space\n\nA rocket needs much fuel to reach an orbit around the earth.\n' >library/space.md
  echo "Compound interest lets savings grow faster the longer they stay in the bank." >library/money.txt
  echo "The referee blew the whistle and the striker scored from the penalty spot." >library/sport.txt
  client ingest library --collection library
  [ "$(best "how do I make bread?")" = library/baking.txt ]
  [ "$(best "domestic animals at rest")" = library/pets.html ]
  [ "$(best "travelling beyond the atmosphere")" = library/space.md ]
  [ "$(best "how to become rich slowly")" = library/money.txt ]
  [ "$(best "football")" = library/sport.txt ]
}
