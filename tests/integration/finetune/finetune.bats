#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# FineTuneWorkflow through real processes, on a tiny model: its steps and where they run, what is
# refused and how, the same job again, cancellation.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  probe_setup
  probe_gpu_setup
  fleet_config <<YAML
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    queues: [{name: gpu-queue}]
    environment: [{name: PROBE_DIR, value: $PROBE_DIR}]
YAML
  fleet_start
  TICKETS=$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl
}

teardown() {
  fleet_stop
}

# finetune ARGUMENTS...: on the tiny model.
finetune() {
  client finetune --base tiny "$@"
}

@test "a dataset becomes a registered classifier, step by step" {
  run -0 --separate-stderr finetune --dataset "$TICKETS" --name tickets --job-id one --output json
  jq -e '.result | .model == "tickets@1" and .labels == ["billing", "defect", "delivery"]
         and .metrics.examples == 18 and (.metrics.confusion | flatten | add) == 18
         and .trained.base.name == "tiny" and (.trained.base.sha256 | length) == 64' <<<"$output"
  # 30 texts a label, all different: 6 held out, 3 validate, 21 train.
  history finetune-one | jq -e '[.events[].activityTaskScheduledEventAttributes | select(. != null)]
    | map({type: .activityType.name, queue: .taskQueue.name})
    == [{type: "validate_dataset", queue: "cpu-queue"}, {type: "store_dataset", queue: "storage-queue"},
        {type: "embed_artifact", queue: "gpu-queue"}, {type: "embed_artifact", queue: "gpu-queue"},
        {type: "embed_artifact", queue: "gpu-queue"}, {type: "train_classifier", queue: "gpu-queue"},
        {type: "evaluate_classifier", queue: "gpu-queue"}, {type: "register_model", queue: "storage-queue"}]'
  history finetune-one | jq '.events[].activityTaskScheduledEventAttributes
    | select(.activityType.name | IN("embed_artifact", "train_classifier", "evaluate_classifier"))
    | .startToCloseTimeout == "3600s" and .heartbeatTimeout == "30s"
      and .retryPolicy.maximumAttempts == 2' | jq -es 'length == 5 and all'
  run -0 --separate-stderr client workflow query --id finetune-one --type progress --output json
  [[ "$output" == *done* && "$output" == *epoch* && "$output" == *loss* ]]

  # The same job is the same run; another seed is another training and the next version.
  run -0 --separate-stderr finetune --dataset "$TICKETS" --name tickets --job-id one
  [[ "$stderr" == *"job one is done already"* && "$output" == *"registered tickets@1"* ]]
  run -0 --separate-stderr finetune --dataset "$TICKETS" --name tickets --seed 7
  [[ "$output" == *"registered tickets@2"* && "$output" == *"accuracy"* ]]
}

# infer MODEL: the answer to a text that the model labels.
infer() {
  client workflow execute --type PrepareAndInferWorkflow --id "infer-$1-$RANDOM" \
    --input "$(jq -nc --arg model "$1" '{text: "  The Invoice is wrong ", $model}')"
}

# serves NAME MODEL: whether that is the model of the name.
serves() {
  [ "$(infer "$1" | jq -r .model)" = "$2" ]
}

@test "a registered model is served by its name and by its version" {
  local model
  run -0 --separate-stderr finetune --dataset "$TICKETS" --name served --output json
  infer served | tee "$FLEET_DIR/first" | jq -e '.model == "served@1"
    and .input == "the invoice is wrong" and (.label | IN("billing", "defect", "delivery"))
    and .score > 1 / 3 and .score <= 1'
  infer served@1 | diff - "$FLEET_DIR/first"

  # The next version is the name's from then on, within a second; the first stays what it is.
  run -0 --separate-stderr finetune --dataset "$TICKETS" --name served --seed 9 --output json
  jq -e '.result.model == "served@2"' <<<"$output"
  await serves served served@2
  infer served@1 | diff - "$FLEET_DIR/first"
  run -0 --separate-stderr infer served@2
  jq -e '.model == "served@2"' <<<"$output"

  # Other workers have it too, and after a restart.
  workers gpu | xargs kill -KILL
  infer served@1 | diff - "$FLEET_DIR/first"

  for model in servd served@3; do
    run -1 --separate-stderr client workflow execute --type PrepareAndInferWorkflow --output json \
      --input "$(jq -nc --arg model "$model" '{text: "x", $model}')"
    jq -e --arg model "$model" '.failure.type == "ModelNotFound"
      and (.failure.message | contains($model) and contains("the nearest is \"served\""))' <<<"$output"
  done
}

@test "a held-out file is what the model is evaluated on" {
  grep -n . "$TICKETS" | sed 's/^[0-9]*://' | head -n 75 >"$FLEET_DIR/train.jsonl"
  tail -n 15 "$TICKETS" >"$FLEET_DIR/test.jsonl"
  run -0 --separate-stderr finetune --dataset "$FLEET_DIR/train.jsonl" \
    --held-out "$FLEET_DIR/test.jsonl" --name split --output json
  jq -e '.result.metrics.examples == 15' <<<"$output"
}

