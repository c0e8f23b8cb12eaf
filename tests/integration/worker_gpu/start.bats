#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# argosy-worker-gpu by hand: what keeps it from starting is said, with an exit status after which its
# supervisor does not restart it; the device it computes on is said aloud; SIGTERM ends it with 0.

bats_require_minimum_version 1.5.0

setup() {
  PATH="$ARGOSY_BIN_DIR:$PATH"
  FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/argosy-worker.XXXXXX")
  cd "$FOLDER"
  export ARGOSY_MODEL_DIR="$FOLDER/models"
  argosy model synth tiny
}

teardown() {
  rm -rf "$FOLDER"
}

# config LINES...: one gpu group on the CPU device with these lines, and one cpu group.
config() {
  {
    printf 'data_dir: data\ngroups:\n  - name: cpu\n    kind: cpu\n'
    printf '  - name: gpu\n    kind: gpu\n    model: tiny\n'
    [ $# = 0 ] || printf '    %s\n' "$@"
  } >fleet.yaml
}

# refused STATUS TEXT: the worker does not start, with this status, and says this.
refused() {
  run -"$1" argosy-worker-gpu --config fleet.yaml --group gpu
  [[ "$output" == *"$2"* ]]
}

@test "a wrong command line is status 64" {
  run -64 argosy-worker-gpu
  run -64 argosy-worker-gpu --config a --unknown
  run -0 argosy-worker-gpu --help
  [[ "$output" == *"example:"* ]]
}

@test "a group of another kind is named" {
  config 'device: cpu'
  run -78 argosy-worker-gpu --config fleet.yaml --group cpu
  [[ "$output" == *'is of kind cpu, not gpu'* ]]
}

@test "a missing model names the command that brings it" {
  config 'device: cpu'
  rm -r models/tiny
  refused 78 "argosy model fetch tiny"
}

@test "a truncated model file is named with its tensor" {
  config 'device: cpu'
  truncate -s -100 models/tiny/model.safetensors
  refused 78 "models/tiny/model.safetensors: tensor "
  [[ "$output" == *"cut short"* ]]
  truncate -s 100 models/tiny/model.safetensors
  refused 78 "cut short"
}

@test "a damaged vocabulary or configuration is named with its place" {
  config 'device: cpu'
  printf '[PAD]\n[UNK]\n\n' >models/tiny/vocab.txt
  refused 78 "models/tiny/vocab.txt:3"
  sed -i 's/"hidden_size": 64/"hidden_size": "64"/' models/tiny/config.json
  refused 78 hidden_size
}

@test "a model of another kind is refused by name" {
  config 'device: cpu'
  sed -i 's/"model_type": "bert"/"model_type": "gpt2"/' models/tiny/config.json
  refused 81 gpt2
}

@test "a CUDA device that was asked for and is not there is status 81" {
  command -v nvidia-smi >/dev/null && skip "this machine has an NVIDIA driver"
  config 'device: cuda'
  refused 81 "cuda"
}

@test "the CPU in place of a GPU is said aloud; SIGTERM ends the worker with 0, engine or not" {
  command -v nvidia-smi >/dev/null && skip "this machine has an NVIDIA driver"
  config 'device: auto'
  argosy-worker-gpu --config fleet.yaml --group gpu 2>log 3>&- &
  worker=$!
  grep -q worker.started < <(timeout 60 tail -n +1 -F --pid="$worker" log 2>/dev/null 3>&-)
  grep -q 'level=warn.*event=device.fell_back device=cpu reason=' log
  grep -q 'event=device.opened device=cpu .*precision=fp32' log
  kill -TERM "$worker"
  wait "$worker"
}
