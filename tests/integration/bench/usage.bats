#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# argosy-bench: help, errors and their exit statuses; what encode and kernels print is complete.

bats_require_minimum_version 1.5.0

setup() {
  PATH="$ARGOSY_BIN_DIR:$PATH"
  FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/argosy-bench-test.XXXXXX")
  export ARGOSY_MODEL_DIR=$FOLDER/models
  cd "$FOLDER"
}

teardown() {
  rm -rf "$FOLDER"
}

@test "help lists the measurements, and each has help with usage" {
  run -0 --separate-stderr argosy-bench --help
  [ -z "$stderr" ]
  names=$(sed -n 's/^  \([a-z]\+\) .*/\1/p' <<<"$output")
  [ "$names" = $'pipeline\ncodec\nvectors\nencode\nkernels' ]
  for name in $names; do
    run -0 --separate-stderr argosy-bench "$name" --help
    [[ "$output" == "Usage: argosy-bench $name"* ]] || { echo "no usage: $name"; false; }
    [ -z "$stderr" ]
  done
}

@test "a wrong command line: what is wrong on standard error, status 64" {
  run -64 --separate-stderr argosy-bench
  [ -z "$output" ]
  run -64 argosy-bench nothing
  [[ "$output" == *'unknown measurement "nothing"'* ]]
  for name in pipeline codec vectors encode kernels; do
    run -64 --separate-stderr argosy-bench "$name" --colour red
    [ -z "$output" ]
    [[ "$stderr" == *"unknown option --colour"* ]] || { echo "$name: $stderr"; false; }
    run -64 argosy-bench "$name" surplus
    [[ "$output" == *'unexpected argument "surplus"'* ]]
  done
  run -64 argosy-bench pipeline --concurrency 1,x
  run -64 argosy-bench vectors --config fleet.yaml
  [[ "$output" == *"--config, --input and --queries are needed"* ]]
}

@test "a device's options are checked before anything is measured" {
  for name in encode kernels; do
    run -64 argosy-bench "$name" --device gpu
    [[ "$output" == *'--device: "gpu" is none of cpu, cuda'* ]]
    run -64 argosy-bench "$name" --precision fp64
    [[ "$output" == *'--precision: "fp64" is none of fp32, fp16, bf16'* ]]
    run -64 argosy-bench "$name" --threads 0
    run -64 argosy-bench "$name" --seconds -1
    run -64 argosy-bench "$name" --seconds 1s
    run -64 argosy-bench "$name" --output yaml
  done
  for tokens in 0 511 700 1000000 x; do
    run -64 argosy-bench kernels --tokens "$tokens"
    [[ "$output" == *"is no multiple of 512"* ]]
  done
  run -70 argosy-bench kernels --precision fp16
  [[ "$output" == *"could not open the device"* ]]
}

@test "encode: a model and lengths that do not go together are refused" {
  argosy model synth tiny
  run -64 argosy-bench encode
  [[ "$output" == *"--model is needed"* ]]
  run -66 argosy-bench encode --model other
  run -66 argosy-bench encode --model ./other
  run -64 argosy-bench encode --model shape:other
  [[ "$output" == *'there is no shape "other"; there are minilm-l6, '* ]]
  run -64 argosy-bench encode --model tiny --lengths 16,65
  [[ "$output" == *"65 is longer than the longest text of tiny, 64 tokens"* ]]
  for lengths in 0 , 16, 16:32 x -1; do
    run -64 argosy-bench encode --model tiny --lengths "$lengths"
  done
  run -64 argosy-bench encode --model tiny --lengths 64 --texts 100000
  [[ "$output" == *"100000 texts of 64 tokens are more than"* ]]
}

@test "encode: figures of every length, as text and as JSON, and the vectors" {
  argosy model synth tiny
  run -0 --separate-stderr argosy-bench encode --model tiny --lengths 8,64 --texts 3 --seconds 0.01 --threads 1
  [ "$(awk 'NF == 8 && $1 ~ /^[0-9]+$/ { print $1, $2 }' <<<"$output")" = $'8 3\n64 3' ]
  [ -z "$stderr" ]
  run -0 --separate-stderr argosy-bench encode --model ./models/tiny --lengths 8,64 --texts 3 --seconds 0.01 \
    --threads 1 --output json --vectors vectors.f32
  jq -e '.model == "./models/tiny" and .precision == "fp32" and .threads == 1 and .step_tokens >= 64 and
    [.lengths[].length] == [8, 64] and
    all(.lengths[]; .texts == 3 and .best_s > 0 and .median_s >= .best_s and .samples >= 3 and
      (.tokens_per_s_best / .texts_per_s_best / .length - 1 | fabs) < 1e-6)' <<<"$output"
  [[ "$stderr" == *"measuring length 8"* ]]
  # Three vectors of 64 numbers, of unit length.
  python3 - <<'PY'
import array
numbers = array.array("f", open("vectors.f32", "rb").read())
assert len(numbers) == 3 * 64
for i in range(3):
    assert abs(sum(x * x for x in numbers[64 * i : 64 * i + 64]) - 1) < 1e-5
PY
}

@test "encode: random weights in the shape of a published model" {
  mkdir tmp
  TMPDIR=$PWD/tmp run -0 argosy-bench encode --model shape:minilm-l6 --lengths 8 --texts 1 --seconds 0.01
  [[ "$output" == *"shape:minilm-l6: 6 layers of 384, 12 heads, inner 1536"* ]]
  [ -z "$(ls tmp)" ]
}

@test "kernels: every operation at every shape, beside a roof" {
  run -0 --separate-stderr argosy-bench kernels --seconds 0.001 --tokens 512 --output json
  jq -e '.tokens == 512 and .roof.flops_per_s > 0 and .roof.bytes_per_s > 0 and (.operations | length) == 33 and
    ([.operations[].operation] | unique | length) == 11 and ([.operations[].model] | unique | length) == 3 and
    all(.operations[]; .best_s > 0 and .median_s >= .best_s and .bytes > 0 and .flops > 0 and
      .share_of_memory > 0 and .share_of_arithmetic > 0)' <<<"$output"
  [[ "$stderr" == *"measuring the roof"* ]]
}
