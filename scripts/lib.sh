# SPDX-License-Identifier: Apache-2.0
# lib.sh: what scripts/demo and scripts/test share: saying what happens, installing, building.
# Sourced with bash -euo pipefail from the project's root.

# Logs of long steps and everything fetched live here; safe to delete.
CACHE=$PWD/.cache
mkdir -p "$CACHE/log"

say() { printf '%s\n' "$*"; }
missing() { printf 'missing: %s\n         %s\n' "$1" "$2"; }

# step TEXT COMMAND...: runs COMMAND with its output in a log, shows TEXT and the seconds it took;
# on failure shows the end of the log and stops.
step() {
  local text=$1 log started=$SECONDS
  shift
  log="$CACHE/log/$(printf '%s' "$text" | tr -c 'A-Za-z0-9' '-' | cut -c1-60).log"
  printf '%s ... ' "$text"
  # Standard input may hold the user's texts.
  if "$@" >"$log" 2>&1 </dev/null; then
    printf 'done (%d s)\n' $((SECONDS - started))
  else
    printf 'failed\n'
    tail -n 40 "$log" | sed 's/^/  | /'
    say "the whole log: $log"
    exit 1
  fi
}

# package_names FILE...: the package names in the lists, without those already installed.
packages_missing() {
  local package _
  while read -r package _; do
    case "$package" in '' | '#'*) continue ;; esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
  done < <(cat "$@")
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages FILE...: installs what the lists name and the machine lacks.
install_packages() {
  local wanted
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    missing "apt-get" "this script installs Debian packages; elsewhere install what $* name, then build with cmake"
    return 0
  fi
  wanted=$(packages_missing "$@")
  if [ -z "$wanted" ]; then
    say "packages: all present"
    return 0
  fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    missing "root rights" "run as root or install sudo; needed packages: $wanted"
    exit 1
  fi
  say "packages to install: $wanted"
  step "apt-get update" as_root apt-get update -q
  # shellcheck disable=SC2086
  step "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $wanted
}

has_gpu() {
  [ -e /proc/driver/nvidia/version ] || [ -e /dev/nvidiactl ]
}

# The CUDA compiler that CMake will use, or nothing.
find_nvcc() {
  local nvcc
  for nvcc in "$(command -v nvcc 2>/dev/null || true)" /usr/local/cuda/bin/nvcc "$CACHE"/cuda/nvidia/cu13/bin/nvcc; do
    if [ -n "$nvcc" ] && [ -x "$nvcc" ]; then printf '%s' "$nvcc"; return 0; fi
  done
}

# build PRESET [CMAKE ARGUMENTS]: configures (only the first time), compiles; shows the optional
# features once.
build() {
  local preset=$1
  shift
  step "configure $preset" cmake --preset "$preset" "$@"
  step "build $preset" cmake --build "build/$preset"
}

# fetch_model ARGOSY: the real model's weights, into ARGOSY_MODEL_DIR (the cache where it is not set),
# once.
fetch_model() {
  local argosy=$1
  export ARGOSY_MODEL_DIR=${ARGOSY_MODEL_DIR:-$CACHE/models}
  if "$argosy" model verify all-MiniLM-L6-v2 >/dev/null 2>&1; then
    say "model all-MiniLM-L6-v2: present"
    return 0
  fi
  printf 'model all-MiniLM-L6-v2 (84 MB) ...\n'
  "$argosy" model fetch all-MiniLM-L6-v2 </dev/null
}
