/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity: a task of an activity in this process, from its dispatch to the engine's receipt of its
 * outcome.
 *
 *     RUNNING ──complete, fail, cancel, release──► FINISHING ──receipt──► (gone)
 *        │                                                                  ▲
 *        └──────────────lost to us───────────────► ABANDONED ───────────────┘ (handle given up)
 *
 * A task is held from its dispatch until the receipt: it is named in Hello, so that an engine that
 * restarts meanwhile does not give it to another worker. Only RUNNING tasks send anything; what a
 * function says of a task it has lost goes nowhere.
 *
 * Heartbeats: the newest details are kept; they leave at once when 0.8 heartbeat timeouts have
 * passed since the last message, else when they have (activity_host_turn); always before a release,
 * and inside a failure.
 *
 * Threading: any thread may call any function here unless it says otherwise. One mutex of the host
 * guards all that changes. Lock order: that mutex, then whatever connection_submit takes.
 */
#ifndef ARGOSY_SDK_ACTIVITY_H
#define ARGOSY_SDK_ACTIVITY_H

#include <argosy/activity.h>
#include <argosy/log.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "api/messages.h"
#include "queues/connection.h"
#include "sdk/arena.h"
#include "sdk/payload_codec.h"
#include "sdk/registry.h"
#include "sdk/state_machine.h"

/* How long an outcome is offered to an engine that does not answer. */
#define ACTIVITY_REPORT_TIMEOUT_MS (10 * 60 * 1000)

/* What all tasks of a worker share. It lives as long as the worker and every handle: code that
 * finishes a task late finds it abandoned, never freed. */
struct activity_host {
    atomic_uint references; /* the worker's, one per task */
    struct connection *connection;
    const char *name_space;
    const char *identity;
    const struct argosy_codecs *codecs; /* may be NULL */
    void (*on_wake)(void *context);     /* the loop has something to do */
    argosy_log_function *on_log;        /* any thread */
    void *context;
    atomic_bool is_draining;
    pthread_mutex_t mutex;
    struct argosy_activity *held;
    size_t held_count;
    size_t unsent_count; /* tasks with heartbeat details to send later */
};

struct argosy_activity {
    /* identity */
    struct activity_host *host;
    const struct registry_activity *type;
    struct argosy_activity_info info;
    ProtobufCBinaryData token;
    struct argosy_payloads inputs;
    struct argosy_payload first_input;
    struct argosy_payload last_heartbeat;
    uint64_t heartbeat_interval_ns;
    struct error problem; /* code < 0: its payloads cannot be decoded */

    /* state, under the host's mutex */
    struct state_machine machine;
    struct arena details_arena;
    struct argosy_payload details; /* newest heartbeat's */
    bool is_unsent;                /* details wait to be sent */
    bool is_sending;               /* a heartbeat is not yet answered */
    uint64_t next_heartbeat_ns;
    atomic_bool is_canceled;
    atomic_uint references; /* the held list's, the handle's, one per message under way */

    /* memory and links */
    struct argosy_arena arena;
    struct argosy_activity *prev; /* held list */
    struct argosy_activity *next;
    struct argosy_activity *queue_next; /* activity_pool */
};

/* The worker's reference is the caller's. ERR_MEMORY. */
int activity_host_create(struct activity_host **ret_host, struct error *err);

/* Gives up a reference. The worker's goes when nothing is held any more. NULL is fine. */
void activity_host_unref(struct activity_host *host);

/* A held task in state RUNNING from a dispatch's reply body, which is copied; the handle is the
 * caller's to pass to the type's function. ERR_PROTOCOL for a malformed one, ERR_NOT_FOUND for a
 * type that is not registered, ERR_MEMORY. */
int activity_create(struct activity_host *host, const struct argosy_registry *registry,
                    const uint8_t *body, size_t body_size, const char *task_queue,
                    struct argosy_activity **ret_activity, struct error *err);

/* Fails the attempt of a task whose payloads cannot be decoded (problem). Takes the handle. */
void activity_refuse(struct argosy_activity *activity);

/* Runs a synchronous task's function on the calling thread and reports what it returned. */
void activity_run(struct argosy_activity *activity);

/* The tokens of all held tasks, in arena. For Hello. */
void activity_host_tokens(struct activity_host *host, struct arena *arena,
                          Api__HelloRequest *hello);

/* The tasks of these tokens were lost: their work is to be abandoned. */
void activity_host_lose(struct activity_host *host, size_t count,
                        const ProtobufCBinaryData *tokens);

/* Sends heartbeats that are due; returns the time of the next one, UINT64_MAX when none waits. Loop
 * thread. */
uint64_t activity_host_turn(struct activity_host *host, uint64_t now_ns);

/* Hands back every task that still runs; their handles stay with their functions. */
void activity_host_release_all(struct activity_host *host);

/* The connection is about to end: what still runs is nobody's here. Messages under way end with the
 * connection. */
void activity_host_abandon(struct activity_host *host);

size_t activity_host_held(struct activity_host *host);

/* ---- inside ---- */

enum activity_state { ACTIVITY_RUNNING, ACTIVITY_FINISHING, ACTIVITY_ABANDONED };

void activity_ref(struct argosy_activity *activity);
void activity_unref(struct argosy_activity *activity);

/* Takes the task off the held list with its reference. The host's mutex is held. */
void activity_drop(struct argosy_activity *activity);

/* Says to the host's log what went wrong with the task. */
void activity_report(struct argosy_activity *activity, const char *what,
                     const struct error *reason);

/* Sends the newest details now. The host's mutex is held. */
void activity_send_heartbeat(struct argosy_activity *activity, uint64_t now_ns);

#endif
