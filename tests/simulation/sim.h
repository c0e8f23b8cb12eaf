/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: the engine's core in a world of virtual time and one seed: simulated clients and workers, a
 * network that delays, reorders, repeats and cuts, a store whose commits take time, and crashes
 * that lose every batch that is not durable.
 *
 * The world checks as it goes: the core's invariants after every call; after every crash that the
 * state rebuilt from the log equals the state the core had when that log became durable; and the
 * ledger of what clients and workers were told (sim_ledger.h). The same seed gives the same
 * run, bit for bit.
 *
 * Threading: none.
 */
#ifndef ARGOSY_TESTS_SIM_H
#define ARGOSY_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/messages.h"
#include "common/hash.h"
#include "engine/core.h"

#define SIM_MS       INT64_C(1000)
#define SIM_S        INT64_C(1000000)
#define SIM_START_US (INT64_C(1700000000) * SIM_S)

struct sim;

/* What a seed's world is made of. Chances are per 1000. */
struct sim_options {
    uint64_t seed;
    int workflows, workers, signals;
    int64_t chaos_us;  /* after that long nothing fails any more and everything must finish */
    int crash_chance;  /* of the engine, per batch */
    int cut_chance;    /* of a connection, per message */
    int death_chance;  /* of a worker, per task */
    int repeat_chance; /* of a request being sent again though it was answered */
    int64_t crash_at;  /* crash before this batch is durable, counted from 1; 0: by chance */
};

/* An event of the world: fire(sim, arg, value) at a time; equal times in the order of creation. */
typedef void sim_fire(struct sim *sim, void *arg, uint64_t value);

/* One at the other end of a connection: a client or a worker. */
struct sim_call;
struct sim_actor {
    const char *name;
    uint64_t session;     /* 0: not connected */
    uint64_t incarnation; /* rises when the process dies; 0: never started */
    bool dead;
    struct sim_call *calls; /* unanswered */
    void (*connected)(struct sim *sim, struct sim_actor *actor);
    void *self;
};

/* A reply to a call; status is gRPC's, body NULL when the connection was cut and the call will not
 * be sent again. */
typedef void sim_answer(struct sim *sim, struct sim_actor *actor, void *context, int status,
                        const ProtobufCMessage *body);

struct sim_call {
    struct sim_actor *actor;
    uint64_t incarnation;
    enum method method;
    const ProtobufCMessage *body;
    sim_answer *answer;
    void *context;
    bool repeats; /* sent again after a reconnect; a poll is not: the actor polls anew */
    uint64_t session, correlation;
    struct sim_call *prev, *next;
    UT_hash_handle hh;
};

/* --- the world (sim.c) --- */

struct sim_log {
    struct store_run run;
    bool closed;
    struct store_blob *blobs;
    size_t count, capacity;
};

struct sim_batch;
struct sim_event;
struct sim_ledger;
struct sim_worker;
struct sim_client;

struct sim {
    struct sim_options options;
    int64_t now_us;
    uint64_t random;
    struct arena arena; /* everything made in this world */
    struct sim_event **events;
    size_t event_count, event_capacity;
    uint64_t next_order;
    bool calm; /* the chaos is over */
    /* the engine */
    struct core_config config;
    struct core *core; /* NULL while it is down */
    struct outbox outbox;
    bool batch_is_open;
    size_t replies_taken;
    uint64_t sequence;
    uint64_t epoch;            /* rises with every crash */
    struct sim_batch *batches; /* closed, not yet durable, oldest first */
    struct sim_batch *current;
    int64_t last_commit_us;
    uint64_t durable_dump; /* hash of the state as of the last durable batch */
    struct sim_log *logs;
    size_t log_count, log_capacity;
    int64_t next_run_key;
    uint64_t next_session, next_correlation;
    struct sim_call *calls; /* by correlation */
    /* actors */
    struct sim_actor **actors;
    size_t actor_count;
    struct sim_client *client;
    struct sim_worker **workers;
    struct sim_ledger *ledger;
    /* what happened */
    size_t calls_made, batches_made, crashes, cuts, deaths;
};

void sim_run(const struct sim_options *options, size_t *ret_batches);

uint64_t sim_random(struct sim *sim, uint64_t bound); /* 0 .. bound-1 */
bool sim_chance(struct sim *sim, int per_thousand);   /* never once calm */
int64_t sim_between(struct sim *sim, int64_t low, int64_t high);
void *sim_alloc(struct sim *sim, size_t size); /* zeroed */
char *sim_text(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *sim_message(struct sim *sim, const ProtobufCMessageDescriptor *descriptor);
Api__Payloads *sim_payloads(struct sim *sim, const char *text);
void sim_at(struct sim *sim, int64_t delay_us, sim_fire *fire, void *arg, uint64_t value);

/* Prints the seed and what is wrong, and ends the test. */
#define SIM_CHECK(sim, condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_fail(sim, __FILE__, __LINE__, __VA_ARGS__);                                        \
    } while (0)
void sim_fail(const struct sim *sim, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5), noreturn));

/* --- the network (sim_network.c) --- */

void sim_actor_add(struct sim *sim, struct sim_actor *actor);
void sim_connect(struct sim *sim, struct sim_actor *actor, int64_t delay_us);
void sim_call(struct sim *sim, struct sim_actor *actor, enum method method, const void *body,
              bool repeats, sim_answer *answer, void *context);
/* The connection is cut: both sides hear of it, in their own time. */
void sim_cut(struct sim *sim, struct sim_actor *actor);
/* The process dies: what it had in mind is gone. */
void sim_kill(struct sim *sim, struct sim_actor *actor);

/* --- the engine (sim_engine.c) --- */

void sim_engine_start(struct sim *sim);
void sim_engine_request(struct sim *sim, uint64_t session, uint64_t correlation, enum method method,
                        const ProtobufCMessage *body);
void sim_engine_session_lost(struct sim *sim, uint64_t session, const char *reason);
void sim_engine_stop(struct sim *sim);
/* The network takes a reply that may leave. */
void sim_network_reply(struct sim *sim, uint64_t session, uint64_t correlation, int status,
                       bool more, const ProtobufCMessage *body);
void sim_network_engine_crashed(struct sim *sim);

/* --- actors (sim_client.c, sim_worker.c) --- */

void sim_client_create(struct sim *sim);
bool sim_client_is_done(const struct sim *sim);
void sim_worker_create(struct sim *sim, int index);
void sim_workers_fini(struct sim *sim);

/* --- the ledger (sim_ledger.c) --- */

void sim_ledger_create(struct sim *sim);
/* A worker was handed an attempt; was told that its completion counts. */
void sim_ledger_dispatched(struct sim *sim, const char *run_id, const char *activity_id);
void sim_ledger_completed(struct sim *sim, const char *run_id, const char *activity_id);
/* A client was told that a run exists; that a signal was taken. */
void sim_ledger_started(struct sim *sim, const char *workflow_id, const char *run_id);
void sim_ledger_signaled(struct sim *sim, const char *run_id, const char *request_id);
/* Everything is over: what was told must be in the log. */
void sim_ledger_check(struct sim *sim);

#endif
