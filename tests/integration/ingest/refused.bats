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
  refused InvalidInput '"metadata": "a" must be' "{\"document_id\": \"d\", \"collection\": \"c\", \"source\": $none, \"metadata\": {\"a\": [1]}}"
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
  [ "$status" != 0 ]
  [[ "$output" == *'did you mean "notes"'* ]]
  run client search notes "words" --filter '{"year": {"gt": []}}'
  [ "$status" != 0 ]
  [[ "$output" == *"year"* ]]
  # The document is as it was.
  run -0 --separate-stderr client search notes "Words." --output json
  jq -e 'length == 1 and .[0].score > 0.9999' <<<"$output"
}

@test "files that cannot be read are named, and the others are ingested" {
  mkdir docs
  echo "Words." >docs/a.txt
  echo "Words." >docs/secret.txt
  chmod 000 docs/secret.txt
  local powerless=() # root may read everything unless it is told not to
  [ "$(id -u)" != 0 ] || powerless=(setpriv --bounding-set=-dac_override,-dac_read_search)
  run -1 --separate-stderr "${powerless[@]}" argosy ingest docs --collection notes --data-dir "$FLEET_DIR/data"
  [[ "$output" == *"1 of 2 documents in collection notes"* ]]
  [[ "$stderr" == *"failed: docs/secret.txt: could not read"*"Permission denied"* ]] || { echo "$stderr"; false; }
  mkfifo pipe
  run -65 client ingest pipe --collection notes
  [[ "$output" == *"pipe is neither a file nor a folder"* ]]
  ln -s loop loop
  run client ingest loop --collection notes
  [ "$status" != 0 ]
  [[ "$output" == *"could not read loop: Too many levels of symbolic links"* ]]
}

@test "a name that is not UTF-8 is refused" {
  mkdir docs
  echo "Words." >$'docs/caf\xe9.txt'
  run -1 client ingest docs --collection notes
  [[ "$output" == *"the name is not UTF-8"* ]] || { echo "$output"; false; }
}

@test "a huge line is cut between words, a huge word between characters" {
  seq 1000000 1100000 | tr '\n' ' ' >line.txt
  run -0 --separate-stderr client ingest line.txt --collection notes --output json
  [ "$(jq .documents[0].chunks <<<"$output")" -gt 1000 ]
  client search notes "1000007" -k 1 --output json | jq -e '.[0].text | test("^[0-9]{7}( [0-9]{7})*$")'
  head -c 3000000 /dev/zero | tr '\0' x >word.txt
  run -0 --separate-stderr client ingest word.txt --collection word --output json
  [ "$(jq .documents[0].chunks <<<"$output")" -gt 1000 ]
  jq -e '.documents[0] | .embedded < 4' <<<"$output" # nearly all of them are equal
}

@test "a PDF, where poppler is not installed" {
  fleet_stop
  cd "$BATS_TEST_DIRNAME"
  fleet_setup
  cd "$FLEET_DIR"
  mkdir bin
  ln -s "$ARGOSY_BIN_DIR"/* "$(command -v cat)" "$(command -v grep)" "$(command -v tail)" "$(command -v timeout)" bin
  PATH=$FLEET_DIR/bin ingest_fleet tiny
  printf '%%PDF-1.4\n' >page.pdf
  run -1 client ingest page.pdf --collection notes
  [[ "$output" == *"install the package poppler-utils"*"(UnsupportedDocument)"* ]] || { echo "$output"; false; }
}
