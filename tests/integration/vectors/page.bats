#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/vectors.md, word for word; those of PostgreSQL on a real server.

load ../../page.bash

setup() {
  page_setup docs/vectors.md
  export ARGOSY_MODEL_DIR=$FLEET_DIR/.cache/models
}

teardown() {
  fleet_stop
  # The server ends with its standard input.
  [ -z "${SERVER_PID:-}" ] || { exec 7>&-; wait "$SERVER_PID"; }
}

# Runs a server; its socket is beside the password.
server_start() {
  local program=$ARGOSY_BUILD_DIR/tests/unit/vectors/vectors_postgres_server
  [ -x "$program" ] || skip "built without libpq"
  mkfifo hold
  "$program" <hold >password_file 2>server.log 3>&- &
  SERVER_PID=$!
  exec 7>hold
  if ! grep -q password < <(timeout 60 tail -n +1 -F --pid="$SERVER_PID" password_file 2>/dev/null 3>&- 7>&-); then
    exec 7>&-
    local status=0
    wait "$SERVER_PID" || status=$?
    SERVER_PID=
    cat password_file server.log
    [ "$status" != 77 ] || skip "no PostgreSQL server (scripts/get-postgres brings one)"
    return 1
  fi
  cp "$(cat password_file)" postgres.password
  PGHOST=$(dirname "$(cat password_file)")
  export PGHOST PGUSER=argosy
}

@test "documents are filtered, and their collection is looked at and deleted" {
  page_fleet "Use it" 1
  page_says "Use it" 2 "A kitten sleeps" '"documents": 2' "deleted collection library"
}

@test "the same with vectors in PostgreSQL" {
  server_start
  page_fleet "In PostgreSQL" 1
  page_says "In PostgreSQL" 2 "A kitten sleeps" "deleted collection library"
  [ ! -e .argosy/storage/vectors.db ]
}
