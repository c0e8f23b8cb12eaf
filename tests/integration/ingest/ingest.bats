#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Documents through real processes: what is embedded, what is kept, what is in the collection.

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

@test "a document again: what has not changed is not embedded again, and is replaced at once" {
  mkdir docs
  paragraphs 1 30 >docs/a.txt
  run -0 --separate-stderr client ingest docs/a.txt --collection notes --output json
  local chunks
  chunks=$(jq .documents[0].chunks <<<"$output")
  [ "$chunks" -ge 30 ]
  jq -e '.failures == [] and (.documents[0] | .embedded == .chunks and .unchanged == 0 and
    .document_id == "docs/a.txt" and .collection == "notes" and .model == "tiny")' <<<"$output"
  [ "$(jq .documents[0].bytes <<<"$output")" = "$(stat -c %s docs/a.txt)" ]
  [ "$(embedded_count)" = "$chunks" ]

  # The same bytes: nothing is embedded.
  run -0 --separate-stderr client ingest docs/a.txt --collection notes --output json
  jq -e --argjson chunks "$chunks" '.documents[0] | .embedded == 0 and .unchanged == $chunks' <<<"$output"
  [ "$(embedded_count)" = "$chunks" ]

  # A paragraph more at the end: only what is new is embedded.
  paragraphs 31 31 >>docs/a.txt
  run -0 --separate-stderr client ingest docs/a.txt --collection notes --output json
  local embedded
  embedded=$(jq .documents[0].embedded <<<"$output")
  [ "$embedded" -ge 1 ]
  [ "$embedded" -le 8 ]
  [ "$(embedded_count)" = $((chunks + embedded)) ]

  # A text of another kind: nothing of the old one is found any more.
  echo "Something else entirely." >docs/a.txt
  client ingest docs/a.txt --collection notes
  run -0 --separate-stderr client search notes "Paragraph number 3" -k 100 --output json
  jq -e 'length == 1 and .[0].text == "Something else entirely." and .[0].ordinal == 0' <<<"$output"
}

@test "equal texts in a document are embedded once and both found" {
  printf 'Same words.\n\n%s\n\nSame words.' "$(paragraphs 1 4)" >twice.txt
  run -0 --separate-stderr client ingest twice.txt --collection notes --output json --chunk-tokens 16 --chunk-overlap 0
  jq -e '.documents[0] | .embedded < .chunks and .unchanged == 0' <<<"$output"
  [ "$(embedded_count)" = "$(jq .documents[0].embedded <<<"$output")" ]
  run -0 --separate-stderr client search notes "Same words." -k 2 --output json
  jq -e 'map(select(.text == "Same words." and .score > 0.9999)) | length == 2' <<<"$output"
}

@test "folders, patterns and types; what cannot be read is listed or skipped" {
  mkdir -p docs/deep docs/.hidden
  echo "Plain words." >docs/plain.txt
  printf '# Title\n\nMarked words.\n\n## Second part\n\n%s' "$(paragraphs 1 3)" >docs/deep/marked.md
  echo "<style>p {}</style><h1>Page</h1><p>Tagged &amp; bagged.</p>" >docs/page.html
  printf '\x89PNG\r\n\x1a\n\0\0' >docs/image.png
  printf 'broken \xff\xfe text' >docs/latin.txt
  echo "Hidden words." >docs/.hidden/no.txt
  run -1 --separate-stderr client ingest docs 'docs/p*.html' ./docs//plain.txt --collection notes --output json
  jq -e '[.documents[].document_id] | sort == ["docs/deep/marked.md", "docs/page.html", "docs/plain.txt"]' <<<"$output"
  jq -e '.skipped == 1 and [.failures[].document_id] == ["docs/latin.txt"]
    and (.failures[0].error | contains("byte 0xff at offset 7"))' <<<"$output"
  run -1 client ingest docs --collection notes
  [[ "$output" == *"3 of 4 documents in collection notes"*"1 files skipped"* ]]
  [[ "$output" == *"failed: docs/latin.txt: byte 0xff at offset 7 is not text (InvalidDocument)"* ]]

  run -0 --separate-stderr client search notes "Tagged & bagged." -k 1 --output json
  jq -e '.[0].text == "Page\n\nTagged & bagged." and .[0].metadata.section == "Page"' <<<"$output"
  run -0 --separate-stderr client search notes x -k 100 --output json
  jq -e 'map(select(.document_id == "docs/deep/marked.md") | .metadata.section) | unique == ["Second part", "Title"]' <<<"$output"
}

