#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The command line tool without an engine: help, errors and their exit statuses, config, models, topo.
# Statuses are those of docs/spec/05-exit-codes.md.

bats_require_minimum_version 1.5.0

setup() {
  PATH="$ARGOSY_BIN_DIR:$PATH"
  FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/argosy-cli.XXXXXX")
  export ARGOSY_MODEL_DIR=$FOLDER/models
  unset ARGOSY_ENDPOINT ARGOSY_DATA_DIR
  cd "$FOLDER"
}

teardown() {
  rm -rf "$FOLDER"
}

# Every command, as help lists them: "dev", "workflow start" ... There are at least 25.
commands() {
  list_commands >commands.txt
  [ "$(wc -l <commands.txt)" -ge 25 ] || { echo "commands missing from help" >&2; return 1; }
}

list_commands() {
  local name rest sub
  argosy --help | sed -n '/^commands:/,/^$/p' | grep '^  ' | while read -r name rest; do
    echo "$name"
    argosy "$name" --help | sed -n '/^commands:/,/^$/p' | grep '^  ' | while read -r sub rest; do
      echo "$name $sub"
    done
  done
}

@test "every command has help with usage and an example" {
  commands
  while read -r words; do
    # shellcheck disable=SC2086
    run -0 --separate-stderr argosy $words --help
    [[ "$output" == *"usage: argosy $words"* ]] || { echo "no usage: $words"; false; }
    [[ "$output" == *"examples:"$'\n'"  "* ]] || { echo "no example: $words"; false; }
    [ -z "$stderr" ]
    # shellcheck disable=SC2086
    run -0 argosy help $words
  done <commands.txt
}

@test "every command that does something takes --output json" {
  commands
  while read -r words; do
    # shellcheck disable=SC2086
    run -0 argosy $words --help
    [[ "$output" == *"COMMAND"* ]] || [[ "$output" == *"--output text|json"* ]] || { echo "$words"; false; }
  done <commands.txt
}

@test "every example in help names a command and options that exist" {
  commands
  while read -r words; do
    # shellcheck disable=SC2086
    help=$(argosy $words --help)
    while read -r line; do
      run -0 bash -c "${line%% [>|] *} --help"
      for option in $(grep -oE -- '--[a-z-]+' <<<"$line"); do
        grep -qE -- "(^|[ ,])$option( |,|$)" <<<"$output" || { echo "$words: $option"; false; }
      done
    done < <(sed -n '/^examples:/,$p' <<<"$help" | grep -o 'argosy .*')
  done <commands.txt
}

@test "without a command: usage on standard error, status 64" {
  run -64 --separate-stderr argosy
  [ -z "$output" ]
  [[ "$stderr" == *"usage: argosy COMMAND"* ]]
  run -64 --separate-stderr argosy workflow
  [ -z "$output" ]
  [[ "$stderr" == *"a command is missing"* ]]
}

@test "unknown commands and options name the nearest, status 64" {
  run -64 argosy workflwo
  [[ "$output" == *'did you mean "workflow"?'* ]]
  run -64 argosy workflow exceute
  [[ "$output" == *'did you mean "workflow execute"?'* ]]
  run -64 argosy workflow start --type X --workflw-id y
  [[ "$output" == *'unknown option --workflw-id; did you mean --workflow-id?'* ]]
  [[ "$output" == *'see: argosy workflow start --help'* ]]
  run -64 argosy workflow list --output yaml
  run -64 argosy version surplus
}

@test "what a command needs is said when it is missing" {
  run -64 argosy workflow start
  [[ "$output" == *"--type is missing"* ]]
  run -64 argosy workflow show
  [[ "$output" == *"--workflow-id is missing"* ]]
  run -64 argosy workflow show a --id b
  [[ "$output" == *'two workflow ids'* ]]
  run -64 argosy workflow signal a
  [[ "$output" == *"--name is missing"* ]]
  run -64 argosy task-queue describe
  run -64 argosy up
  run -64 argosy model fetch
}

