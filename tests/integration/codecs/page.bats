#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of docs/codecs.md, word for word: the shipped workflows with an encrypted store.

bats_require_minimum_version 1.5.0
load ../../page.bash

setup() {
  page_setup docs/codecs.md
  PATH="$PWD/build/release/bin:$PATH"
}

teardown() {
  fleet_stop
}

# payloads ID [OPTIONS...]: what the run's history shows of its payloads, decoded from base64.
payloads() {
  argosy workflow show --id "$1" --output json "${@:2}" |
    jq -r '.. | objects | select(has("payloads")) | .payloads[].data | @base64d'
}

@test "the engine's store holds nothing readable; keys change" {
  local address="ipc://$PWD/.argosy/engine.sock"
  page_fleet "Encrypt what the engine stores" 1
  [ "$(stat -c %a payloads.key)" = 600 ]
  page_says "Encrypt what the engine stores" 2
  payloads secret-1 | grep PLAINTEXT-MARKER >/dev/null # to the end: -q would close the pipe
  run ! grep -q PLAINTEXT-MARKER <(payloads secret-1 --address "$address")
  argosy workflow show --id secret-1 --output json --address "$address" |
    jq -e '[.. | objects | select(has("payloads")) | .payloads[].metadata.encoding | @base64d]
      | unique == ["binary/encrypted"]'

  kill -TERM "$FLEET_PID"
  wait "$FLEET_PID"
  run ! grep -q PLAINTEXT-MARKER .argosy/engine.db
  : >"$FLEET_LOG"
  page_fleet "Change the key" 1
  page_says "Change the key" 2
  # The check can fail: with the marker as an id, which is not encoded, it does.
  argosy workflow start --type PrepareAndInferWorkflow --id PLAINTEXT-MARKER --input '"text"'
  grep -q PLAINTEXT-MARKER .argosy/engine.db*
  [ "$(argosy workflow show --id secret-2 --output json --address "$address" |
    jq -r 'first(.. | .metadata? | objects | .["encryption-key-id"] | select(. != null)) | @base64d')" = \
    "$(sed -n 's/^key-id: //p' new.key)" ]
}

@test "a key file that others may read keeps the fleet from serving, and says so" {
  argosy key create --codec payloads.key
  chmod 644 payloads.key
  printf 'codecs: [{name: aes-gcm, key_files: [payloads.key]}]\ngroups: [{name: cpu, kind: cpu}]\n' >fleet.yaml
  run -78 argosy up -c fleet.yaml
  [[ "$output" == *"payloads.key: a secret key that others may read"* ]]
}
