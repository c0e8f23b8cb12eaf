#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Who may include whom (docs/ARCHITECTURE.md, "Layout"): an include goes down a floor or stays within
# its folder. A new folder must be given a floor here before it can be used.

# Folder and floor.
FLOORS="common 0, kernels 0, api 1, models 1, queues 2, engine 3, sdk 3, include 3, storage 3, worker 4, workflows 4,
  worker_cpu 5, worker_gpu 5, supervisor 5, gateway 5, cli 6, examples 7, bench 7, tests 8"

setup() {
  cd "$ARGOSY_SOURCE_DIR"
}

@test "an include goes down or stays within its folder" {
  # Public headers, <argosy/...>, belong to include/, which the SDK implements.
  run bash -c "git ls-files '*.c' '*.h' '*.cu' '*.cuh' | xargs grep -HoE '^ *# *include [<\"][a-z_]+/' |
    sed -E 's/^([^:]+): *# *include [<\"]([a-z_]+)\//\1 \2/; s/ argosy\$/ include/' |
    awk -v floors='$FLOORS' '
      BEGIN { count = split(floors, entries, \",\")
              for (i = 1; i <= count; i++) { split(entries[i], pair, \" \"); floor[pair[1]] = pair[2] } }
      { split(\$1, path, \"/\"); from = path[1]; to = \$2
        if (!(to in floor) || from == to || (from == \"sdk\" && to == \"include\")) next
        if (floor[to] >= floor[from])
          print \$1 \" (floor \" floor[from] \") includes \" to \"/ (floor \" floor[to] \")\" }'"
  [ "$status" = 0 ] && [ -z "$output" ] || { echo "$output"; false; }
}

@test "every source folder has a floor" {
  for folder in */; do
    folder=${folder%/}
    ls "$folder"/*.[ch] >/dev/null 2>&1 || continue
    [[ "$FLOORS" == *"$folder "* ]] || { echo "no floor for $folder/"; false; }
  done
}

@test "kernels/ includes nothing of the project" {
  run bash -c "grep -rnE '# *include \"(common|api|models|queues|engine|sdk)/' kernels --include=*.[ch] --include=*.cu --include=*.cuh"
  [ -z "$output" ] || { echo "$output"; false; }
}

@test "public headers include only public headers" {
  run bash -c "grep -rnE '# *include \"' include/argosy | grep -v '\"argosy/'"
  [ -z "$output" ] || { echo "$output"; false; }
}

@test "the engine's core sees no socket, file, clock or thread" {
  core=$(ls engine/*.[ch] | grep -vE '/(store|server|visibility|options|main)')
  run grep -nE '# *include (<(zmq|pthread|time|sys/(time|socket|epoll)|fcntl|unistd|stdatomic|sqlite3)[^>]*>|"common/(clock|log|sqlite)\.h")' $core
  [ -z "$output" ] || { echo "$output"; false; }
}

@test "the supervisor holds no ZeroMQ, SQLite or CUDA" {
  run bash -c "grep -nE '# *include (<(zmq|sqlite3|cuda)[^>]*>|\"queues/|\"common/sqlite)' supervisor/*.[ch] | grep -v '^supervisor/link'"
  [ -z "$output" ] || { echo "$output"; false; }
}

@test "libraries do not log" {
  run bash -c "grep -nE 'log_(debug|info|warn|error)\(' api/*.c models/*.c queues/*.c workflows/*.c kernels -r --include=*.c"
  [ -z "$output" ] || { echo "$output"; false; }
}

@test "every source file begins with its licence and says what it is for" {
  bad=0
  while read -r file; do
    head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || { echo "no SPDX line: $file"; bad=1; }
    sed -n 2p "$file" | grep -qE '^/\*' || { echo "no header comment: $file"; bad=1; }
  done < <(git ls-files '*.c' '*.h' '*.cu' '*.cuh')
  [ "$bad" = 0 ]
}

@test "every top folder has a README of at most one screen" {
  bad=0
  for folder in common api kernels models queues engine sdk storage worker workflows worker_cpu worker_gpu supervisor \
    cli examples bench tests scripts; do
    if [ ! -f "$folder/README.md" ]; then echo "no $folder/README.md"; bad=1; continue; fi
    lines=$(wc -l < "$folder/README.md")
    [ "$folder" = kernels ] || [ "$lines" -le 50 ] || { echo "$folder/README.md has $lines lines"; bad=1; }
  done
  [ "$bad" = 0 ]
}
