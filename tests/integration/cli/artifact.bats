#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `argosy artifact` and the registered models of `argosy model`, against a fleet.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  cd "$FLEET_DIR"
  fleet_config <<'YAML'
storage: {artifact_keep_hours: 0}
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
YAML
  fleet_start
}

teardown() {
  fleet_stop
}

# content_path ID: the file of an artifact in the volume.
content_path() {
  local digest=${1#sha256:}
  printf '%s' "$FLEET_DIR/data/storage/artifacts/${digest:0:2}/$digest"
}

@test "what is put is listed and got, by its SHA-256" {
  printf 'hello' >a.txt
  head -c 3000000 /dev/urandom >b.bin
  run -0 client artifact put a.txt b.bin
  [[ "$output" == *"sha256:$(sha256sum a.txt | cut -d' ' -f1)  a.txt"* ]]
  local b
  b=sha256:$(sha256sum b.bin | cut -d' ' -f1)
  run -0 client artifact list
  [[ "$output" == *"$b"*"2.9 MiB"*"pin:cli"* ]]
  [[ "$output" == *"2 artifacts, 2.9 MiB"* ]]
  client artifact list --output json |
    jq -e --arg b "$b" '.more == false and (.artifacts | length) == 2 and
      (.artifacts[] | select(.artifact == $b) | .size == 3000000 and .owners == ["pin:cli"])'
  client artifact list --limit 1 --output json | jq -e '.more and (.artifacts | length) == 1'
  run -0 --separate-stderr client artifact get "$b" copy.bin
  [ -z "$output" ]
  cmp b.bin copy.bin
  run -0 client artifact put a.txt --pin other --output json
  jq -e '.artifacts[0].file == "a.txt" and .artifacts[0].size == 5' <<<"$output"
  client artifact list --output json | jq -e '[.artifacts[].owners[]] | contains(["pin:other"])'
}

@test "wrong words have a status and a reason" {
  run -64 client artifact put
  run -64 client artifact get sha256:0
  run -64 client artifact list --limit 0
  run -64 client artifact put a.txt --pin p --workflow w
  run -65 client artifact get sha256:0 x
  run -65 client artifact release hello
  run -66 client artifact put missing.txt
  [[ "$output" == *"missing.txt"* ]]
  run -66 client artifact get "sha256:$(printf '0%.0s' {1..64})" x
  [[ "$output" == *"storage has no artifact"* ]]
  [ ! -e x ]
  run -65 client artifact put data --pin $'a\nb'
  run -78 env -u ARGOSY_DATA_DIR argosy artifact list --data-dir nowhere
  [[ "$output" == *"--data-dir"* ]]
}

@test "damage is named with status 65, and repaired by putting the file again" {
  printf 'sound' >a.txt
  client artifact put a.txt
  local id path
  id=sha256:$(sha256sum a.txt | cut -d' ' -f1)
  path=$(content_path "$id")
  run -0 client artifact verify
  [[ "$output" == "1 read, 0 damaged" ]]
  chmod 600 "$path"
  printf 'wound' >"$path"
  run -65 --separate-stderr client artifact verify
  [[ "$output" == *"$id: its content is not what its name says"* ]]
  run -65 --separate-stderr client artifact verify --output json
  jq -e --arg id "$id" '.checked == 1 and .damaged[0].artifact == $id' <<<"$output"
  run -65 client artifact get "$id" copy.txt
  [ ! -e copy.txt ]
  client artifact put a.txt
  run -0 client artifact verify
  client artifact get "$id" copy.txt
  cmp a.txt copy.txt
}

@test "what nobody owns is collected; a dry run says so before" {
  printf 'one' >a.txt
  printf 'two' >b.txt
  client artifact put a.txt b.txt --pin p
  local id
  id=sha256:$(sha256sum a.txt | cut -d' ' -f1)
  client artifact release "$id" --pin p
  client artifact release "$id" --pin p
  run -0 client artifact gc --dry-run
  [[ "$output" == *"$id  it has no owner"*"1 artifact, 3 B would be collected"* ]]
  [ -e "$(content_path "$id")" ]
  run -0 client artifact gc --output json
  jq -e --arg id "$id" '.collected[0].artifact == $id and .bytes == 3 and .examined == 2' <<<"$output"
  [ ! -e "$(content_path "$id")" ]
  run -0 client artifact list --output json
  jq -e '.artifacts | length == 1' <<<"$output"
}

@test "models: unregistering what is not there names it; without a fleet the local ones are listed" {
  run -66 client model unregister tickets@1
  [[ "$output" == *"no model tickets is registered"* ]]
  run -64 client model unregister tickets
  run -65 client model unregister 'no name@1'
  client model list --output json | jq -e '.models[0].name == "tiny" and .registered == []'
  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  FLEET_PID=
  run -0 --separate-stderr client model list
  [[ "$output" == *tiny* ]]
  [[ "$stderr" == *"registered models are not shown"* ]]
  client model list --output json | jq -e '.models[0].name == "tiny" and (has("registered") | not)'
  run -69 client artifact list
  [[ "$output" == *"storage does not answer"* ]]
}
