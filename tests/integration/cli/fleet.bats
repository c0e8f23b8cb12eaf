#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The command line tool against a fleet of real processes: the shipped workflows from start to
# history, what is refused, what a failure looks like. One fleet serves the whole file.

bats_require_minimum_version 1.5.0
load "$ARGOSY_SOURCE_DIR/tests/fleet.bash"

setup_file() {
  fleet_setup
  fleet_config <<'YAML'
groups:
  - name: cpu
    kind: cpu
    processes: 2
    queues: [{name: cpu-queue, slots: 8}]
  - name: gpu
    kind: gpu
    device: cpu
    processes: 1
    model: tiny
    queues: [{name: gpu-queue, slots: 32}]
YAML
  fleet_start
  export FLEET_DIR FLEET_LOG FLEET_PID
}

teardown_file() {
  fleet_stop
}

@test "a text is labelled: validate, preprocess, infer, in processes of their queues" {
  run -0 --separate-stderr client workflow execute --type PrepareAndInferWorkflow \
    --input '"  Hello  world  "' --id infer-1
  [ "$(jq -r .input <<<"$output")" = "hello world" ]
  jq -e '.label | type == "string"' <<<"$output"
  jq -e '.score > 0 and .score <= 1' <<<"$output"
  [[ "$stderr" == *"infer-1"* ]]

  local exact=$output # the digits of the score are the workflow's own
  run -0 client workflow result infer-1 --output json
  [[ "$output" == *"$exact"* ]]
  jq -e '.status == "COMPLETED"' <<<"$output"

  [[ "$(identities infer-1 validate_input)" == *"#cpu" ]]
  [[ "$(identities infer-1 preprocess)" == *"#cpu" ]]
  [[ "$(identities infer-1 run_inference)" == *"#gpu"* ]]
  # Routing, timeouts and retry policies are those promised.
  history infer-1 | jq -e '[.events[].activityTaskScheduledEventAttributes | select(. != null)
    | [.activityType.name, .taskQueue.name, .startToCloseTimeout, .heartbeatTimeout // "0s",
       .retryPolicy.initialInterval, .retryPolicy.backoffCoefficient, .retryPolicy.maximumAttempts]]
    | . == [["validate_input", "cpu-queue", "30s", "0s", "1s", 2, 3],
            ["preprocess", "cpu-queue", "30s", "0s", "1s", 2, 3],
            ["run_inference", "gpu-queue", "120s", "30s", "2s", 2, 2]]'
}

@test "a batch is embedded: blank texts dropped, one vector each" {
  run -0 --separate-stderr client workflow execute --type BatchEmbedWorkflow --id embed-1 \
    --input '["One text", "   ", "another text", "one  TEXT"]'
  [ "$(jq length <<<"$output")" = 3 ]
  # The tiny model's vectors have 64 numbers and length 1; equal texts have equal vectors.
  jq -e 'all(.[]; length == 64 and ((map(. * .) | add) - 1 | fabs) < 0.001)' <<<"$output"
  jq -e '.[0] as $a | .[2] as $b | [range(64) | ($a[.] - $b[.]) | fabs] | max < 0.0001' <<<"$output"
  history embed-1 | jq -e '[.events[].activityTaskScheduledEventAttributes | select(. != null)
    | [.activityType.name, .taskQueue.name, .startToCloseTimeout, .heartbeatTimeout // "0s",
       .retryPolicy.initialInterval, .retryPolicy.maximumAttempts]]
    | . == [["preprocess_batch", "cpu-queue", "60s", "0s", "1s", 3],
            ["compute_embeddings", "gpu-queue", "300s", "30s", "2s", 2]]'
  run -0 --separate-stderr client workflow execute --type BatchEmbedWorkflow --input '[" ", ""]'
  [ "$output" = "[]" ]
}

@test "bad texts fail at once, with the promised words" {
  run -1 --separate-stderr client workflow execute --type PrepareAndInferWorkflow --id blank-1 \
    --input '" \t "'
  [ -z "$output" ]
  [[ "$stderr" == *"Input text is empty"* ]]
  # One attempt: what is non-retryable is not tried again.
  history blank-1 | jq -e '[.events[].activityTaskStartedEventAttributes.attempt | select(. != null)] == [1]'

  printf '"%10001s"' x | tr ' ' y >"$FLEET_DIR/long.json"
  run -1 client workflow execute --type PrepareAndInferWorkflow --input-file "$FLEET_DIR/long.json"
  [[ "$output" == *"Input text exceeds token limit"* ]]
  printf '"%10000s"' x | tr ' ' y >"$FLEET_DIR/long.json"
  run -0 client workflow execute --type PrepareAndInferWorkflow --input-file "$FLEET_DIR/long.json"

  run -1 --separate-stderr client workflow execute --type PrepareAndInferWorkflow --input 42 --output json
  [ "$(jq -r .status <<<"$output")" = FAILED ]
  [ "$(jq -r .failure.type <<<"$output")" = InvalidInput ]
  [[ "$(jq -r .failure.message <<<"$output")" == *"must be a string, not a number"* ]]
}

