/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_table: the sessions of an endpoint, found by ROUTER routing id, by session id and by
 * process instance, and ordered by when they were last heard of. Part of endpoint.
 *
 * Running out of memory aborts, as in common/hash.h. Threading: the endpoint's owner.
 */
#ifndef ARGOSY_QUEUES_SESSION_TABLE_H
#define ARGOSY_QUEUES_SESSION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/messages.h"
#include "common/buffer.h"
#include "common/hash.h"

/* Sessions at once: every process of a large fleet and its clients; each costs about 1 KiB. */
#define SESSIONS_MAX 16384

struct session {
    /* identity */
    uint64_t id;
    uint8_t *routing_id;
    size_t routing_id_size;
    char *identity;
    char *instance_id;
    char *node;
    int64_t pid;
    /* state */
    uint64_t heard_ns;
    struct buffer replies; /* a frame in the making */
    size_t reply_count;
    /* links */
    struct session *heard_prev, *heard_next;     /* heard of longest ago first */
    struct session *waiting_prev, *waiting_next; /* has replies to be sent */
    UT_hash_handle by_id, by_routing_id, by_instance;
};

struct session_table {
    struct session *by_id;
    struct session *by_routing_id;
    struct session *by_instance;
    struct session *heard;
    struct session *waiting;
    uint64_t last_id;
};

void session_table_fini(struct session_table *table);

size_t session_table_count(const struct session_table *table);

/* Borrowed; NULL when there is none. */
struct session *session_table_find(const struct session_table *table, uint64_t id);
struct session *session_table_find_routing_id(const struct session_table *table, const void *data,
                                              size_t size);
struct session *session_table_find_instance(const struct session_table *table,
                                            const char *instance_id);
struct session *session_table_find_process(const struct session_table *table, const char *node,
                                           int64_t pid, const char *instance_id);

/* The session heard of longest ago, or NULL. */
struct session *session_table_oldest(const struct session_table *table);

/* The number the next session will get. */
uint64_t session_table_next_id(const struct session_table *table);

/* Adds a session of what hello says; neither its routing id nor its instance may be there. */
struct session *session_table_add(struct session_table *table, const void *routing_id, size_t size,
                                  const Api__HelloRequest *hello, uint64_t now_ns);

/* Removes and frees it, with the replies it holds. */
void session_table_remove(struct session_table *table, struct session *session);

void session_table_heard(struct session_table *table, struct session *session, uint64_t now_ns);

/* The session's replies: into the list of those to be sent, and out of it with the frame empty. */
void session_table_replied(struct session_table *table, struct session *session);
void session_table_sent(struct session_table *table, struct session *session);

#endif