@test "malformed input is refused with its place, before anything is sent" {
  run -65 --separate-stderr argosy workflow start --type X --input '{"a": 1,
"b" 2}'
  [ -z "$output" ]
  [[ "$stderr" == *"--input is not JSON: line 2, column "* ]]
  run -65 argosy workflow execute --type X --input hello
  [[ "$output" == *"line 1, column "* && "$output" == *"'\"hello\"'"* ]]
  run -65 bash -c 'echo "[1," | argosy workflow start --type X --input -'
  [[ "$output" == *"standard input is not JSON"* ]]
  echo '"cut' >cut.json
  run -65 argosy workflow start --type X --input-file cut.json
  [[ "$output" == *"cut.json is not JSON: line 1"* ]]
  run -66 argosy workflow start --type X --input-file missing.json
  head -c 2200000 /dev/zero | tr '\0' ' ' >big.json
  run -65 argosy workflow start --type X --input-file big.json
  [[ "$output" == *"over the limit of 2097152 bytes"* ]]
}

@test "errors are JSON on standard error when JSON is asked for" {
  run -65 --separate-stderr argosy workflow start --type X --input '{' --output json
  [ -z "$output" ]
  [ "$(jq -r .error.code <<<"$stderr")" = ERR_INVALID ]
}

@test "replay needs a history and what is registered; no engine" {
  run -64 argosy workflow replay
  [[ "$output" == *"a history is missing"* ]]
  run -66 argosy workflow replay missing.json
  echo '{"events": []}' >empty.json
  run -65 argosy workflow replay empty.json
  [[ "$output" == *"empty.json: not a history"* ]]
  run -66 argosy workflow replay --plugin missing.so empty.json
  [[ "$output" == *"cannot load plug-in missing.so"* ]]
  local begin='{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
    "workflowExecutionStartedEventAttributes": {"workflowType": {"name": "%s"}}}'
  printf "{\"events\": [$begin]}" Unheard >unheard.json
  run -66 argosy workflow replay unheard.json
  [[ "$output" == *'unheard.json: '*'"Unheard" is not registered'* ]]
  printf "{\"events\": [$begin]}" PrepareAndInferWorkflow >begun.json
  run -0 argosy workflow replay begun.json
  [ "$output" = "begun.json: fits" ]
}

@test "no engine: status 69 and what to do" {
  run -69 --separate-stderr argosy workflow list
  [ -z "$output" ]
  [[ "$stderr" == *'argosy dev'* ]]
}

@test "version, for people and machines" {
  run -0 argosy --version
  [[ "$output" == "argosy "* ]]
  [ "$(argosy version --output json | jq -r .version)" = "${output#argosy }" ]
}

@test "the shown config is valid, and a misspelt key is named with its line" {
  argosy config show >fleet.yaml
  run -0 argosy config check fleet.yaml
  [[ "$output" == *"valid"* ]]
  argosy config show --effective fleet.yaml | diff fleet.yaml -
  printf 'data_dir: data\ngroups:\n  - name: cpu\n    kind: cpu\n    proceses: 2\n' >wrong.yaml
  run -78 argosy config check wrong.yaml
  [[ "$output" == *"wrong.yaml:5"* && "$output" == *"proceses"* && "$output" == *"processes"* ]]
  run -78 argosy up -c wrong.yaml
  run -66 argosy config check missing.yaml
}

@test "all errors of a config file are named at once" {
  printf 'nod: a\nlog_level: inof\nengine: {leese_ms: 5}\n' >wrong.yaml
  run -78 --separate-stderr argosy config check wrong.yaml
  [ -z "$output" ]
  [ "${stderr_lines[0]}" = 'wrong.yaml:1: nod: unknown key (did you mean "node"?)' ]
  [ "${stderr_lines[1]}" = 'wrong.yaml:3: engine.leese_ms: unknown key (did you mean "lease_ms"?)' ]
  [[ "${stderr_lines[2]}" == 'wrong.yaml:2: log_level: '*'(did you mean "info"?)' ]]
  [[ "${stderr_lines[3]}" == *'wrong.yaml: 3 errors' ]]
  run -78 --separate-stderr argosy config check wrong.yaml --output json
  [ "$(jq -r '.valid, (.problems | length)' <<<"$output")" = $'false\n3' ]
  [ "$(jq -r .error.code <<<"$stderr")" = ERR_CONFIG ]
}

