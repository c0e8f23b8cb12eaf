# SPDX-License-Identifier: Apache-2.0
# example.bash: runs an example as its README says, in a copy of its folder. The README is a page:
# page_fleet and page_lines run its commands word for word.

load "$ARGOSY_SOURCE_DIR/tests/page.bash"

# example_setup NAME: copies the examples, goes to one's folder, and builds it with the first command of
# its README that builds. The fleet's data is in .argosy there, where the command line tool finds it
# unasked.
example_setup() {
  fleet_setup
  mkdir "$FLEET_DIR/build"
  ln -s "$ARGOSY_BUILD_DIR" "$FLEET_DIR/build/release"
  ln -s "$ARGOSY_SOURCE_DIR/include" "$FLEET_DIR/include"
  cp -r "$ARGOSY_SOURCE_DIR/examples" "$FLEET_DIR/"
  cd "$FLEET_DIR/examples/$1"
  PAGE=$PWD/README.md
  eval "$(grep -m 1 '^cc ' README.md) -Wall -Wextra -Werror"
  unset ARGOSY_DATA_DIR ARGOSY_ENDPOINT
  FLEET_DATA=.argosy # where the commands of an example look
}

# attempt_wait ID N: returns when the run's pending activity has begun its N-th attempt; fails after
# 60 s.
attempt_wait() {
  timeout 60 bash -c 'until argosy workflow describe --id "$0" --output json |
    jq -e --argjson n "$1" ".pendingActivities[0] | .attempt >= \$n and .lastWorkerIdentity != null" \
      >/dev/null; do :; done' "$1" "$2"
}
