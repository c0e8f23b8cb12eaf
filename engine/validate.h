/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate: checks of what comes from outside, against common/limits.h. Each returns 0, or
 * ERR_INVALID with a text that names the field. The sizes keep every event and every reply the
 * engine makes of a request below LIMIT_MESSAGE_SIZE.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_ENGINE_VALIDATE_H
#define ARGOSY_ENGINE_VALIDATE_H

#include "api/messages.h"
#include "common/error.h"
#include "common/limits.h"

/* One event: every request and command that becomes one is bounded by it. With a page of history of
 * half a message behind it, or the queries that travel along, it fits a reply. */
#define VALIDATE_EVENT_SIZE (3 * LIMIT_MIB)

/* Queries are asked of a worker together with a page of history. */
#define VALIDATE_QUERY_SIZE (LIMIT_MIB / 2)

/* Room that ids, times and other small fields take beside the payloads of a message. */
#define VALIDATE_MARGIN (64 * LIMIT_KIB)

/* Set, and at most LIMIT_ID_LENGTH bytes. */
int validate_id(const char *what, const char *id, struct error *err);
/* Unset, or at most LIMIT_ID_LENGTH bytes. */
int validate_text(const char *what, const char *text, struct error *err);
/* Unset, or neither negative nor malformed. */
int validate_duration(const char *what, const Api__Duration *duration, struct error *err);
/* Unset, or encoded in at most limit bytes. message is any message of the schema. */
int validate_size(const char *what, const void *message, size_t limit, struct error *err);
/* The name of a task queue that must be given. */
int validate_task_queue(const Api__TaskQueue *task_queue, struct error *err);
int validate_priority(const Api__Priority *priority, struct error *err);

_Static_assert(VALIDATE_EVENT_SIZE + VALIDATE_QUERY_SIZE + VALIDATE_MARGIN < LIMIT_MESSAGE_SIZE,
               "an event and a query fit a reply");

#endif
