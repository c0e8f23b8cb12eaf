/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: inside struct argosy_worker (include/argosy/worker.h).
 *
 * Files: worker.c (life, loop, drain), worker_poll.c (standing polls and what they bring),
 * worker_task.c (workflow tasks on their way). The loop thread owns everything but what is marked.
 *
 *     IDLE ──run──► SERVING ──stop──► DRAINING ──grace over──► RELEASING ──► STOPPED
 *                                         └──nothing is held────────────────►
 */
#ifndef ARGOSY_SDK_WORKER_H
#define ARGOSY_SDK_WORKER_H

#include <argosy/worker.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/uuid.h"
#include "queues/connection.h"
#include "sdk/activity.h"
#include "sdk/activity_pool.h"
#include "sdk/connect.h"
#include "sdk/state_machine.h"
#include "sdk/workflow_task.h"

enum worker_state {
    WORKER_IDLE,
    WORKER_SERVING,
    WORKER_DRAINING,
    WORKER_RELEASING,
    WORKER_STOPPED
};

enum poll_kind { POLL_WORKFLOW, POLL_STICKY, POLL_ACTIVITY };

/* One standing poll. */
struct worker_poll {
    struct argosy_worker *worker;
    enum poll_kind kind;
    const char *queue; /* in the worker's arena */
    int slots;
    uint64_t correlation_id; /* of the open request; 0 when there is none */
    uint64_t retry_ns;       /* when to ask again; 0: not waiting for that */
    int own_slots;           /* under the worker's mutex: as configured, or set_slots said */
    int told_slots;          /* likewise: what operators have the engine say instead; 0: nothing */
};

/* A workflow task whose answer is not yet acknowledged, or whose history is being fetched. */
struct worker_task;

struct argosy_worker {
    /* configuration */
    struct argosy_worker_options callbacks; /* its strings and queues are not used */
    struct connect_options options;
    const struct argosy_registry *registry;
    struct arena arena; /* strings, polls, types */
    const char *instance_id;
    const char *sticky_queue;
    const char **workflow_types;
    const char **activity_types;
    size_t workflow_type_count;
    size_t activity_type_count;

    /* state */
    struct state_machine machine;
    struct connection *connection;
    struct worker_poll *polls;
    size_t poll_count;
    struct workflow_runner runner;
    struct worker_task *tasks;
    struct arena task_arena; /* for one callback */
    struct activity_host *host;
    struct activity_pool pool;
    uint64_t deadline_ns; /* draining: end of the grace; releasing: end of waiting for receipts */
    uint64_t turn_ns;     /* when on_turn was last called */
    bool was_ready;
    bool has_session;
    uint64_t complaint_ns; /* without a session: when to say so */
    struct error fatal;    /* code != 0: serving has no sense any more */

    /* any thread, signal handlers */
    int wake_fd;  /* eventfd */
    int epoll_fd; /* wake_fd and the caller's watch fd */
    atomic_bool is_stopping;
    _Atomic int64_t grace_ms;
    pthread_mutex_t mutex; /* own_slots, told_slots */
};

/* One line of trouble to on_log. Any thread. The second: trouble with a run. */
void worker_log(struct argosy_worker *worker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct worker_run_name {
    const char *workflow_type;
    const char *workflow_id;
    const char *run_id;
};
void worker_log_run(struct argosy_worker *worker, const struct worker_run_name *run,
                    const char *what, const struct error *reason);

/* How many slots the poll is to have. Under the worker's mutex. */
int worker_slots_wanted(const struct worker_poll *poll);

/* The engine says how many slots to poll with; 0: the process's own. */
int worker_slots_told(struct worker_poll *poll, int slots, struct error *err);

/* ---- worker_poll.c ---- */

/* Asks for tasks of every poll that is not open. */
void worker_poll_all(struct argosy_worker *worker);
/* Asks again where that is due or slots were changed; returns when the next one is due. */
uint64_t worker_poll_turn(struct argosy_worker *worker, uint64_t now_ns);
/* Asks the engine to end all polls; tasks may come until it has (worker_poll_is_open). */
void worker_poll_cancel(struct argosy_worker *worker);
bool worker_poll_is_open(const struct argosy_worker *worker);

/* ---- worker_task.c ---- */

/* A workflow task came: body is a PollWorkflowTaskQueueResponse with a token. */
void worker_task_begin(struct argosy_worker *worker, const uint8_t *body, size_t body_size);
/* Adds the tokens of tasks that are not yet answered. */
void worker_task_tokens(struct argosy_worker *worker, struct arena *arena,
                        Api__HelloRequest *hello);
bool worker_task_is_any(const struct argosy_worker *worker);

#endif
