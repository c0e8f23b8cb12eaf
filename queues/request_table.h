/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_table: the requests of a connection that have no final reply: those that threads have
 * just submitted, and those that its owner has taken over, found by correlation id and ordered by
 * deadline. Part of connection.
 *
 * Threading: request_table_submit and request_table_close from any thread; all else is the owner's.
 */
#ifndef ARGOSY_QUEUES_REQUEST_TABLE_H
#define ARGOSY_QUEUES_REQUEST_TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/hash.h"
#include "queues/connection.h"
#include "queues/min_heap.h"

struct request {
    struct heap_node deadline; /* first: the heap's view; key in ns of clock_monotonic_ns */
    uint64_t correlation_id;
    const struct method_row *method;
    uint32_t timeout_ms;           /* 0: no deadline, ends with the session */
    struct buffer body;            /* kept to be sent again */
    connection_reply_fn *on_reply; /* may be NULL */
    void *context;
    struct request *prev, *next; /* among the submitted */
    UT_hash_handle hh;
};

struct request_table {
    /* owner */
    struct request *pending;
    struct min_heap deadlines;
    /* shared */
    pthread_mutex_t mutex;
    struct request *submitted;
    size_t count; /* submitted and pending */
    bool closed;
};

void request_table_init(struct request_table *table);

/* All requests must have been removed. */
void request_table_fini(struct request_table *table);

/* Takes what is to be sent from source and adds it under this correlation id. ret_first: nothing
 * was waiting to be taken before. ERR_LIMIT, ERR_INVALID as codec_encode; ERR_LIMIT where there are
 * CONNECTION_PENDING_MAX already; ERR_CLOSED; ERR_MEMORY. */
int request_table_submit(struct request_table *table, const struct connection_request *source,
                         uint64_t correlation_id, bool *ret_first, struct error *err);

/* No more submissions after this. */
void request_table_close(struct request_table *table);

/* Takes over what was submitted; the list runs in the order of submission. The requests are pending
 * from now on. */
struct request *request_table_take(struct request_table *table);

struct request *request_table_find(const struct request_table *table, uint64_t correlation_id);

/* The one whose deadline comes first, or NULL. */
struct request *request_table_first_due(const struct request_table *table);

/* Removes a pending request; the caller owns it and calls request_free. */
void request_table_remove(struct request_table *table, struct request *request);
void request_free(struct request *request);

#endif
