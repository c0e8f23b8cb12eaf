/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: the kinds of history events this engine writes, in one table (docs/spec/02-history.md).
 * Threading: any thread; constant.
 */
#ifndef ARGOSY_ENGINE_EVENT_H
#define ARGOSY_ENGINE_EVENT_H

#include <stdbool.h>

#include "api/messages.h"
#include "common/arena.h"

struct event_row {
    Api__EventType type;
    Api__HistoryEvent__AttributesCase attributes_case;
    const ProtobufCMessageDescriptor *attributes;
    bool is_buffered;       /* waits while a workflow task is started */
    bool is_activity_close; /* goes behind the other buffered events */
    bool is_close;          /* ends the run */
};

/* NULL for a type this engine does not write. */
const struct event_row *event_row_get(Api__EventType type);

/* The event that scheduled the activity which this event closes, 0 for other events;
 * *ret_started_id, unless NULL, points into the event. */
int64_t event_closed_activity(const Api__HistoryEvent *event, int64_t **ret_started_id);

/* An event of the type with empty attributes, in arena; type must be in the table. */
Api__HistoryEvent *event_new(struct arena *arena, Api__EventType type, int64_t time_utc_us);

#endif
