/* SPDX-License-Identifier: Apache-2.0 */
/* request_table: see request_table.h. */
#include "queues/request_table.h"

#include <stdlib.h>

#include "api/codec.h"
#include "common/assert.h"
#include "common/clock.h"

void request_table_init(struct request_table *table)
{
    *table = (struct request_table){0};
    pthread_mutex_init(&table->mutex, NULL);
}

void request_table_fini(struct request_table *table)
{
    ASSERT(table->count == 0);
    min_heap_fini(&table->deadlines);
    pthread_mutex_destroy(&table->mutex);
}

void request_free(struct request *request)
{
    buffer_fini(&request->body);
    free(request);
}

static int create(const struct connection_request *source, uint64_t correlation_id,
                  struct request **ret_request, struct error *err)
{
    const struct method_row *method = method_get(source->method);
    ASSERT(method != NULL && method->request == source->message->descriptor);
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    uint64_t deadline_ns = clock_monotonic_ns() + source->timeout_ms * NS_PER_MS;
    request->deadline = (struct heap_node){.key = (int64_t)deadline_ns, .sequence = correlation_id};
    request->correlation_id = correlation_id;
    request->method = method;
    request->timeout_ms = source->timeout_ms;
    request->on_reply = source->on_reply;
    request->context = source->context;
    int rc = codec_encode(source->message, &request->body, err);
    if (rc != 0)
        request_free(request);
    else
        *ret_request = request;
    return rc;
}

int request_table_submit(struct request_table *table, const struct connection_request *source,
                         uint64_t correlation_id, bool *ret_first, struct error *err)
{
    struct request *request;
    int rc = create(source, correlation_id, &request, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&table->mutex);
    if (table->closed) {
        rc = error_set(err, ERR_CLOSED, "the connection is closed");
    } else if (table->count >= CONNECTION_PENDING_MAX) {
        rc = error_set(err, ERR_LIMIT, "%d requests wait for their replies already",
                       CONNECTION_PENDING_MAX);
    } else {
        *ret_first = table->submitted == NULL;
        DL_APPEND(table->submitted, request);
        table->count++;
    }
    pthread_mutex_unlock(&table->mutex);
    if (rc != 0)
        request_free(request);
    return rc;
}

void request_table_close(struct request_table *table)
{
    pthread_mutex_lock(&table->mutex);
    table->closed = true;
    pthread_mutex_unlock(&table->mutex);
}

struct request *request_table_take(struct request_table *table)
{
    pthread_mutex_lock(&table->mutex);
    struct request *taken = table->submitted;
    table->submitted = NULL;
    pthread_mutex_unlock(&table->mutex);
    struct request *request;
    DL_FOREACH (taken, request) {
        HASH_ADD(hh, table->pending, correlation_id, sizeof request->correlation_id, request);
        if (request->timeout_ms > 0)
            min_heap_add(&table->deadlines, &request->deadline);
    }
    return taken;
}

struct request *request_table_find(const struct request_table *table, uint64_t correlation_id)
{
    struct request *request;
    HASH_FIND(hh, table->pending, &correlation_id, sizeof correlation_id, request);
    return request;
}

struct request *request_table_first_due(const struct request_table *table)
{
    return (struct request *)min_heap_first(&table->deadlines);
}

void request_table_remove(struct request_table *table, struct request *request)
{
    HASH_DEL(table->pending, request);
    if (request->timeout_ms > 0)
        min_heap_remove(&table->deadlines, &request->deadline);
    pthread_mutex_lock(&table->mutex);
    table->count--;
    pthread_mutex_unlock(&table->mutex);
}
