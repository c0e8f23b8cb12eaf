/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_steps: the activities of a run, each in one row, from its event history.
 * Threading: none.
 */
#ifndef ARGOSY_CLI_HISTORY_STEPS_H
#define ARGOSY_CLI_HISTORY_STEPS_H

#include <jansson.h>

/* In the order in which they were scheduled: [{"activity", "queue", and once it has ended
 * "attempt", "identity", "pid", "outcome" ("completed", "failed", "timed out", "canceled"), "ms"
 * from start to end of its last attempt}]. history is {"events": [...]}. The caller releases the
 * result. */
json_t *history_steps(const json_t *history);

#endif
