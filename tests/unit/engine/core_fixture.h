/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_fixture: a core with a shell around it that lives in memory and has virtual time.
 *
 * Every call is followed by three checks: the core's invariants, that the log alone rebuilds every
 * run it has written, and that a run in memory equals the one rebuilt from its log.
 */
#ifndef ARGOSY_TESTS_CORE_FIXTURE_H
#define ARGOSY_TESTS_CORE_FIXTURE_H

#include "api/messages.h"
#include "common/buffer.h"
#include "engine/core.h"

#define MS               INT64_C(1000)
#define S                INT64_C(1000000)
#define FIXTURE_START_US (INT64_C(1700000000) * S)

/* The log of one run. */
struct fixture_log {
    struct store_run run; /* strings owned */
    bool closed;
    struct store_blob *blobs;
    size_t count, capacity;
};

/* A change of a setting; the last one of a name counts. */
struct fixture_setting {
    const char *name;
    struct store_blob value; /* empty: removed */
};

struct fixture_reply {
    uint64_t session, correlation;
    int grpc_status;
    bool more, early, taken;
    ProtobufCMessage *body;
};

struct fixture {
    struct core_config config;
    struct core *core;
    struct outbox outbox;
    struct arena arena; /* copies of replies, messages of tests */
    int64_t now_us;
    uint64_t sequence;
    uint64_t entropy;
    uint64_t next_correlation;
    void (*on_start)(struct core *core); /* before each recovery; NULL: nothing is configured */
    bool loses_writes;                   /* nothing becomes durable any more, until a restart */
    bool checks_later; /* not after every call: for thousands of calls before one that checks */
    struct fixture_log *logs;
    size_t log_count;
    struct fixture_setting *settings;
    size_t setting_count;
    struct fixture_reply *replies;
    size_t reply_count, reply_capacity;
    struct outbox_kill kills[16];
    size_t kill_count;
};

void fixture_init(struct fixture *fixture);
void fixture_fini(struct fixture *fixture);

/* Sends a request; returns its correlation id. Replies are collected. */
uint64_t fixture_send(struct fixture *fixture, uint64_t session, enum method method,
                      const void *body);

/* The oldest reply to a request that was not taken yet; NULL when there is none. fixture_take
 * asserts that there is one; fixture_ok also that it is no error and returns its body. */
struct fixture_reply *fixture_find(struct fixture *fixture, uint64_t session, uint64_t correlation);
struct fixture_reply *fixture_take(struct fixture *fixture, uint64_t session, uint64_t correlation);
void *fixture_ok(struct fixture *fixture, uint64_t session, enum method method, const void *body);

/* Asserts that the request is refused with this status (and text in its message). */
void fixture_refused(struct fixture *fixture, uint64_t session, enum method method,
                     const void *body, int grpc_status, const char *text);

/* Time passes: every tick that is due on the way is made at its time. */
void fixture_advance(struct fixture *fixture, int64_t us);
void fixture_lose(struct fixture *fixture, uint64_t session, const char *reason);

/* The engine reads its configuration again. */
void fixture_reconfigure(struct fixture *fixture, const struct core_queue_limit *limits,
                         size_t count);

/* The engine dies and recovers from its log. */
void fixture_restart(struct fixture *fixture);

/* The history in the log, an event a line: "3 WorkflowTaskStarted scheduled=2 ...". Borrowed until
 * the next call. */
const char *fixture_history(struct fixture *fixture, const char *workflow_id);

#endif
