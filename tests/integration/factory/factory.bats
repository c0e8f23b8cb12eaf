#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The factory with real processes: a plug-in and an entry of the config make a workflow that is
# started by name; the config is read again without a restart.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<YAML
groups:
  - {name: cpu, kind: cpu, processes: 1, plugins: ["$ARGOSY_BUILD_DIR/plugins/hello.so"]}
factory:
  - name: hello
    description: greets one by name
    type: HelloWorkflow
    id: hello-{uuid}
    execution_timeout_s: 120
    input: {type: string, minLength: 1, maxLength: 40}
YAML
  fleet_start
}

teardown() {
  fleet_stop
}

@test "a plug-in and an entry are a workflow: start, run, list, show" {
  run -0 --separate-stderr client run hello --input '"Ada"'
  [ "$output" = '"Hello, Ada!"' ]
  [[ "$stderr" == *"workflow id hello-"* ]]

  run -0 --separate-stderr client start hello --input '"Grace"' --output json
  jq -e '.name == "hello" and .type == "HelloWorkflow" and .taskQueue == "cpu-queue"' <<<"$output"
  run -0 --separate-stderr client workflow result --id "$(jq -r .workflowId <<<"$output")"
  [ "$output" = '"Hello, Grace!"' ]

  run -0 --separate-stderr client factory list --output json
  jq -e '[.workflows[].name] | index("infer") != null and .[-1] == "hello"' <<<"$output"
  run -0 --separate-stderr client factory show hello --output json
  jq -e '.execution_timeout_s == 120 and .input.maxLength == 40' <<<"$output"
  history "$(client workflow list --output json | jq -r '.executions[0].execution.workflowId')" |
    jq -e '.events[0].workflowExecutionStartedEventAttributes.workflowExecutionTimeout == "120s"'
}

@test "what does not fit is refused before anything starts" {
  run -66 --separate-stderr client run helo --input '"Ada"'
  [[ "$stderr" == *'no workflow is called "helo" (did you mean "hello"?)'* ]]
  run -65 --separate-stderr client run hello --input '""'
  [[ "$stderr" == *'$: has 0 characters, must have at least 1'* ]]
  run -65 --separate-stderr client start hello --input '{"name": "Ada"}'
  [[ "$stderr" == *'$: expected string, got object'* ]]
  run -64 --separate-stderr client start hello
  [[ "$stderr" == *'--input is needed once'* ]]
  [ "$(client workflow count)" = 0 ]
}

@test "the config is read again without a restart, and a broken one is told with its line" {
  printf '  - {name: greet, type: HelloWorkflow, id: "greet-{uuid}", input: {enum: [Ada]}}\n' \
    >>"$FLEET_DIR/fleet.yaml"
  run -0 --separate-stderr argosy run greet -c "$FLEET_DIR/fleet.yaml" --input '"Ada"'
  [ "$output" = '"Hello, Ada!"' ]
  run -65 --separate-stderr argosy run greet -c "$FLEET_DIR/fleet.yaml" --input '"Adda"'
  [[ "$stderr" == *'$: "Adda" is not "Ada"'* ]]
  printf '    inptu: {type: string}\n' >>"$FLEET_DIR/fleet.yaml"
  run -78 --separate-stderr argosy config check "$FLEET_DIR/fleet.yaml"
  [[ "$stderr" == *"fleet.yaml:1"[0-9]":"* ]]
  # the fleet's own registry, of its start, still serves
  run -0 --separate-stderr client run hello --input '"Ada"'
  [ "$output" = '"Hello, Ada!"' ]
}
