#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# argosy-worker-cpu by hand: what keeps it from starting is said and is EXIT_BAD_CONFIG (78), so that
# its supervisor does not restart it; SIGTERM ends it with 0, engine or not.

bats_require_minimum_version 1.5.0

setup() {
  PATH="$ARGOSY_BIN_DIR:$PATH"
  FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/argosy-worker.XXXXXX")
  cd "$FOLDER"
}

teardown() {
  rm -rf "$FOLDER"
}

# config LINES...: one cpu group with these lines, and one gpu group.
config() {
  {
    printf 'data_dir: data\ngroups:\n  - name: cpu\n    kind: cpu\n'
    [ $# = 0 ] || printf '    %s\n' "$@"
    printf '  - name: gpu\n    kind: gpu\n    device: cpu\n'
  } >fleet.yaml
}

@test "a wrong command line is status 64" {
  run -64 argosy-worker-cpu
  run -64 argosy-worker-cpu --config
  run -64 argosy-worker-cpu --config a --unknown
  run -0 argosy-worker-cpu --help
}

@test "a wrong config is named" {
  run -78 argosy-worker-cpu --config missing.yaml
  [[ "$output" == *"missing.yaml"* ]]
  config 'proceses: 2'
  run -78 argosy-worker-cpu --config fleet.yaml
  [[ "$output" == *"fleet.yaml:5"*"proceses"*"processes"* ]]
}

@test "a wrong group is named" {
  config
  run -78 argosy-worker-cpu --config fleet.yaml --group other
  [[ "$output" == *'no group'*'other'* ]]
  run -78 argosy-worker-cpu --config fleet.yaml --group gpu
  [[ "$output" == *'is of kind gpu, not cpu'* ]]
}

@test "a plug-in that does not load is named with its reason" {
  config 'plugins: [missing.so]'
  run -78 argosy-worker-cpu --config fleet.yaml --group cpu
  [[ "$output" == *"$FOLDER/missing.so"*"No such file"* ]]
  echo "not an object" >text.so
  config 'plugins: [text.so]'
  run -78 argosy-worker-cpu --config fleet.yaml --group cpu
  [[ "$output" == *"text.so"* ]]
}

@test "SIGTERM ends it with 0 while no engine answers" {
  config
  argosy-worker-cpu --config fleet.yaml --group cpu 2>log 3>&- &
  worker=$!
  grep -q worker.started < <(timeout 60 tail -n +1 -F --pid="$worker" log 2>/dev/null 3>&-)
  kill -TERM "$worker"
  wait "$worker"
}
