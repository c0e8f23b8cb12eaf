#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The README's commands, word for word, in a folder that looks like the project's root after
# scripts/demo; the model is a tiny one under the real one's name.

load ../../fleet.bash

setup() {
  fleet_setup
  README=$ARGOSY_SOURCE_DIR/README.md
  cd "$FLEET_DIR"
  ln -s "$ARGOSY_SOURCE_DIR/examples" "$ARGOSY_SOURCE_DIR/include" .
  mkdir build
  ln -s "$ARGOSY_BUILD_DIR" build/release
  unset ARGOSY_DATA_DIR ARGOSY_ENDPOINT
  ARGOSY_MODEL_DIR=$FLEET_DIR/.cache/models argosy model synth all-MiniLM-L6-v2
}

teardown() {
  fleet_stop
}

# block HEADING N: the N-th sh block under a heading of the README.
block() {
  awk -v heading="## $1" -v wanted="$2" '
    /^## / { under = $0 == heading }
    /^```$/ { inside = 0 }
    inside && under && blocks == wanted
    /^```sh$/ { inside = 1; blocks += under }' "$README"
}

# fleet_block HEADING N: runs a block whose last line is the fleet, and waits until it is ready.
fleet_block() {
  local text
  text=$(block "$1" "$2")
  eval "$(head -n -1 <<<"$text")"
  (exec >>"$FLEET_LOG" 2>&1 3>&-; eval "exec $(tail -n 1 <<<"$text")") &
  FLEET_PID=$!
  fleet_wait_log "fleet ready" || { cat "$FLEET_LOG"; return 1; }
}

# lines_block HEADING N: runs a block line by line; a line that waits for ever fails.
lines_block() {
  local line
  while read -r line; do
    echo "\$ $line"
    timeout 30 bash -c "$line" || return 1
  done < <(block "$1" "$2")
}

@test "Use it: each command works as written" {
  fleet_block "Use it" 1
  grep -q "gpu/0 .*" "$FLEET_LOG"
  [ "$(block "Use it" 2 | wc -l)" -ge 5 ]
  lines_block "Use it" 2
  [ "$(argosy workflow count --query "ExecutionStatus = 'Completed'")" = 2 ]
}

@test "A workflow of your own: the plug-in is built, named and run as written" {
  eval "$(block "Use it" 1 | head -n -1)"
  fleet_block "A workflow of your own" 1
  run lines_block "A workflow of your own" 2
  [ "$status" = 0 ]
  [[ "$output" == *'"Hello, Ada!"'* ]]
}

@test "every file that the README names exists" {
  local path count=0
  while read -r path; do
    [ -e "$ARGOSY_SOURCE_DIR/$path" ] || { echo "missing: $path"; return 1; }
    count=$((count + 1))
  done < <(grep -oE '\]\([^)]+\)' "$README" | tr -d '()]'
           grep -oE '`[a-z_/]+/[a-z_]+\.[ch]`' "$README" | tr -d '`'
           grep -oE '^scripts/[a-z]+' "$README")
  [ "$count" -ge 12 ]
}