@test "start, result, describe, list, count, show" {
  run -0 client workflow start --type PrepareAndInferWorkflow --input '"some text"' --id steps-1 --output json
  run_id=$(jq -r .runId <<<"$output")
  [ -n "$run_id" ]
  run -0 client workflow result steps-1 --output json
  [ "$(jq -r .status <<<"$output")" = COMPLETED ]
  [ "$(jq -r .result.input <<<"$output")" = "some text" ]
  run -0 client workflow describe steps-1
  [[ "$output" == *"Completed"* && "$output" == *"$run_id"* ]]
  run -0 client workflow list
  [[ "$output" == *"steps-1"* ]]
  [ "$(client workflow count --output json | jq .count)" -ge 1 ]
  run -0 client workflow show steps-1
  [[ "$output" == *"WorkflowExecutionStarted"*"ActivityTaskCompleted"*"WorkflowExecutionCompleted"* ]]
  [[ "$output" == *"#gpu"* ]]
  history steps-1 | jq -e '[.events[].eventId | tonumber] == [range(1; (.events | length) + 1)]'
}

@test "an id that is running is refused with the running run's id" {
  # Nobody polls this queue: the run stays open.
  run_id=$(client workflow start --type Waits --task-queue nobody --id open-1 --output json | jq -r .runId)
  run -73 --separate-stderr client workflow start --type Waits --task-queue nobody --id open-1
  [ -z "$output" ]
  [[ "$stderr" == *"$run_id"* ]]
  [ "$(client workflow start --type Waits --task-queue nobody --id open-1 \
    --id-conflict-policy UseExisting --output json | jq -r .runId)" = "$run_id" ]

  run -75 client workflow result open-1 --wait 100ms
  run -0 client task-queue describe nobody
  [[ "$output" == *"1 waiting"* ]]
  run -0 client workflow signal open-1 --name approve --input '{"by": "ada"}'
  run -0 client workflow terminate open-1 --reason "enough"
  run -1 client workflow result open-1
  [[ "$output" == *TERMINATED* ]]
  run -0 client workflow show open-1
  [[ "$output" == *"approve"*"enough"* ]]
}

@test "a misspelt type or queue is said, since the run waits for a worker" {
  run -0 --separate-stderr client workflow start --type PrepareAndInferWorkflw --id misspelt-1
  [[ "$stderr" == *'did you mean "PrepareAndInferWorkflow"?'* ]]
  client workflow terminate misspelt-1
  run -0 --separate-stderr client workflow start --type X --task-queue nobody --id misspelt-2
  [[ "$stderr" == *'no worker serves queue "nobody"'* ]]
  run -0 client workflow describe misspelt-2
  [[ "$output" == *'waits          no worker serves queue "nobody" now'* ]]
  client workflow terminate misspelt-2
}

@test "a run can be canceled" {
  client workflow start --type Waits --task-queue nobody --id cancel-1
  run -0 client workflow cancel cancel-1 --reason "wrong file"
  run -0 client workflow show cancel-1
  [[ "$output" == *"WorkflowExecutionCancelRequested"* ]]
  client workflow terminate cancel-1
}

@test "what does not exist is status 66" {
  run -66 client workflow show missing-1
  run -66 client workflow result missing-1
  run -66 client workflow signal missing-1 --name x
  run -66 client workflow terminate missing-1
}

@test "queues say who polls them" {
  run -0 client task-queue describe gpu-queue
  [[ "$output" == *"activity tasks"* && "$output" == *"#gpu"* ]]
  run -0 client task-queue describe cpu-queue --output json
  [ "$(jq '.activity.pollers | length' <<<"$output")" = 2 ]
}

@test "a follower sees every event once, until the run is closed" {
  client workflow start --type PrepareAndInferWorkflow --input '"follow me"' --id follow-1
  run -0 client workflow show follow-1 --follow --output json
  [ "$(jq -s 'map(.eventId | tonumber) == [range(1; length + 1)]' <<<"$output")" = true ]
  [[ "${lines[-1]}" == *EXECUTION_COMPLETED* ]]
}

@test "demo: labels, vectors, nearest pairs, histories with process ids" {
  run -0 client demo "The parcel arrived early." "the parcel  arrived EARLY." "Nobody answered."
  [[ "$output" == *"PrepareAndInferWorkflow: 3 runs"* ]]
  [[ "$output" == *"3 vectors of 64 numbers"* ]]
  [[ "$output" == *"1.0000"* ]]
  [[ "$output" == *"run_inference"*"gpu-queue"* ]]
  printf 'one\n\ntwo\n' | client demo - --output json >"$FLEET_DIR/demo.json"
  [ "$(jq '.inferences | length' "$FLEET_DIR/demo.json")" = 2 ]
  [ "$(jq '.dimension' "$FLEET_DIR/demo.json")" = 64 ]
  # The three steps ran in at least two processes; the GPU step in none of the CPU workers'.
  jq -e '.inferences[0].steps | length == 3 and (map(.pid) | unique | length) >= 2' "$FLEET_DIR/demo.json"
  run -1 client demo "fine" ""
  [[ "$output" == *"Input text is empty"* ]]
}
