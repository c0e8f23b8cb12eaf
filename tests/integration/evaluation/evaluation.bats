#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# EvalWorkflow through real processes, on a tiny model: its steps and where they run, its reports,
# baselines of every kind, thresholds, what is refused and how.

bats_require_minimum_version 1.5.0
load ../../fleet.bash

setup() {
  fleet_setup
  fleet_config <<'YAML'
groups:
  - {name: cpu, kind: cpu, processes: 1, queues: [{name: cpu-queue}, {name: storage-queue}]}
  - name: gpu
    kind: gpu
    device: cpu
    model: tiny
    queues: [{name: gpu-queue}]
    labels:
      - {name: billing, prompt: a question about money}
      - {name: defect, prompt: a broken device}
      - {name: delivery, prompt: a parcel that is late}
YAML
  fleet_start
  SUITES=$ARGOSY_SOURCE_DIR/examples/evaluation
  cd "$FLEET_DIR"
}

teardown() {
  cd /
  fleet_stop
}

# evaluate SUITE ARGUMENTS...: one of examples/evaluation, on the tiny model.
evaluate() {
  client eval "$SUITES/$1.jsonl" --model tiny "${@:2}"
}

# steps ID: activities in the order they were scheduled, "type queue" a line.
steps() {
  history "$1" | jq -r '.events[].activityTaskScheduledEventAttributes | select(. != null)
    | "\(.activityType.name) \(.taskQueue.name)"'
}

