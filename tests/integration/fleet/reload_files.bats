#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A fleet whose config is several files takes changes of them over: who is named by the change starts
# again, nobody else; an error leaves all as it was and names the file in which it stands.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  CONF=$FLEET_DIR/conf.d
  mkdir "$CONF"
  fleet_config <<YAML
include: [conf.d]
node: here
storage: {enabled: false}
YAML
  group one "queues: [{name: one-queue, slots: 16}]"
  group two "environment: [{name: TOKEN, value: first-s3cret}]"
  fleet_start
  ENGINE=$(engine)
}

teardown() {
  fleet_stop
}

# group NAME LINE: a file for a group of one process.
group() {
  printf 'groups:\n  - name: %s\n    kind: cpu\n    processes: 1\n    %s\n' "$1" "$2" >"$CONF/$1.yaml"
}

engine() {
  pgrep --parent "$FLEET_PID" --full argosy-engine
}

effective() {
  argosy config show --effective "$FLEET_DIR/data/fleet.effective.yaml" --output json | jq -r ".config.$1"
}

@test "each file is read anew, and who is not concerned goes on" {
  local one two
  one=$(workers one)
  two=$(workers two)
  group one "queues: [{name: one-queue, slots: 32}]"
  group three "activities: false"
  run -0 client fleet reload
  [[ "$output" == *"groups[one].queues[one-queue].slots: 16 -> 32"* ]]
  [[ "$output" == *"groups[three]: added"* ]]
  [ "$(workers one)" = "$one" ]
  [ "$(workers two)" = "$two" ]
  [ "$(workers three | wc -l)" -eq 1 ]
  [ "$(effective 'groups[0].queues[0].slots')" = 32 ]

  group two "environment: [{name: TOKEN, value: second-s3cret}]"
  rm "$CONF/three.yaml"
  run -0 client fleet reload
  [[ "$output" == *"groups[two].environment[TOKEN].value: changed"* ]]
  [[ "$output" == *"groups[three]: removed"* ]]
  [ "$(workers one)" = "$one" ]
  [ "$(workers two)" != "$two" ]
  [ -z "$(workers three)" ]
  [ "$(engine)" = "$ENGINE" ]
  run ! grep s3cret "$FLEET_LOG"
  run -0 client fleet reload
  [[ "$output" == *"nothing changed"* ]]
}

@test "an error in one of the files, or what a running node cannot take, leaves all as it was" {
  local one
  one=$(workers one)
  group one "grace: 500"
  run ! --separate-stderr client fleet reload
  [[ "$stderr" == *'conf.d/one.yaml:5: groups[0].grace: unknown key (did you mean "grace_ms"?)'* ]]
  group one $'grace_ms: 500\n    queues: [{name: one-queue, slots: 16}]'
  sed -i 's/node: here/node: there/' "$FLEET_DIR/fleet.yaml"
  run ! --separate-stderr client fleet reload
  [[ "$stderr" == *"node: here -> there: cannot change while the fleet runs"* ]]
  [ "$(effective node)" = here ]
  [ "$(effective 'groups[0].grace_ms')" = 10000 ]
  sed -i 's/node: there/node: here/' "$FLEET_DIR/fleet.yaml"
  run -0 client fleet reload
  [ "$(effective 'groups[0].grace_ms')" = 500 ]
  [ "$(workers one)" = "$one" ]
  [ "$(engine)" = "$ENGINE" ]
}
