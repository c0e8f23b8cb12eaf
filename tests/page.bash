# SPDX-License-Identifier: Apache-2.0
# page.bash: runs the ```sh blocks of a page of documentation word for word, for bats files.
#
#   setup()    { page_setup docs/factory.md; }
#   teardown() { fleet_stop; }
#   @test "..." { page_fleet "Heading" 1; page_says "Heading" 2 "a text that it prints"; }
#
# A page is run in a folder that looks like the project's root after scripts/demo; the model there is
# a tiny one under the real one's name.

load "$ARGOSY_SOURCE_DIR/tests/fleet.bash"

# page_setup PATH: the page, relative to the project's root.
page_setup() {
  fleet_setup
  PAGE=$ARGOSY_SOURCE_DIR/$1
  cd "$FLEET_DIR"
  ln -s "$ARGOSY_SOURCE_DIR/examples" "$ARGOSY_SOURCE_DIR/include" .
  mkdir build
  ln -s "$ARGOSY_BUILD_DIR" build/release
  unset ARGOSY_DATA_DIR ARGOSY_ENDPOINT
  ARGOSY_MODEL_DIR=$FLEET_DIR/.cache/models argosy model synth all-MiniLM-L6-v2
}

# page_block HEADING N [LANGUAGE]: prints the N-th sh block under a heading (##) of the page; "" is
# what stands before the first heading.
page_block() {
  awk -v heading="## $1" -v wanted="$2" -v fence="\`\`\`${3:-sh}" '
    BEGIN { under = heading == "## " }
    /^## / { under = $0 == heading }
    /^```$/ { inside = 0 }
    inside && under && blocks == wanted
    $0 == fence { inside = 1; blocks += under }' "$PAGE"
}

# page_text HEADING N: a block that must be there: a test of commands that are gone tests nothing.
page_text() {
  local text
  text=$(page_block "$1" "$2")
  [ -n "$text" ] || { echo "no block $2 under \"$1\" in $PAGE" >&2; return 1; }
  printf '%s\n' "$text"
}

# page_fleet HEADING N: runs a block whose last line is the fleet, and waits until it is ready.
page_fleet() {
  local text
  text=$(page_text "$1" "$2") || return 1
  eval "$(head -n -1 <<<"$text")"
  (exec >>"$FLEET_LOG" 2>&1 3>&-; eval "exec $(tail -n 1 <<<"$text")") &
  FLEET_PID=$!
  fleet_wait_log "fleet ready" || { cat "$FLEET_LOG"; return 1; }
}

# page_lines HEADING N: runs a block command by command, each printed before it behind "$ "; one that
# waits for ever fails.
page_lines() {
  local text line command=
  text=$(page_text "$1" "$2") || return 1
  # The commands' own standard input is not the page.
  while read -r -u 4 line; do
    command+=$line$'\n'
    if [[ "$line" == *\\ ]] || ! bash -nc "$command" 2>/dev/null; then
      continue # the command goes on
    fi
    sed 's/^/$ /' <<<"${command%$'\n'}"
    timeout 60 bash -c "$command" </dev/null 4<&- || return 1
    command=
  done 4<<<"$text"
  [ -z "$command" ] || { echo "not a command: $command"; return 1; }
}

# page_says HEADING N TEXT...: page_lines, which must succeed; its commands must print the texts. Sets
# $output, where the commands are too.
page_says() {
  run page_lines "$1" "$2"
  echo "$output"
  [ "$status" = 0 ] || return 1
  local text printed
  printed=$(grep -v '^\$ ' <<<"$output") || true
  for text in "${@:3}"; do
    [[ "$printed" == *"$text"* ]] || { echo "not printed: $text"; return 1; }
  done
}
