#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A GPU worker killed in the middle of a batch embedding: the other one goes on at the checkpoint, and
# the vectors are those of an undisturbed run.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
  probe_gpu_setup
  fleet_config <<YAML
groups:
  - name: cpu
    kind: cpu
    processes: 1
    queues: [{name: cpu-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    processes: 2
    batch_tokens: 512
    queues: [{name: gpu-queue}]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
  jq -n '[range(2500) | "text \(.) " + ([range(60)] | map("w\(. * 7 % 13)x") | join(" "))]' \
    >"$FLEET_DIR/texts.json"
}

teardown() {
  fleet_stop
}

@test "a killed batch embedding resumes at its heartbeat checkpoint" {
  run -0 --separate-stderr client workflow execute --type BatchEmbedWorkflow \
    --input-file "$FLEET_DIR/texts.json" --id undisturbed --output json
  local expected=$FLEET_DIR/expected.json
  jq -c .result <<<"$output" >"$expected"

  work_slow
  client workflow start --type BatchEmbedWorkflow --input-file "$FLEET_DIR/texts.json" --id killed
  local victim
  victim=$(await pending_has killed 'select(.activityType.name == "compute_embeddings" and
    (.heartbeatDetails.payloads | length) > 0) | .lastWorkerIdentity')
  victim=${victim%%@*}
  kill -KILL "$victim"
  work_fast

  run -0 --separate-stderr client workflow result --id killed --output json
  jq -c .result <<<"$output" | cmp - "$expected"
  grep "event=activity.resumed" "$FLEET_LOG" | grep -E "loss=1 texts_done=[1-9][0-9]* texts=2500"
  [ "$(identities killed compute_embeddings | cut -d@ -f1)" != "$victim" ]
}
