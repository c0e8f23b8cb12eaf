/* SPDX-License-Identifier: Apache-2.0 */
/* session_table: see session_table.h. */
#include "queues/session_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

/* A frame buffer that one large reply has blown up is not kept for the small ones. */
#define KEPT_CAPACITY_MAX ((size_t)65536)

static void *copy_bytes(const void *data, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static char *copy_text(const char *text)
{
    return text != NULL ? copy_bytes(text, strlen(text)) : copy_bytes("", 0);
}

static void session_free(struct session *session)
{
    free(session->routing_id);
    free(session->identity);
    free(session->instance_id);
    free(session->node);
    buffer_fini(&session->replies);
    free(session);
}

void session_table_fini(struct session_table *table)
{
    while (table->heard != NULL)
        session_table_remove(table, table->heard);
}

size_t session_table_count(const struct session_table *table)
{
    return HASH_CNT(by_id, table->by_id);
}

struct session *session_table_find(const struct session_table *table, uint64_t id)
{
    struct session *session;
    HASH_FIND(by_id, table->by_id, &id, sizeof id, session);
    return session;
}

struct session *session_table_find_routing_id(const struct session_table *table, const void *data,
                                              size_t size)
{
    struct session *session;
    HASH_FIND(by_routing_id, table->by_routing_id, data, size, session);
    return session;
}

struct session *session_table_find_instance(const struct session_table *table,
                                            const char *instance_id)
{
    struct session *session;
    HASH_FIND(by_instance, table->by_instance, instance_id, strlen(instance_id), session);
    return session;
}

struct session *session_table_find_process(const struct session_table *table, const char *node,
                                           int64_t pid, const char *instance_id)
{
    struct session *session;
    DL_FOREACH2(table->heard, session, heard_next)
    {
        if (session->pid == pid && strcmp(session->node, node) == 0 &&
            (instance_id == NULL || instance_id[0] == '\0' ||
             strcmp(session->instance_id, instance_id) == 0))
            return session;
    }
    return NULL;
}

struct session *session_table_oldest(const struct session_table *table)
{
    return table->heard;
}

uint64_t session_table_next_id(const struct session_table *table)
{
    return table->last_id + 1;
}

struct session *session_table_add(struct session_table *table, const void *routing_id, size_t size,
                                  const Api__HelloRequest *hello, uint64_t now_ns)
{
    ASSERT(session_table_find_routing_id(table, routing_id, size) == NULL);
    ASSERT(session_table_find_instance(table, hello->instance_id) == NULL);
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        abort();
    session->id = ++table->last_id;
    session->routing_id = copy_bytes(routing_id, size);
    session->routing_id_size = size;
    session->identity = copy_text(hello->identity);
    session->instance_id = copy_text(hello->instance_id);
    session->node = copy_text(hello->node);
    session->pid = hello->pid;
    session->heard_ns = now_ns;
    HASH_ADD(by_id, table->by_id, id, sizeof session->id, session);
    HASH_ADD_KEYPTR(by_routing_id, table->by_routing_id, session->routing_id,
                    session->routing_id_size, session);
    HASH_ADD_KEYPTR(by_instance, table->by_instance, session->instance_id,
                    strlen(session->instance_id), session);
    DL_APPEND2(table->heard, session, heard_prev, heard_next);
    return session;
}

void session_table_remove(struct session_table *table, struct session *session)
{
    HASH_DELETE(by_id, table->by_id, session);
    HASH_DELETE(by_routing_id, table->by_routing_id, session);
    HASH_DELETE(by_instance, table->by_instance, session);
    DL_DELETE2(table->heard, session, heard_prev, heard_next);
    if (session->reply_count > 0)
        DL_DELETE2(table->waiting, session, waiting_prev, waiting_next);
    session_free(session);
}

void session_table_heard(struct session_table *table, struct session *session, uint64_t now_ns)
{
    session->heard_ns = now_ns;
    DL_DELETE2(table->heard, session, heard_prev, heard_next);
    DL_APPEND2(table->heard, session, heard_prev, heard_next);
}

void session_table_replied(struct session_table *table, struct session *session)
{
    if (session->reply_count++ == 0)
        DL_APPEND2(table->waiting, session, waiting_prev, waiting_next);
}

void session_table_sent(struct session_table *table, struct session *session)
{
    DL_DELETE2(table->waiting, session, waiting_prev, waiting_next);
    session->reply_count = 0;
    if (session->replies.capacity > KEPT_CAPACITY_MAX)
        buffer_fini(&session->replies);
    else
        buffer_clear(&session->replies);
}
