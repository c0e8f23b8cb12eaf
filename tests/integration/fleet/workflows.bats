#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The shipped workflows through real processes: results, and who did what.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<'YAML'
groups:
  - name: cpu
    kind: cpu
    processes: 2
    queues: [{name: cpu-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    queues: [{name: gpu-queue}]
YAML
  fleet_start
}

teardown() {
  fleet_stop
}

@test "PrepareAndInferWorkflow: a label and a score, its steps in the right processes" {
  run -0 --separate-stderr client workflow execute --type PrepareAndInferWorkflow \
    --input '"  Hello   World  "' --id infer-1 --output json
  jq -e '.result.input == "hello world" and (.result.label | type) == "string"
         and .result.score > 0 and .result.score <= 1' <<<"$output"

  [[ "$(identities infer-1 validate_input)" == *"#cpu" ]]
  [[ "$(identities infer-1 preprocess)" == *"#cpu" ]]
  [[ "$(identities infer-1 run_inference)" == *"#gpu" ]]
  local cpu_pid gpu_pid
  cpu_pid=$(identities infer-1 preprocess | cut -d@ -f1)
  gpu_pid=$(identities infer-1 run_inference | cut -d@ -f1)
  [ "$cpu_pid" != "$gpu_pid" ]
  workers gpu | grep -qx "$gpu_pid"
  workers cpu | grep -qx "$cpu_pid"

  # The whole history, in Temporal's order: ids dense from 1, each step scheduled, started, completed.
  history infer-1 | jq -e '.events as $e | [$e[].eventId | tonumber] == [range(1; ($e | length) + 1)]'
  [ "$(history infer-1 | jq -r '[.events[].eventType | sub("EVENT_TYPE_"; "")] | join(" ")')" = \
    "WORKFLOW_EXECUTION_STARTED WORKFLOW_TASK_SCHEDULED WORKFLOW_TASK_STARTED WORKFLOW_TASK_COMPLETED \
ACTIVITY_TASK_SCHEDULED ACTIVITY_TASK_STARTED ACTIVITY_TASK_COMPLETED WORKFLOW_TASK_SCHEDULED WORKFLOW_TASK_STARTED WORKFLOW_TASK_COMPLETED \
ACTIVITY_TASK_SCHEDULED ACTIVITY_TASK_STARTED ACTIVITY_TASK_COMPLETED WORKFLOW_TASK_SCHEDULED WORKFLOW_TASK_STARTED WORKFLOW_TASK_COMPLETED \
ACTIVITY_TASK_SCHEDULED ACTIVITY_TASK_STARTED ACTIVITY_TASK_COMPLETED WORKFLOW_TASK_SCHEDULED WORKFLOW_TASK_STARTED WORKFLOW_TASK_COMPLETED \
WORKFLOW_EXECUTION_COMPLETED" ]
}

@test "BatchEmbedWorkflow: one unit vector per text that is not blank, equal texts equal" {
  run -0 --separate-stderr client workflow execute --type BatchEmbedWorkflow \
    --input '["First text", "", "second", "  first   TEXT "]' --id embed-1 --output json
  jq -e '(.result | length) == 3 and .result[0] == .result[2] and .result[0] != .result[1]' <<<"$output"
  jq -e '[.result[] | (map(. * .) | add) - 1 | fabs < 1e-5] | all' <<<"$output"
  [[ "$(identities embed-1 preprocess_batch)" == *"#cpu" ]]
  [[ "$(identities embed-1 compute_embeddings)" == *"#gpu" ]]
}

@test "activities are declared with the promised timeouts and retry policies" {
  client workflow execute --type BatchEmbedWorkflow --input '["a"]' --id embed-2
  history embed-2 | jq -e '[.events[].activityTaskScheduledEventAttributes | select(. != null)] |
    .[0].startToCloseTimeout == "60s" and .[0].retryPolicy.initialInterval == "1s"
    and .[0].retryPolicy.backoffCoefficient == 2 and .[0].retryPolicy.maximumAttempts == 3
    and .[1].startToCloseTimeout == "300s" and .[1].heartbeatTimeout == "30s"
    and .[1].retryPolicy.initialInterval == "2s" and .[1].retryPolicy.maximumAttempts == 2
    and .[1].taskQueue.name == "gpu-queue"'
}

@test "an id that is running is refused with the running run's id" {
  # Nobody serves this queue: the run stays open.
  run -0 --separate-stderr client workflow start --type PrepareAndInferWorkflow --task-queue nobody \
    --input '"x"' --id twice --output json
  local run_id
  run_id=$(jq -r .runId <<<"$output")
  run client workflow start --type PrepareAndInferWorkflow --task-queue nobody --input '"x"' --id twice
  [ "$status" = 73 ]
  [[ "$output" == *"$run_id"* ]]
  client workflow terminate --id twice --reason "test over"
  run -0 --separate-stderr client workflow describe --id twice --output json
  jq -e '.workflowExecutionInfo.status == "WORKFLOW_EXECUTION_STATUS_TERMINATED"' <<<"$output"
  client workflow start --type PrepareAndInferWorkflow --input '"x"' --id twice
  client workflow result --id twice
}

@test "list, count and task-queue describe tell what there is" {
  client workflow execute --type PrepareAndInferWorkflow --input '"one"' --id list-1
  run -0 --separate-stderr client workflow list --output json
  jq -e '[.executions[].execution.workflowId] | index("list-1") != null' <<<"$output"
  run -0 --separate-stderr client task-queue describe gpu-queue --output json
  [[ "$output" == *"run_inference"* ]]
}