@test "a config of several files is shown as one, as written and in effect" {
  mkdir conf.d
  printf 'include: [conf.d]\nnode: ${T_NODE:-here}\ngroups:\n  - {name: work, kind: cpu}\n' >fleet.yaml
  printf 'groups:\n  - name: work\n    grace_ms: 70\n    environment:\n      - {name: TOKEN, value: "${T_TOKEN}"}\n' \
    >conf.d/work.yaml
  export T_TOKEN=s3cret
  run -0 argosy config check fleet.yaml
  [ "$output" = "fleet.yaml: valid, 1 worker group, from 2 files" ]
  argosy config show fleet.yaml >shown
  grep -qxF '# includes conf.d/work.yaml' shown
  grep -qxF 'node: ${T_NODE:-here}' shown
  grep -qF '"${T_TOKEN}"' shown
  argosy config show --effective fleet.yaml >shown
  grep -qxF 'node: here' shown
  grep -qxF '        value: (hidden)' shown
  run ! grep -q s3cret shown
  [ "$(argosy config show --effective --secrets fleet.yaml --output json |
    jq -r '.files[1], .config.groups[0].grace_ms, .config.groups[0].environment[0].value')" = \
    $'conf.d/work.yaml\n70\ns3cret' ]
  printf 'groups:\n  - name: work\n    graze_ms: 70\n' >conf.d/work.yaml
  run -78 --separate-stderr argosy up -c fleet.yaml
  [[ "$stderr" == *'conf.d/work.yaml:3: groups[0].graze_ms: unknown key (did you mean "grace_ms"?)'* ]]
}

@test "models: written, listed, verified; a cut file is found" {
  run -0 argosy model list
  [[ "$output" == *"no models in "* ]]
  argosy model synth tiny
  run -73 argosy model synth tiny
  [ "$(argosy model list --output json | jq -r '.models[0].name')" = tiny ]
  run -0 argosy model verify tiny
  truncate -s -5 models/tiny/model.safetensors
  run -65 argosy model verify tiny
  [[ "$output" == *"model.safetensors"* ]]
  run -66 argosy model verify other
  run -65 argosy model synth ../outside
}

@test "a fetched model must have the pinned checksums" {
  argosy model synth tiny
  run ! argosy model fetch all-MiniLM-L6-v2 --from models/tiny
  [ ! -e models/all-MiniLM-L6-v2 ]
  run -66 argosy model fetch all-MiniLM-L6-v9
  [[ "$output" == *"all-MiniLM-L6-v2"* ]]
}

@test "a missing model is said before the fleet starts" {
  run -66 argosy dev --data-dir data
  [[ "$output" == *"argosy model fetch all-MiniLM-L6-v2"* ]]
}

@test "a missing plug-in is said before the fleet starts" {
  argosy model synth all-MiniLM-L6-v2
  printf 'groups:\n  - {name: cpu, kind: cpu, plugins: [nope.so]}\n' >plugin.yaml
  for command in "config check" "up -c"; do
    # shellcheck disable=SC2086
    run -78 argosy $command plugin.yaml
    [[ "$output" == *'group "cpu": cannot read plug-in'*nope.so* ]]
  done
}

@test "a fleet with --output json prints records alone" {
  argosy model synth tiny
  mkfifo log
  argosy dev --model tiny --device cpu --data-dir data --output json >dev.out 2>log 3>&- &
  fleet=$!
  # The reader goes on to the end, so that the fleet never writes into a closed pipe.
  timeout 60 tee dev.log <log | while read -r record; do
    [[ "$record" != *fleet.ready* ]] || kill -TERM "$fleet"
  done
  wait "$fleet"
  [ ! -s dev.out ]
  jq -es 'map(.event) | index("fleet.ready") != null and index("worker.ready") != null' dev.log
}

@test "closing the terminal ends its fleet; nohup keeps it" {
  argosy model synth tiny
  cat >terminal.py <<'PY'
# Runs a command in a terminal of its own, closes that when the fleet is ready, waits for the end.
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said = b""
while b"fleet ready" not in said:
    said += os.read(terminal, 65536)
os.close(terminal)
print(pid, flush=True)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
  run -0 timeout 60 python3 terminal.py argosy dev --model tiny --device cpu --data-dir data
  [[ "$output" =~ ^[0-9]+$ ]]
  run ! pgrep -f "$FOLDER/data/fleet"

  mkfifo pid
  timeout 60 python3 terminal.py sh -c \
    'trap "" HUP; exec argosy dev --model tiny --device cpu --data-dir data' >pid 3>&- &
  read -r fleet <pid
  # Its workers do not drain: they still take work.
  run -0 timeout 60 argosy workflow execute --type PrepareAndInferWorkflow --input '"x"' --data-dir data
  kill -TERM "$fleet"
  wait $!
}

