/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: every bound of the system in one place, with the arithmetic that chose it. Where Temporal
 * has the same limit, the number is Temporal's default, so that what runs there runs here.
 */
#ifndef ARGOSY_COMMON_LIMITS_H
#define ARGOSY_COMMON_LIMITS_H

#include <stddef.h>

#define LIMIT_KIB ((size_t)1024)
#define LIMIT_MIB (1024 * LIMIT_KIB)

/* One payload (input, result, heartbeat details, signal). Temporal: 2 MiB. */
#define LIMIT_PAYLOAD_SIZE (2 * LIMIT_MIB)
/* One request or reply body. Temporal's gRPC limit is 4 MiB; a completion may carry a payload of
 * every command, so the room is two payloads. */
#define LIMIT_MESSAGE_SIZE (4 * LIMIT_MIB)
/* One transport message carries several bodies that were ready together. */
#define LIMIT_FRAME_SIZE (2 * LIMIT_MESSAGE_SIZE)
/* Nesting of a message: a failure's chain of causes is the deepest real one; 20 causes of 3 levels
 * each fit, and a decoder's stack stays small. */
#define LIMIT_MESSAGE_DEPTH 64
/* Elements of one repeated field; 51,200 events is the longest history. */
#define LIMIT_REPEATED_COUNT 65536
/* Memory one decoded body may take: structs are larger than their encoding, at worst an empty
 * sub-message (2 bytes) becoming a struct of some 100 bytes; beyond this it is refused. */
#define LIMIT_DECODED_SIZE (32 * LIMIT_MIB)

/* Workflow ids, activity ids, types, queue names, identities. Temporal: 1,000 bytes. */
#define LIMIT_ID_LENGTH 1000

/* One run's history. Temporal: 51,200 events, 50 MiB. */
#define LIMIT_HISTORY_EVENTS 51200
#define LIMIT_HISTORY_SIZE   (50 * LIMIT_MIB)
#define LIMIT_HISTORY_PAGE   256

/* Pending activities of a run. Temporal: 2,000. */
#define LIMIT_PENDING_ACTIVITIES 2000
#define LIMIT_SIGNALS            10000
/* Events that wait while a workflow task is with its worker; with more of them the task is failed,
 * and all that its worker did was in vain. Temporal: 100 events, 2 MiB. Here a task lives through
 * the end of every activity that a run can have (a started and a closed event each), or a wide
 * fan-out would fail its slow worker every 50 results, with a whole replay each time. They count as
 * history, in memory too; a sixth of what that may be leaves the run room to react. */
#define LIMIT_BUFFERED_EVENTS (2 * LIMIT_PENDING_ACTIVITIES + 96)
#define LIMIT_BUFFERED_SIZE   (8 * LIMIT_MIB)

_Static_assert(LIMIT_MESSAGE_SIZE >= 2 * LIMIT_PAYLOAD_SIZE, "a message holds two payloads");
_Static_assert(LIMIT_FRAME_SIZE >= LIMIT_MESSAGE_SIZE, "a frame holds a message");
_Static_assert(LIMIT_REPEATED_COUNT >= LIMIT_HISTORY_EVENTS, "a history is one repeated field");
_Static_assert(LIMIT_BUFFERED_EVENTS <= LIMIT_HISTORY_EVENTS / 6, "what waits leaves room");
_Static_assert(LIMIT_BUFFERED_SIZE <= LIMIT_HISTORY_SIZE / 6, "what waits leaves room");

#endif
