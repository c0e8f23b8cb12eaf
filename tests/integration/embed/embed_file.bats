#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# argosy embed through real processes: the vectors are those of compute_embeddings, the same command
# is the same job, and what is wrong with a file is said with its line.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<'YAML'
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue}, {name: storage-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: 1
    queues: [{name: gpu-queue}]
YAML
  fleet_start
  cd "$FLEET_DIR"
}

teardown() {
  fleet_stop
}

# texts COUNT: that many lines of JSONL.
texts() {
  jq -nc "range($1) | {text: \"text number \\(.) of many\", id: .}"
}

# vectors FILE [ROWS]: its shape and its numbers, one per line, by a reader of its own.
vectors() {
  python3 "$ARGOSY_SOURCE_DIR/tests/integration/embed/read_vectors.py" "$@"
}

@test "a file of texts becomes a .npy file of their vectors" {
  texts 300 >texts.jsonl
  run -0 client embed --input texts.jsonl --output vectors.npy
  [[ "$output" == *"vectors.npy: 300 vectors of 64 numbers, by tiny"* ]]
  [ "$(vectors vectors.npy 0)" = "300 64" ]

  jq -sc 'map(.text)[:20]' texts.jsonl >first.json
  run -0 --separate-stderr client workflow execute --type BatchEmbedWorkflow \
    --input-file first.json --output json
  jq -r '.result[][]' <<<"$output" >expected.txt
  vectors vectors.npy 20 | tail -n +2 >is.txt
  paste expected.txt is.txt | awk '{ d = $1 - $2; if (d < -1e-6 || d > 1e-6) exit 1 } END { exit NR != 1280 }'
}

@test "the same command is the same job, and fetches its file again" {
  texts 50 >texts.jsonl
  client embed --input texts.jsonl --output first.npy
  client embed --input - --output second.npy <texts.jsonl
  cmp first.npy second.npy
  [ "$(client workflow count --query "WorkflowType = 'EmbedFileWorkflow'")" = 1 ]
  client embed --input texts.jsonl --output third.npy --id mine
  cmp first.npy third.npy
  [ "$(client workflow count --query "WorkflowType = 'EmbedFileWorkflow'")" = 2 ]
  texts 51 >others.jsonl
  run -73 client embed --input others.jsonl --output fourth.npy --id mine
  [[ "$output" == *"belongs to a job with other texts"* ]]
  [ ! -e fourth.npy ]
}

@test "plain text and safetensors" {
  printf 'one\n\ntwo \\ "three"\r\nlast' >notes.txt
  run -0 client embed --text --input notes.txt --output notes.safetensors
  [[ "$output" == *"4 vectors of 64 numbers"* ]]
  printf '"one"\n""\n"two \\\\ \\"three\\""\n"last"\n' >same.jsonl
  client embed --input same.jsonl --output same.npy
  cmp <(vectors notes.safetensors) <(vectors same.npy)
  [ "$(vectors same.npy 0)" = "4 64" ]
}

@test "what is wrong is said before anything is computed" {
  { texts 40; echo '{"words": 1}'; texts 40; } >texts.jsonl
  run -1 client embed --input texts.jsonl --output vectors.npy
  [[ "$output" == *'line 41: "text" is missing'* ]]
  [ ! -e vectors.npy ]
  : >empty.jsonl
  run -1 client embed --input empty.jsonl --output vectors.npy
  [[ "$output" == *"holds no text"* ]]
  texts 4 >texts.jsonl
  run -1 client embed --input texts.jsonl --output vectors.npy --model tinny
  [[ "$output" == *'there is no model "tinny"; the nearest is "tiny"'* ]]
  mkdir folder
  local before
  before=$(client workflow count)
  run -66 client embed --input texts.jsonl --output nowhere/vectors.npy
  [[ "$output" == *"cannot write into the folder nowhere: No such file or directory"* ]]
  run -73 client embed --input texts.jsonl --output folder
  [[ "$output" == *"cannot write folder: it is there, and no file"* ]]
  [ "$(client workflow count)" = "$before" ]
  run -66 client embed --input absent.jsonl --output vectors.npy
  printf 'good\n\xff\n' >bytes.txt
  run -65 client embed --text --input bytes.txt --output vectors.npy
  [[ "$output" == *"line 2 is not UTF-8"* ]]
}

@test "long texts are cut and counted" {
  { texts 3; jq -nc '[range(200) | "word"] | join(" ") | ., . + " end"'; } >texts.jsonl
  run -0 client embed --input texts.jsonl --output vectors.npy
  [[ "$output" == *"2 texts are longer than the model reads: their ends are not in it"* ]]
  # What makes them differ is behind the cut.
  vectors vectors.npy | tail -n 128 >last.txt
  cmp <(sed -n 1,64p last.txt) <(sed -n 65,128p last.txt)
}

@test "two commands at once are one job, and each gets its file" {
  texts 5000 >texts.jsonl
  client embed --input texts.jsonl --output first.npy 3>&- &
  local first=$!
  client embed --input texts.jsonl --output second.npy
  wait "$first"
  cmp first.npy second.npy
  [ "$(client workflow count --query "WorkflowType = 'EmbedFileWorkflow'")" = 1 ]
}

@test "a job that is canceled ends, and its id is free again" {
  texts 100000 >texts.jsonl
  client embed --input texts.jsonl --output vectors.npy --id wanted 3>&- &
  local command=$!
  fleet_wait_log "artifact.embedded workflow_id=\"wanted\""
  client workflow cancel --id wanted
  local status=0
  wait "$command" || status=$?
  [ "$status" = 1 ]
  [ ! -e vectors.npy ]
  texts 5 >texts.jsonl
  client embed --input texts.jsonl --output vectors.npy --id wanted
  [ "$(vectors vectors.npy 0)" = "5 64" ]
}

@test "JSON for programs, and nothing beside it" {
  texts 5 >texts.jsonl
  run -0 --separate-stderr client embed --input texts.jsonl --output vectors.npy --output json
  [ -z "$stderr" ]
  jq -e '.status == "COMPLETED" and .output == "vectors.npy" and .result.count == 5 and
    .result.dimension == 64 and (.workflowId | startswith("embed-"))' <<<"$output"
  run -64 client embed --input texts.jsonl --output json
  run -64 client embed --input texts.jsonl --output first.npy --output second.npy
}

@test "a bar on a terminal" {
  cat >terminal.py <<'PY'
# PID COMMAND: runs the command in a terminal, lets the stopped process go on when the bar is there.
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
said, stopped = b"", int(sys.argv[1])
while True:
    try:
        said += os.read(terminal, 65536)
    except OSError:  # the terminal is closed
        break
    if stopped and b"embed [" in said:
        os.kill(stopped, signal.SIGCONT)
        stopped = 0
print(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
  texts 3000 >texts.jsonl
  local worker
  worker=$(workers gpu)
  kill -STOP "$worker"
  run -0 timeout 60 python3 terminal.py "$worker" argosy embed --input texts.jsonl \
    --output vectors.npy --data-dir "$FLEET_DIR/data"
  [[ "$output" == *"embed ["*"/3000 texts"* ]]
  [[ "$output" == *"vectors.npy: 3000 vectors of 64 numbers, by tiny"* ]]
}
