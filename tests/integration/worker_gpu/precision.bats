#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# `precision:` of a gpu group: a fleet embeds in the precision that its config asks for, on the CPU
# device; one that the device cannot have is refused by the check of the config, or when the worker
# starts, with an exit status after which it is not restarted.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  cd "$FLEET_DIR"
}

teardown() {
  fleet_stop
}

# config LINES...: a gpu group with these lines, and one that runs workflows.
config() {
  {
    printf 'groups:\n  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}\n'
    printf '  - name: gpu\n    kind: gpu\n    model: tiny\n    processes: 1\n    queues: [{name: gpu-queue}]\n'
    printf '    %s\n' "$@"
  } | fleet_config
}

# embed PRECISION: the texts' vectors as PRECISION.npy, by a fleet of its own, whose log is read.
embed() {
  config 'device: cpu' "precision: $1"
  FLEET_LOG=$FLEET_DIR/$1.log
  fleet_start
  fleet_wait_log "event=device.opened device=cpu .*precision=$1 "
  client embed --input texts.jsonl --output "$1.npy" --id "$1"
  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  FLEET_PID=
}

# numbers FILE: those of the first 20 vectors, one per line, by a reader of its own.
numbers() {
  python3 "$ARGOSY_SOURCE_DIR/tests/integration/embed/read_vectors.py" "$1" 20 | tail -n +2
}

multiplies_bf16() {
  grep -qw avx512_bf16 /proc/cpuinfo
}

@test "a group in bf16 embeds, close to fp32 and not the same" {
  multiplies_bf16 || skip "this processor has no AVX-512 BF16"
  jq -nc 'range(60) | {text: "text number \(.) of many"}' >texts.jsonl
  embed fp32
  embed bf16
  ! cmp -s fp32.npy bf16.npy
  # Unit vectors of 64 numbers: the sum of products is the cosine.
  paste <(numbers fp32.npy) <(numbers bf16.npy) |
    awk '{ sum += $1 * $2 } NR % 64 == 0 { if (sum < 0.999 || sum > 1.001) exit 1; sum = 0 }
         END { exit NR != 1280 }'
}

@test "bf16 on a processor without it is status 81, with what is missing" {
  multiplies_bf16 && skip "this processor has AVX-512 BF16"
  config 'device: cpu' 'precision: bf16'
  run -81 argosy-worker-gpu --config fleet.yaml --group gpu
  [[ "$output" == *"AVX-512 BF16"* ]]
}

@test "fp16 on device cpu is refused by the check, with its line" {
  config 'device: cpu' 'precision: fp16'
  run -78 argosy config check -c fleet.yaml
  [[ "$output" == *"precision: device cpu computes in fp32 or bf16, not in fp16"* ]]
  run -78 argosy-worker-gpu --config fleet.yaml --group gpu
}

@test "fp16 that no device here can have is status 81: the processor is no way out" {
  command -v nvidia-smi >/dev/null && skip "this machine has an NVIDIA driver"
  config 'device: auto' 'precision: fp16'
  run -81 argosy-worker-gpu --config fleet.yaml --group gpu
  [[ "$output" == *"could not open the cpu device"*"fp32 and bf16 only"* ]]
}
