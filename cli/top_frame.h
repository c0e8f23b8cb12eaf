/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_frame: one interval of a fleet's life, made of what fleet_fetch got at its begin and at its
 * end: what `argosy top` draws and, with --output json, prints (docs/operations.md).
 *
 * A pure function. Threading: none.
 */
#ifndef ARGOSY_CLI_TOP_FRAME_H
#define ARGOSY_CLI_TOP_FRAME_H

#include <jansson.h>
#include <stdint.h>

/*
 * {"utcUs", "intervalUs", "openRuns",
 *  "throughput": {"addedPerSecond", "donePerSecond"}       of activities
 *  "nodes":   [{"node", "phase"} or {"node", "error"}],
 *  "queues":  [{"queue", "kind", "waiting", "oldestUs", "atWorkers", "atMost", "paused", "pollers",
 *               "slots", "slotsUsed", "addedPerSecond", "donePerSecond"}],
 *  "gpus":    [{"node", and the members of NodeGpu}],
 *  "workers": [{"node", "name", "group", "state", "pin", "cpuPercent", "memoryBytes", "slots",
 *               "slotsUsed", "tasks", "tasksPerSecond", "oldestTaskUs", "restarts"}]}
 * Done is what left workers, however it ended. What nobody can tell is null: rates of a process
 * that has just come. before NULL: there is no begin, and rates are the engine's own, over 30 s.
 * The caller releases it; NULL: out of memory.
 */
json_t *top_frame_create(const json_t *before, const json_t *after, int64_t interval_us,
                         int64_t utc_us);

#endif
