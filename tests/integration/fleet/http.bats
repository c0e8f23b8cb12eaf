#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A node's HTTP on real processes: probes while things die, figures that are true or not given, and
# requests that are refused.

bats_require_minimum_version 1.5.0
load load.bash

setup() {
  load_fleet "node: node-1"
  HTTP=$(client fleet status --output json | jq -r '.nodes[0].http')
}

teardown() {
  fleet_stop
}

# get PATH [OPTIONS...]: the body, then the status on a line of its own.
get() {
  curl --silent --max-time 10 --write-out '\n%{http_code}\n' "${@:2}" "http://$HTTP$1"
}

answers() { # PATH STATUS [TEXT]
  run get "$1"
  [ "${lines[-1]}" = "$2" ] && [[ "$output" == *"${3:-}"* ]]
}

pid_of() { # PROCESS
  client fleet status --output json | jq -r --arg name "$1" '.nodes[].processes[] | select(.name == $name) | .pid'
}

@test "probes tell what lives, what is ready, and why not" {
  local path engine
  for path in /livez /readyz /startupz; do answers $path 200 ok; done
  # A group that an operator drained is not ready; restarting the node would help nobody.
  client fleet drain acts
  answers /readyz 503 "group acts has no worker that is ready"
  answers /livez 200
  answers /startupz 200
  client fleet undrain acts
  answers /readyz 200
  # An engine that stands still: not ready once the link has noticed, and live all the same.
  engine=$(pid_of engine)
  kill -STOP "$engine"
  await answers /readyz 503 "no session with the engine"
  answers /livez 200
  kill -CONT "$engine"
  await answers /readyz 200 ok
}

@test "figures are true, or not given" {
  answers '/v1/scale?queue=work-queue' 200 '"desired_work":0'
  load_start 1 -1 work-queue
  in_queue() { [ "$(queue_figure work-queue stats.approximateBacklogCount)" = 984 ]; }
  await in_queue
  local engine
  await answers '/v1/scale?queue=work-queue' 200 '"desired_work":1000,"backlog":984,"in_flight":16'
  answers '/metrics' 200 'argosy_task_queue_backlog{queue="work-queue",kind="activity"} 984'
  # An engine that does not answer has no figures: neither old ones nor zeros.
  engine=$(pid_of engine)
  kill -STOP "$engine"
  await answers '/v1/scale?queue=work-queue' 503 "the engine does not answer"
  answers /metrics 200 "argosy_engine_up 0"
  [[ "$output" != *argosy_task_queue* ]]
  kill -CONT "$engine"
  await answers '/v1/scale?queue=work-queue' 200 '"desired_work":1000'
  load_finish 1
}

@test "a node tells of itself what fleet status tells of it" {
  local node status engine
  node=$(curl --fail --silent "http://$HTTP/v1/fleet")
  status=$(client fleet status --output json | jq '.nodes[0]')
  # Names are promised: these and no others.
  jq -e '(keys - ["gpus"]) == ["engine", "heartbeatAgeUs", "http", "node", "phase", "processes", "uptimeUs"]' <<<"$node"
  jq -e '.processes[] | (keys - ["cpus", "gpu", "memoryNode", "memoryLimitBytes", "pinsRefused"]) == ["cpuUs",
    "crashLooping", "drained", "group", "memoryBytes", "name", "pid", "restarts", "stale", "state", "uptimeUs"]' <<<"$node"
  # The same as through the engine, but for what the engine adds and what changes while one looks.
  local steady='{node, phase, http, processes: [.processes[] | {name, group, pid, state, drained, restarts, crashLooping, cpus}]}'
  [ "$(jq -cS "$steady" <<<"$node")" = "$(jq -cS "$steady" <<<"$status")" ]
  jq -e '.engine == {connected: true} and .phase == "running" and (.processes | length) == 6' <<<"$node"
  jq -e '[.processes[].state] | all(. == "ready")' <<<"$node"
  # A dead worker is told of, with its reason.
  client fleet drain acts/1
  curl --fail --silent "http://$HTTP/v1/fleet" | jq -e '.processes[] | select(.name == "acts/1") |
    .state == "drained" and .drained and .pid == "0" and (.death | startswith("exit 0"))'
  # It needs no engine.
  engine=$(pid_of engine)
  kill -STOP "$engine"
  disconnected() { curl --fail --silent "http://$HTTP/v1/fleet" | jq -e '.engine.connected == false and (.engine.reason | length) > 0'; }
  await disconnected
  kill -CONT "$engine"
  answers '/v1/fleet?node=x' 200 '"node":"node-1"'
}

@test "what is no request of ours is refused" {
  answers /nowhere 404 "/livez /startupz /readyz /metrics /v1/scale /v1/fleet"
  answers /v1/scale 400 "which queue?"
  answers '/v1/scale?queue=q&kind=odd' 400 "kind is activity or workflow"
  answers '/v1/scale?queue=never-used' 200 '"desired_work":0'
  run get /metrics --request POST
  [ "${lines[-1]}" = 405 ]
  run get /metrics --request GET --data body
  [ "${lines[-1]}" = 413 ]
  run get /metrics --head
  [ "${lines[-1]}" = 200 ]
  [[ "$output" == *"text/plain; version=0.0.4"* ]]
}
