#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The installed tree can be moved: programs find each other and the library beside themselves.

load ../../fleet.bash

setup() {
  fleet_setup
  cmake --install "$ARGOSY_BUILD_DIR" --prefix "$FLEET_DIR/first" >"$FLEET_DIR/install.log"
  mv "$FLEET_DIR/first" "$FLEET_DIR/moved"
}

teardown() {
  fleet_stop
}

@test "a moved tree runs a fleet" {
  PATH="$FLEET_DIR/moved/bin:/usr/bin:/bin"
  fleet_config <<'YAML'
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    queues: [{name: gpu-queue}]
YAML
  fleet_start
  client workflow execute --type PrepareAndInferWorkflow --input '"moved"' --id moved-1
  readlink -f "/proc/$(workers gpu)/exe" | grep -q "^$(readlink -f "$FLEET_DIR")/moved/bin/"
}

@test "a plug-in builds against the installed headers and library" {
  cc -std=c11 -Wall -Werror -shared -fPIC -I"$FLEET_DIR/moved/include" -o "$FLEET_DIR/hello.so" \
    "$ARGOSY_SOURCE_DIR/examples/hello/hello.c" -L"$FLEET_DIR/moved/lib" -largosy
}