@test "topo: the plan of this machine and of a made-up one" {
  run -0 argosy topo
  [[ "$output" == *engine* ]]
  run -0 argosy topo --synthetic "pack:2 numa:1 core:8 pu:2" --output json
  [ "$(jq .numaNodes <<<"$output")" = 2 ]
  [ "$(jq .cores <<<"$output")" = 16 ]
  # The engine's processors are nobody's but those of the storage and the link.
  [ "$(jq '[.processes[] | select(.process == "engine")][0].pinned' <<<"$output")" = true ]
  [ "$(jq '([.processes[] | select(.process == "engine")][0].cpus) as $engine
    | [.processes[] | select(.process | IN("engine", "link", "storage") | not) | .cpus[] | select(. as $c | $engine | index($c))]
    | length' <<<"$output")" = 0 ]
  run -64 argosy topo --xml a --synthetic b
  run ! argosy topo --xml missing.xml
}

@test "topo: a recorded machine with GPUs as text, JSON and a drawing" {
  machine="$ARGOSY_SOURCE_DIR/tests/golden/topology/dgx.xml"
  run -0 argosy topo --xml "$machine" --svg plan.svg
  [[ "$output" == *"gpu/7 "*"processors 22-23,54-55, memory of NUMA node 1, gpu 7"* ]]
  # Well-formed, each process in a colour of its own, for light and for dark screens, in the legend.
  run -0 python3 - <<'PY'
import re
import xml.etree.ElementTree as ElementTree
root = ElementTree.parse("plan.svg").getroot()
space = "{http://www.w3.org/2000/svg}"
style = root.find(space + "style").text
light, dark = style.split("@media (prefers-color-scheme:dark)")
names = [t.text for t in root.iter(space + "text") if t.get("class") == "name"]
assert names[:3] == ["engine", "link", "storage"] and names[-1] == "gpu/7", names
for part in light, dark:
    colours = re.findall(r"\.p\d+\{fill:([^}]*)\}", part)
    assert len(colours) == len(names) == len(set(colours)), part
titles = [t.text for t in root.iter(space + "title")]
assert sum(t.startswith("processor ") for t in titles) == 64
assert sum("H100" in t for t in titles) == 8
PY
  run -0 argosy topo --xml "$machine" --output json
  [ "$(jq -c '[.coresInMachine, .l3Domains, (.gpuList | length)]' <<<"$output")" = "[32,2,8]" ]
  [ "$(jq -c '.processes[-1] | [.process, .gpu, .device, .memoryNode, .far, .deviceProcesses]' <<<"$output")" \
    = '["gpu/7","0000:df:00.0","7",1,false,1]' ]
  run -1 argosy topo --xml "$machine" --svg missing/plan.svg
  [[ "$output" == *"cannot write missing/plan.svg"* ]]
}

@test "up --dry-run: a config's plan for this and another machine, and nothing is started" {
  printf 'data_dir: here\ngroups:\n- {name: g, kind: gpu, gpus: [1, "42:00.0"]}\n' >fleet.yaml
  run -78 argosy up -c fleet.yaml --dry-run
  [[ "$output" == *'fleet.yaml: group "g" names GPU "1", which this machine does not have (it has 0)'* ]]
  run -0 argosy up -c fleet.yaml --dry-run --xml "$ARGOSY_SOURCE_DIR/tests/golden/topology/asymmetric.xml"
  [[ "$output" == *"gpu 1     0000:42:00.0 NVIDIA A10 NUMA node 0"* ]]
  [[ "$output" == *"g/0 "*", gpu 1"* ]]
  [ ! -e here ]
  run -64 argosy up -c fleet.yaml --svg plan.svg
  [[ "$output" == *"--xml, --synthetic and --svg go with --dry-run"* ]]
  printf '<topology>' >broken.xml
  run -65 argosy topo --xml broken.xml
  [[ "$output" == *"broken.xml: not a hwloc topology"* ]]
}
