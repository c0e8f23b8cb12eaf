/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale: what an autoscaler wants to know of one task queue, as JSON
 * (docs/operations.md, section "Scaling"): true whether or not any worker polls the queue.
 *
 * Threading: no state.
 */
#ifndef ARGOSY_SUPERVISOR_SCALE_H
#define ARGOSY_SUPERVISOR_SCALE_H

#include <stdbool.h>

#include "api/messages.h"
#include "common/buffer.h"

/* Appends the object for the queue of this name; kind is "activity" or "workflow", or NULL for both
 * together. A queue that the engine does not know has nothing to do: all numbers are 0. False when
 * the engine knows more queues than it could tell of, and this may be one of those. */
bool scale_print(const Api__GetEngineStatsResponse *engine, const char *queue, const char *kind,
                 struct buffer *out);

#endif
