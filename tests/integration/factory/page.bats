#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/factory.md, word for word.

load ../../page.bash

setup() {
  page_setup docs/factory.md
  PATH="$PWD/build/release/bin:$PATH"
}

teardown() {
  fleet_stop
}

@test "an entry and a plug-in make a workflow; a changed entry needs no restart" {
  page_fleet "A workflow of your own" 1
  page_says "A workflow of your own" 2 '"Hello, Ada!"' "HelloWorkflow"
  eval "$(page_block "A workflow of your own" 3)"
  page_says "A workflow of your own" 4 '"Hello, Grace!"'
  run -65 argosy run greet -c fleet.yaml --input '""'
  [[ "$output" == *'$: has 0 characters, must have at least 1'* ]]
}
