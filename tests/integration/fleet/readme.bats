#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The README's commands, word for word (page.bash).

load ../../page.bash

setup() {
  page_setup README.md
}

teardown() {
  fleet_stop
}

@test "Use it: each command works as written" {
  page_fleet "Use it" 1
  grep -q "gpu/0 .*" "$FLEET_LOG"
  [ "$(page_block "Use it" 2 | wc -l)" -ge 5 ]
  page_lines "Use it" 2
  [ "$(argosy workflow count --query "ExecutionStatus = 'Completed'")" = 2 ]
}

@test "A workflow of your own: the plug-in is built, named and run as written" {
  eval "$(page_block "Use it" 1 | head -n -1)"
  page_fleet "A workflow of your own" 1
  page_says "A workflow of your own" 2 '"Hello, Ada!"'
}

@test "every file that the README names exists" {
  local path count=0
  while read -r path; do
    [ -e "$ARGOSY_SOURCE_DIR/$path" ] || { echo "missing: $path"; return 1; }
    count=$((count + 1))
  done < <(grep -oE '\]\([^)]+\)' "$PAGE" | tr -d '()]'
           grep -oE '`[a-z_/]+/[a-z_]+\.[ch]`' "$PAGE" | tr -d '`'
           grep -oE '^scripts/[a-z]+' "$PAGE")
  [ "$count" -ge 12 ]
}