@test "a suite is scored, step by step, and reported" {
  run -0 --separate-stderr evaluate help --report h.html --report h.json --output json
  jq -e '.workflowId == "eval-help-tiny" and .status == "COMPLETED" and .result.passed
    and .result.model == "tiny" and .result.baseline == null and .result.regressions == []
    and ([.result.metrics[].name] == ["recall@1", "recall@3", "recall@5", "ndcg@1", "ndcg@3", "ndcg@5"])' \
    <<<"$output"
  [ "$(steps eval-help-tiny)" = "validate_suite cpu-queue
store_suite storage-queue
embed_artifact gpu-queue
score_suite cpu-queue
write_page storage-queue" ]
  jq -e '.schema == 1 and .suite.cases == 16 and .suite.documents == 16 and (.cases | length) == 16
    and all(.metrics[]; .low <= .value and .value <= .high)
    and .cases[0].id == "q1" and .cases[0].line == 18 and (.cases[0].hits | length) == 2
    and (.details.recall | length) == 5' h.json
  # recall@5 once more, by the ranks that the report names.
  jq -e '(.metrics[] | select(.name == "recall@5").value) as $value
    | ([.cases[] | ([.hits[] | select(.[0] <= 5)] | length) / (.hits | length)] | add / length) as $mean
    | ($value - $mean) | fabs < 1e-6' h.json
  head -n 1 h.html | grep -q '<!DOCTYPE html>'
  grep -q '<svg' h.html
  run -0 --separate-stderr client workflow query --id eval-help-tiny --type progress --output json
  [[ "$output" == *done* && "$output" == *texts* ]]

  # The same again is another run, and the same report to the byte.
  run -0 --separate-stderr evaluate help --report again.json --report again.html
  cmp h.json again.json
  cmp h.html again.html
}

@test "a similarity suite: Spearman of what the vectors say" {
  run -0 --separate-stderr evaluate sentences --report s.json
  [[ "$output" == *spearman* ]]
  jq -e '(.cases | length) == 24 and .cases[0].truth == 5 and (.cases[0].other | length) > 0
    and all(.cases[]; .answer >= -1.001 and .answer <= 1.001)' s.json
}

@test "a classification: each case has the label that run_inference gives" {
  run --separate-stderr evaluate tickets --report t.json
  [ "$status" = 0 ]
  steps eval-tickets-tiny | grep -q "classify_artifact gpu-queue"
  jq -e '.details | (.confusion | flatten | add) == 30 and ([.labels[].label] == ["billing", "defect", "delivery"])' \
    t.json
  for place in 0 7 29; do
    text=$(jq -c ".[$place].text" < <(jq -s '.[1:]' "$SUITES/tickets.jsonl"))
    run -0 --separate-stderr client workflow execute --type PrepareAndInferWorkflow --input "$text"
    [ "$(jq -r .label <<<"$output")" = "$(jq -r ".cases[$place].answer" t.json)" ]
  done
}

@test "a missed threshold fails the run and the command, with the list and the report" {
  run -1 --separate-stderr evaluate help --minimum recall@1=1 --minimum ndcg@5=1 --report h.html
  [[ "$stderr" == *"regression: recall@1 is "*", below its minimum of 1"* ]]
  [[ "$stderr" == *"regression: ndcg@5 is "* ]]
  [[ "$output" == *"missed"* ]]
  grep -q 'Regressions' h.html
  run -0 --separate-stderr client workflow list --output json
  jq -e '.executions[0].status == "WORKFLOW_EXECUTION_STATUS_FAILED"' <<<"$output"
  history eval-help-tiny | jq -e '.events[-1].workflowExecutionFailedEventAttributes.failure
    | .applicationFailureInfo.type == "EvalRegression" and (.message | test("recall@1 is .*; ndcg@5 is "))
    and (.applicationFailureInfo.details.payloads[0].data | @base64d | fromjson
      | (.regressions | map(select(.kind == "minimum")) | length) >= 2 and (.report.artifact | test("^sha256:")))'
  run -1 --separate-stderr evaluate help --minimum recall@1=1 --output json
  jq -e '.status == "FAILED" and (.result.passed | not)' <<<"$output"
}

@test "a baseline: an earlier run, its report, a model" {
  run -0 --separate-stderr evaluate help --report h.json --id first
  # The run is there with its report, whether it passed or not.
  run -0 --separate-stderr evaluate help --baseline first --maximum-drop ndcg@5=0 --output json
  jq -e '.result.baseline == "tiny" and .result.changes == {worse: 0, better: 0, worse_cases: []}
    and all(.result.metrics[]; .difference == {value: 0, low: 0, high: 0})' <<<"$output"
  run -0 --separate-stderr evaluate help --baseline h.json --maximum-drop ndcg@5=0
  [[ "$output" == *"0 cases were right with the baseline and are wrong now"* ]]
  client model synth other --seed 9
  run -0 --separate-stderr evaluate help --baseline-model other --output json
  jq -e '.result.baseline == "other" and (.result.metrics[0].baseline | .low <= .high)' <<<"$output"
  [ "$(steps eval-help-tiny | grep -c embed_artifact)" = 2 ]

  # A baseline that found everything: the model is worse, case by case.
  jq '.cases |= map(.hits = [range(.hits | length) as $i | [$i + 1, .hits[$i][1]]])' h.json >best.json
  run -1 --separate-stderr evaluate help --baseline best.json \
    --maximum-drop recall@5=0.01 --report worse.json
  [[ "$output" == *"cases were right with the baseline and are wrong now"*"  worse: q"* ]]
  history eval-help-tiny | jq -e '.events[-1].workflowExecutionFailedEventAttributes.failure
    .applicationFailureInfo.details.payloads[0].data | @base64d | fromjson
    | .changes.worse > 0 and (.changes.worse_cases | length) == .changes.worse'
  [[ "$stderr" == *"regression: recall@5 is "*" below the baseline's 1, more than the 0.01 it may be"* ]]
  jq -e '.changes.worse == ([.cases[] | select(.right | not)] | length) and .changes.worse > 0
    and (.changes.worse_cases | length) == .changes.worse
    and .changes.worse_cases[0].baseline.hits[0][0] == 1
    and .regressions[0].kind == "drop"' worse.json
}

@test "a registered classifier, and the version before it" {
  local tickets=$ARGOSY_SOURCE_DIR/examples/finetune/tickets.jsonl
  client finetune --base tiny --dataset "$tickets" --name mine
  client finetune --base tiny --dataset "$tickets" --name mine --epochs 1 --seed 7
  run -0 --separate-stderr client eval "$SUITES/tickets.jsonl" --model mine@1 --report one.json
  run --separate-stderr client eval "$SUITES/tickets.jsonl" --model mine --baseline-model mine@1 --output json
  jq -e '.workflowId == "eval-tickets-mine" and .result.model == "mine@2" and .result.baseline == "mine@1"' \
    <<<"$output"
  jq -e --slurpfile one one.json '.result.metrics[0].baseline.value - $one[0].metrics[0].value | fabs < 1e-6' <<<"$output"
}

@test "what is wrong with a suite is said by its lines, before anything is sent" {
  printf '%s\n' '{"suite": "bad", "type": "classification"}' '{"text": "a"}' 'nope' >bad.jsonl
  run -65 --separate-stderr client eval bad.jsonl --model tiny
  [[ "$stderr" == *'bad.jsonl:2: "label" is missing'* && "$stderr" == *'bad.jsonl:3: the line is no JSON'* ]]
  run -65 --separate-stderr client eval bad.jsonl --check --output json
  jq -e '(.fit | not) and .errors == 2 and .problems[0].line == 2' <<<"$output"
  run -0 --separate-stderr client eval "$SUITES/help.jsonl" --check
  [ "$output" = "help: retrieval, 16 cases, 16 documents" ]
  run -65 --separate-stderr evaluate help --minimum accuracy=0.5
  [[ "$stderr" == *'no metric of this suite is called "accuracy": recall@1'* ]]
  run -65 --separate-stderr evaluate help --minimum recall@1
  run -64 --separate-stderr evaluate help --baseline x --baseline-model y
  run -64 --separate-stderr client eval "$SUITES/help.jsonl"
  run -66 --separate-stderr client eval none.jsonl --model tiny
  run -66 --separate-stderr evaluate help --report nowhere/h.html
  [ "$(client workflow count)" = 0 ]
}

@test "a worker refuses what no command line has checked" {
  run -0 --separate-stderr evaluate sentences --output json
  local request report
  request=$(jq -c '.result | {suite, model, cases}' <<<"$output")
  report=$(jq -c '.result.report' <<<"$output")
  refused() { # TYPE TEXT FILTER: the request, changed by a filter of jq
    run -1 --separate-stderr client workflow execute --type EvalWorkflow \
      --input "$(jq -c --argjson report "$report" "$3" <<<"$request")" --output json
    jq -e --arg type "$1" --arg text "$2" '.failure.type == $type and (.failure.message | test($text))' \
      <<<"$output"
  }
  refused InvalidSuite 'line 1: ' '.cases = $report'
  refused InvalidInput 'the suite is called "sentences", not "s"' '.suite = "s"'
  refused InvalidInput 'no metric of this suite' '.minimum = {"f1": 1}'
  refused InvalidInput 'did you mean "baseline"' '.baselin = {}'
  refused InvalidInput 'the report is no JSON' '.baseline = {report: .cases}'
  refused ModelNotFound 'the nearest is "tiny"' '.model = "tinny"'
  # A report of other cases is no baseline.
  run -0 --separate-stderr evaluate help --report h.json
  run -1 --separate-stderr evaluate sentences --baseline h.json
  [[ "$stderr" == *"the baseline is of other cases"* ]]
  run -66 --separate-stderr evaluate sentences --baseline never-run
}

@test "the factory's eval is the same workflow" {
  run -0 --separate-stderr evaluate sentences --output json
  local request
  request=$(jq -c '.result | {suite, model, cases}' <<<"$output")
  run -0 --separate-stderr client run eval --input "$request" --output json
  jq -e '.workflowId == "eval-sentences-tiny" and .result.passed' <<<"$output"
}
