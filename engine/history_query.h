/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_query: reading a run's history: pages for workers and clients, and requests that wait for
 * the next event or for the closing one (docs/spec/02-history.md, section 6).
 */
#ifndef ARGOSY_ENGINE_HISTORY_QUERY_H
#define ARGOSY_ENGINE_HISTORY_QUERY_H

#include "engine/core_state.h"

/* A place in a history. with_transient: the history ends with the two events of the workflow task
 * that is under way, which a transient attempt has not written yet. */
struct history_page {
    int64_t next_event_id; /* in: the first event to read; out: the next one, 0 when none is left */
    bool with_transient;
};

/* Reads events from the place on, at most max_events and about half a message; in the outbox. */
Api__History *history_page_read(struct core *core, const struct run *run, struct history_page *page,
                                size_t max_events);

/* The opaque bytes that name a place in a run's history; in arena. */
ProtobufCBinaryData history_page_token(const struct run *run, const struct history_page *page,
                                       struct arena *arena);

/* Answers the requests that wait for what the run's history has now. */
void history_notify(struct core *core, struct run *run);

/* The answer of a request that has waited long enough: no events, and a token to ask again. */
const void *history_empty_page(struct core *core, const struct pending *pending);

#endif
