/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: a node's figures in Prometheus' text format, version 0.0.4
 * (docs/operations.md, section "Metrics", lists every name; a test holds the two together).
 *
 * Figures of the engine and its queues are told by the node on which the engine runs, and by no
 * other: a sum over all nodes counts them once.
 *
 * Threading: no state.
 */
#ifndef ARGOSY_SUPERVISOR_METRICS_H
#define ARGOSY_SUPERVISOR_METRICS_H

#include <stdbool.h>

#include "api/messages.h"
#include "common/buffer.h"
#include "supervisor/status_page.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_view {
    const struct status *status;
    uint64_t now_ns;
    int64_t now_utc_us;
    bool is_engine_up;                         /* it answered within the last second */
    const Api__GetEngineStatsResponse *engine; /* NULL: it runs elsewhere, or is not up */
};

/* Appends them all. */
void metrics_print(const struct metrics_view *view, struct buffer *out);

#endif
