# SPDX-License-Identifier: Apache-2.0
# ingest.bash: a fleet that ingests and searches, for bats files.

# ingest_fleet MODEL [CPU_PROCESSES]: one that embeds with a model, running.
ingest_fleet() {
  fleet_config <<YAML
groups:
  - name: cpu
    kind: cpu
    processes: ${2:-1}
    queues: [{name: cpu-queue}, {name: storage-queue}]
  - name: gpu
    kind: gpu
    device: cpu
    model: $1
    queues: [{name: gpu-queue}]
YAML
  fleet_start
}

# embedded_count: texts that GPU workers say they have embedded for artifacts, since the fleet began.
embedded_count() {
  sed -nE 's/.*event=artifact.embedded.* texts=([0-9]+).*/\1/p' "$FLEET_LOG" | awk '{ sum += $1 } END { print sum + 0 }'
}

# paragraphs FROM TO: so many paragraphs, each different.
paragraphs() {
  seq "$1" "$2" | awk '{ printf "Paragraph number %d speaks of thing %d.", $1, $1 * 7
    for (i = 0; i < 20; i++) printf " Word%d follows.", $1 * 100 + i
    printf "\n\n" }'
}
