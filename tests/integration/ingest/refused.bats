#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What ingest and search refuse, and how they say it.

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

# refused TYPE TEXT INPUT [WORKFLOW]: a run of that input fails for good with that type and text.
refused() {
  run client workflow execute --type "${4:-DocumentIngestWorkflow}" --input "$3" --id "refused-$((++REFUSED))"
  [ "$status" = 1 ]
  [[ "$output" == *"$2"* ]] || { echo "expected: $2"; echo "$output"; return 1; }
  [[ "$(history "refused-$REFUSED")" == *"\"$1\""* ]]
}

@test "inputs of the workflows" {
  local none='{"artifact": "sha256:0000000000000000000000000000000000000000000000000000000000000000", "size": 1}'
  refused InvalidInput "the input is missing or null" null
  refused InvalidInput "is not a JSON object" '["a"]'
  refused InvalidInput '"document_id" is missing' "{\"collection\": \"c\", \"source\": $none}"
  refused InvalidInput '"source"' '{"document_id": "d", "collection": "c", "source": "/etc/passwd"}'
  refused InvalidInput 'did you mean "collection"' "{\"document_id\": \"d\", \"colection\": \"c\", \"source\": $none}"
  refused InvalidInput '"metadata" must be' "{\"document_id\": \"d\", \"collection\": \"c\", \"source\": $none, \"metadata\": {\"a\": [1]}}"
  refused ArtifactUnusable sha256: "{\"document_id\": \"d\", \"collection\": \"c\", \"source\": $none}"
  refused InvalidModel nosuch "{\"document_id\": \"d\", \"collection\": \"c\", \"source\": $none, \"model\": \"nosuch\"}"
  refused InvalidInput "at most 62 tokens" "{\"document_id\": \"d\", \"collection\": \"c\", \"source\": $none, \"chunk_tokens\": 63}"
  refused InvalidInput "more than half" "{\"document_id\": \"d\", \"collection\": \"c\", \"source\": $none, \"chunk_tokens\": 20, \"chunk_overlap\": 11}"
  refused InvalidInput '"question" must be' '{"collection": "c", "question": "  "}' SearchWorkflow
  refused InvalidInput '"k" must be' '{"collection": "c", "question": "q", "k": 0}' SearchWorkflow
  refused SearchRefused 'there is no collection "c"' '{"collection": "c", "question": "q"}' SearchWorkflow
}

@test "documents and command lines" {
  : >empty.txt
  printf ' \n\t\n' >blank.md
  printf 'PK\3\4\0\0' >office.docx
  run -1 client ingest empty.txt --collection notes
  [[ "$output" == *"there is no text in the document (EmptyDocument)"* ]]
  run -1 client ingest blank.md --collection notes
  [[ "$output" == *"EmptyDocument"* ]]
  run -1 client ingest office.docx --collection notes
  [[ "$output" == *"UnsupportedDocument"* ]]
  run -66 client ingest nosuch.txt --collection notes
  run -66 client ingest 'nosuch*.txt' --collection notes
  run -65 client ingest empty.txt --collection notes --metadata '{"a": '
  run -64 client ingest notes
  run -64 client search notes
  # Nothing was committed: the collection was never made.
  run -1 client search notes "anything"
  [[ "$output" == *'there is no collection "notes"'* ]]
}

@test "a collection keeps to one model; a wrong filter names its place" {
  argosy model synth other --seed 2
  echo "Words." >a.txt
  client ingest a.txt --collection notes
  run -1 client ingest a.txt --collection notes --model other
  [[ "$output" == *"tiny"* ]]
  run client search note "words"
  [ "$status" != 0 ] && [[ "$output" == *'did you mean "notes"'* ]]
  run client search notes "words" --filter '{"year": {"gt": []}}'
  [ "$status" != 0 ] && [[ "$output" == *"year"* ]]
  # The document is as it was.
  run -0 --separate-stderr client search notes "Words." --output json
  jq -e 'length == 1 and .[0].score > 0.9999' <<<"$output"
}
