/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: what a node answers when it is asked whether it lives, has started, is ready
 * (docs/operations.md, section "Probes"). A pure function of the status page.
 *
 *   - live: the supervisor's loop turns. Nothing else: restarting a node because the engine is away
 *     or a GPU is busy would make both worse.
 *   - started: every process has been ready once, drained ones aside, or the supervisor has said
 *     that the fleet is ready: what failed for good by then is readiness's matter.
 *   - ready: live, not draining, the link has a session with the engine, and each group has a
 *     worker that is ready. Groups that a reload took away do not count.
 *
 * Threading: no state.
 */
#ifndef ARGOSY_SUPERVISOR_PROBE_H
#define ARGOSY_SUPERVISOR_PROBE_H

#include <stdbool.h>

#include "common/buffer.h"
#include "supervisor/status_page.h"

struct probe_view {
    const struct status *status;
    bool is_torn;              /* the status could not be read whole */
    const char *engine_reason; /* why the link has no session; NULL: it has one */
    uint64_t now_ns;
};

/* Each appends "ok\n", or a line for each reason why not, and returns which. */
bool probe_live(const struct probe_view *view, struct buffer *out);
bool probe_started(const struct probe_view *view, struct buffer *out);
bool probe_ready(const struct probe_view *view, struct buffer *out);

/* "ready", "drained", ...: the state of docs/spec/04-supervision.md, or drained. */
const char *status_process_state(const struct status_process *process);

#endif