@test "what is wrong with a dataset is said by its lines, before anything is sent" {
  { head -n 3 "$TICKETS"; echo '{"text": "no label"}'; sed -n 1p "$TICKETS"; cat "$TICKETS"; } \
    >"$FLEET_DIR/bad.jsonl"
  run -65 --separate-stderr finetune --dataset "$FLEET_DIR/bad.jsonl" --name bad
  [[ "$stderr" == *"bad.jsonl:4: error: \"label\" is missing"* ]]
  [[ "$stderr" == *"bad.jsonl:5: warning: the same example as $FLEET_DIR/bad.jsonl:1"* ]]
  run -65 --separate-stderr finetune --dataset "$FLEET_DIR/bad.jsonl" --check --output json
  jq -e '.fit == false and .errors == 1 and .counts.label_missing == 1 and .counts.duplicate == 4' \
    <<<"$output"
  # The balance of the labels: the file's own, and what the bad line and the repeated ones leave.
  run -0 --separate-stderr finetune --dataset "$TICKETS" --check
  [ "$(awk '{ print $1, $2, $3, $4 }' <<<"$output")" = "LABEL EXAMPLES DIFFERENT HELD
billing 30 30 -
defect 30 30 -
delivery 30 30 -" ]
  run -65 --separate-stderr finetune --dataset "$FLEET_DIR/bad.jsonl" --held-out "$TICKETS" --check
  [ "$(awk '$1 == "defect" { print $2, $3, $4 }' <<<"$output")" = "34 30 30" ]
  [[ "$stderr" == *"tickets.jsonl:1: error: "* ]] # a leak
  run -65 --separate-stderr finetune --dataset "$TICKETS" --name x --learning-rate 11
  [[ "$stderr" == *'"learning_rate" must be 1e-07 to 10'* ]]
  run -66 --separate-stderr finetune --dataset "$FLEET_DIR/none.jsonl" --name x
  [ "$(client workflow count)" = 0 ]
}

@test "a worker refuses what no command line has checked" {
  run -0 --separate-stderr finetune --dataset "$TICKETS" --name first --output json
  # The head is an artifact that is no dataset at all.
  local request
  request=$(jq -c '{job_id: "wrong", name: "x", base: "tiny", dataset: .result.head}' <<<"$output")
  run -1 --separate-stderr client workflow execute --type FineTuneWorkflow --input "$request" \
    --id wrong --output json
  jq -e '.failure.type == "InvalidDataset" and (.failure.message | test("dataset:1: "))' <<<"$output"
  history wrong | jq -e '.events[-1].workflowExecutionFailedEventAttributes | .. | .details? | select(. != null)
    | .payloads[0].data | @base64d | fromjson | .fit == false and (.problems | length) > 0'
  run -1 --separate-stderr client workflow execute --type FineTuneWorkflow \
    --input "$(jq -c '. + {nmae: "y"}' <<<"$request")" --output json
  jq -e '.failure.type == "InvalidInput" and (.failure.message | test("did you mean"))' <<<"$output"
}

@test "a dataset of several chunks, by the factory, trains as one" {
  local number
  for number in $(seq 7000); do
    echo "{\"text\": \"text number $number\", \"label\": \"$((number % 2 == 0 ? 0 : 1))\"}"
  done >"$FLEET_DIR/many.jsonl"
  client artifact put "$FLEET_DIR/many.jsonl" --pin many --output json >"$FLEET_DIR/put.json"
  run -0 --separate-stderr client run finetune --output json --input "$(jq '.artifacts[0]
    | {job_id: "many", name: "many", base: "tiny", dataset: {artifact, size}, training: {epochs: 2}}' \
    "$FLEET_DIR/put.json")"
  jq -e '.workflowId == "finetune-many" and .result.metrics.examples == 1400 and .result.trained.epochs == 2' \
    <<<"$output"
  # 1,400 are held out, 700 validate: 4,900 are trained on, in two chunks.
  history finetune-many | jq -e '[.events[].activityTaskScheduledEventAttributes
    | select(.activityType.name == "embed_artifact") | .input.payloads[0].data | @base64d | fromjson | .count]
    | sort == [700, 804, 1400, 4096]'
  # The same job again is the same run, also by the other way.
  run -0 --separate-stderr client run finetune --output json --input "$(jq '.artifacts[0]
    | {job_id: "many", name: "many", base: "tiny", dataset: {artifact, size}, training: {epochs: 2}}' \
    "$FLEET_DIR/put.json")"
  jq -e '.result.model == "many@1"' <<<"$output"
}

@test "a training that is canceled ends the run" {
  work_slow
  finetune --dataset "$TICKETS" --name long --job-id long --epochs 100000 --patience 0 \
    --schedule constant >"$FLEET_DIR/out" 2>&1 3>&- &
  local waiting=$!
  await pending_has finetune-long 'select(.activityType.name == "train_classifier")' >/dev/null
  # What waits for it shows where it is: every five seconds, where there is no terminal.
  grep -qE "^train: [0-9]+ of [0-9]+ steps .*epoch [0-9]+, loss [0-9.e-]+$" \
    < <(timeout 60 tail -n +1 -F --pid="$waiting" "$FLEET_DIR/out" 2>/dev/null 3>&-)
  client workflow cancel --id finetune-long
  local status=0
  wait "$waiting" || status=$?
  [ "$status" = 1 ]
  grep -q CANCELED "$FLEET_DIR/out"
}
