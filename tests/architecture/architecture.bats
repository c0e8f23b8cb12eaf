#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Who may include whom (docs/ARCHITECTURE.md, "Layout"): an include goes down a floor or stays within
# its folder. A new folder must be given a floor here before it can be used.

floor_of() {
  case "$1" in
    common | kernels) echo 0 ;;
    api | models) echo 1 ;;
    queues) echo 2 ;;
    engine | sdk | include | storage) echo 3 ;;
    workflows) echo 4 ;;
    worker_cpu | worker_gpu | supervisor | gateway) echo 5 ;;
    cli) echo 6 ;;
    examples | bench | tests) echo 7 ;;
    *) echo none ;;
  esac
}

setup() {
  cd "$ARGOSY_SOURCE_DIR"
}

# Lines "file folder-of-the-included": every quoted include, with public headers as "include".
includes() {
  find common kernels api models queues engine sdk include storage workflows worker_cpu worker_gpu \
    supervisor gateway cli examples bench -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' |
    xargs grep -HoE '^ *# *include [<"][a-z_]+/[^>"]+[>"]' |
    sed -E 's/^([^:]+): *# *include [<"]([a-z_]+)\/.*/\1 \2/; s/ argosy$/ include/'
}

@test "an include goes down or stays within its folder" {
  bad=0
  while read -r file target; do
    from=${file%%/*}
    to_floor=$(floor_of "$target")
    [ "$to_floor" != none ] || continue
    from_floor=$(floor_of "$from")
    [ "$from" != "$target" ] || continue
    # The SDK implements the public headers.
    [ "$from $target" != "sdk include" ] || continue
    if [ "$to_floor" -ge "$from_floor" ]; then
      echo "$file (floor $from_floor) includes $target/ (floor $to_floor)"
      bad=1
    fi
  done < <(includes)
  [ "$bad" = 0 ]
}

@test "every source folder has a floor" {
  for folder in */; do
    folder=${folder%/}
    ls "$folder"/*.[ch] >/dev/null 2>&1 || continue
    [ "$(floor_of "$folder")" != none ] || { echo "no floor for $folder/"; false; }
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
  core=$(ls engine/*.[ch] | grep -vE '/(store|sqlite|server|visibility|options|main)')
  run grep -nE '# *include (<(zmq|pthread|time|sys/(time|socket|epoll)|fcntl|unistd|stdatomic|sqlite3)[^>]*>|"common/(clock|log)\.h")' $core
  [ -z "$output" ] || { echo "$output"; false; }
}

@test "the supervisor holds no ZeroMQ, SQLite or CUDA" {
  run bash -c "grep -nE '# *include (<(zmq|sqlite3|cuda)[^>]*>|\"queues/)' supervisor/*.[ch] | grep -v '^supervisor/link'"
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
  for folder in common api kernels models queues engine sdk workflows worker_cpu worker_gpu supervisor \
    cli examples bench tests scripts; do
    if [ ! -f "$folder/README.md" ]; then echo "no $folder/README.md"; bad=1; continue; fi
    lines=$(wc -l < "$folder/README.md")
    [ "$folder" = kernels ] || [ "$lines" -le 50 ] || { echo "$folder/README.md has $lines lines"; bad=1; }
  done
  [ "$bad" = 0 ]
}