@test "a PDF, where poppler is installed" {
  command -v pdftotext || skip "pdftotext is not installed"
  local stream="BT /F1 12 Tf 72 720 Td (Words in a page) Tj ET" pdf=page.pdf at=()
  object() { at+=("$(stat -c %s $pdf)"); printf '%d 0 obj\n%s\nendobj\n' "${#at[@]}" "$1" >>$pdf; }
  printf '%%PDF-1.4\n' >$pdf
  object '<< /Type /Catalog /Pages 2 0 R >>'
  object '<< /Type /Pages /Kids [3 0 R] /Count 1 >>'
  object '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>'
  object "$(printf '<< /Length %d >>\nstream\n%s\nendstream' ${#stream} "$stream")"
  object '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'
  local xref
  xref=$(stat -c %s $pdf)
  { printf 'xref\n0 6\n0000000000 65535 f \n'; printf '%010d 00000 n \n' "${at[@]}"
    printf 'trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n' "$xref"; } >>$pdf
  client ingest page.pdf --collection notes
  run -0 --separate-stderr client search notes words --output json
  jq -e '.[0].text == "Words in a page" and .[0].document_id == "page.pdf"' <<<"$output"
}

@test "metadata is filtered by; a removed document is gone" {
  echo "Red words." >red.txt
  echo "Blue words." >blue.txt
  client ingest red.txt --collection notes --metadata '{"colour": "red", "year": 2020}'
  client ingest blue.txt --collection notes --metadata '{"colour": "blue", "year": 2026}'
  run -0 --separate-stderr client search notes "words" --filter '{"colour": "blue"}' --output json
  jq -e 'length == 1 and .[0].document_id == "blue.txt" and .[0].metadata.year == 2026' <<<"$output"
  run -0 --separate-stderr client search notes "words" --filter '{"year": {"lt": 2026}}' --output json
  jq -e '[.[].document_id] == ["red.txt"]' <<<"$output"
  run -0 client search notes "Red words." -k 1
  [[ "$output" == *"1. "*"red.txt"*"Red words."* ]]

  client ingest ./red.txt --collection notes --remove
  run -0 --separate-stderr client search notes "words" --output json
  jq -e '[.[].document_id] == ["blue.txt"]' <<<"$output"
  run -66 client ingest red.txt --collection notes --remove
}

# steps ID: [queue, start-to-close, heartbeat, schedule-to-start, attempts, priority] of each activity.
steps() {
  history "$1" | jq -c '[.events[].activityTaskScheduledEventAttributes | select(. != null)] |
    map({(.activityType.name): [.taskQueue.name, .startToCloseTimeout, (.heartbeatTimeout // "0s"),
      (.scheduleToStartTimeout // "0s"), .retryPolicy.maximumAttempts, (.priority.priorityKey // 3)]}) | add'
}

@test "the steps run on the queues and with the policies that the documentation says" {
  echo "Words." >a.txt
  client ingest a.txt --collection notes
  steps ingest-a.txt | jq -e '. ==
    {"load_and_chunk": ["cpu-queue", "1800s", "0s", "0s", 5, 3],
     "select_new_chunks": ["storage-queue", "1800s", "0s", "0s", 20, 3],
     "embed_artifact": ["gpu-queue", "3600s", "30s", "0s", 5, 4],
     "index_chunks": ["storage-queue", "1800s", "0s", "0s", 20, 3],
     "commit_document": ["storage-queue", "1800s", "0s", "0s", 20, 3]}'
  client workflow query --id ingest-a.txt --type progress --output json | jq -e '.. | .stage? // empty | . == "done"'
  client workflow execute --type SearchWorkflow --task-queue cpu-queue --id ask --input '{"collection": "notes", "question": "Words."}'
  steps ask | jq -e '. ==
    {"find_collection": ["storage-queue", "30s", "0s", "60s", 3, 1],
     "compute_embeddings": ["gpu-queue", "30s", "0s", "60s", 3, 1],
     "search_vectors": ["storage-queue", "30s", "0s", "60s", 3, 1]}'
}
