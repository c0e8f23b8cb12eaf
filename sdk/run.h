/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: one workflow run on this worker: its code on a coroutine, its position in its history, and
 * what the two have agreed on so far.
 *
 * A run is fed events in order (run_apply). At every started workflow task its code goes on until
 * it waits again (an activation). Old tasks are replayed: the commands of an activation are matched
 * against the events that follow. The last, still open task is live: its commands are taken by
 * run_commands and sent. So live and replay are one path (CONVENTIONS 7), and a run rebuilt from
 * its history equals one that was kept.
 *
 * Order within an activation: futures are resolved as their events are read; then signals, in
 * order, to handlers; then a cancel request; then the code. All of it depends on history alone.
 *
 * Files: run.c (life, activation), run_history.c (events and matching), activity_command.c,
 * timer_command.c, close_command.c (kinds of command), future.c, signal.c, query.c, condition.c,
 * workflow.c (what code may call).
 *
 * Threading: one thread at a time per run and its pool.
 */
#ifndef ARGOSY_SDK_RUN_H
#define ARGOSY_SDK_RUN_H

#include <argosy/log.h>
#include <argosy/workflow.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/messages.h"
#include "common/arena.h"
#include "common/error.h"
#include "common/hash.h"
#include "common/limits.h"
#include "sdk/arena.h"
#include "sdk/command.h"
#include "sdk/coroutine.h"
#include "sdk/future.h"
#include "sdk/registry.h"

/* A history of the largest size, decoded, and as much again for the code's own. */
#define RUN_MEMORY_MAX (2 * LIMIT_HISTORY_SIZE)

struct run_config {
    const struct argosy_registry *registry;
    struct coroutine_pool *pool;
    const char *name_space;
    argosy_log_function *on_log; /* may be NULL */
    void *log_context;
};

struct signal {
    const char *name;
    struct argosy_payloads input;
    struct signal *prev;
    struct signal *next;
};

struct signal_handler {
    const char *name;
    argosy_signal_function *function;
    void *user_data;
    struct signal_handler *next;
};

struct query_handler {
    const char *type;
    argosy_query_function *function;
    void *user_data;
    bool is_local; /* user_data is a local variable of the code: gone when the function returns */
    struct query_handler *next;
};

/* What the code is doing: decides which calls are allowed. */
enum run_mode {
    RUN_MODE_IDLE,    /* between activations */
    RUN_MODE_CODE,    /* the workflow function runs */
    RUN_MODE_HANDLER, /* a signal handler runs: no waiting */
    RUN_MODE_QUERY,   /* a query handler runs: no waiting, no commands */
};

struct argosy_workflow {
    /* identity */
    struct argosy_workflow_info info;
    struct argosy_payloads inputs;
    struct argosy_payload first_input; /* null when there is none */

    /* configuration */
    const struct run_config *config;
    const struct registry_workflow *type;

    /* what history decides */
    int64_t last_event_id;
    int64_t now_utc_us;
    uint64_t random_state;
    uint64_t activity_count; /* number the default ids */
    uint64_t timer_count;
    uint64_t ready_count;
    bool is_cancel_requested;
    bool is_cancel_delivered;
    bool is_closed; /* a closing event was read */
    struct signal *signals;
    struct command *commands;      /* made, not yet seen in history; in order */
    struct argosy_future *pending; /* in order of creation */

    /* the code */
    struct coroutine *coroutine; /* NULL before the first activation */
    struct coroutine *current;   /* what runs now: the coroutine above or a handler's */
    enum run_mode mode;
    bool (*wait_is_over)(const void *wait); /* what the code waits for; NULL: nothing yet */
    const void *wait;
    bool is_shielded;
    bool is_replaying;
    struct signal_handler *signal_handlers;
    struct query_handler *query_handlers;
    struct argosy_payload result; /* once the function has returned */
    struct argosy_error result_error;
    int result_code;
    bool is_done; /* the function has returned */
    struct command close;
    struct error fatal; /* code != 0: the run cannot go on; the task fails */

    /* memory */
    struct argosy_arena arena;
    struct arena *task_arena; /* while a live task is worked on: what its commands live in */

    /* links: the cache it is in (run_cache.h) */
    struct argosy_workflow *prev;
    struct argosy_workflow *next;
    UT_hash_handle hh;
};

/* A run before its first event. workflow_id and run_id are copied. ERR_MEMORY. */
int run_create(const struct run_config *config, const char *workflow_id, const char *run_id,
               struct argosy_workflow **ret_run, struct error *err);

/* Drops it, code and all. NULL is fine. */
void run_destroy(struct argosy_workflow *run);

/* Feeds the next events. When is_task, the last one is the WorkflowTaskStarted of the open task:
 * its commands then live in task_arena. The events are borrowed for the call.
 * ERR_NONDETERMINISM: code and history differ, the text says where; ERR_NOT_FOUND: the workflow
 * type is not registered; ERR_UNSUPPORTED: an event this version does not know; ERR_STATE: the
 * events do not follow those before (fetch the whole history); ERR_PROTOCOL: no history at all;
 * ERR_LIMIT, ERR_MEMORY. After a failure the run is good for run_destroy only. */
int run_apply(struct argosy_workflow *run, Api__HistoryEvent *const *events, size_t count,
              bool is_task, struct arena *task_arena, struct error *err);

/* The open task's commands, in order, in the task's arena. NULL when that is exhausted. */
Api__Command **run_commands(const struct argosy_workflow *run, struct arena *task_arena,
                            size_t *ret_count);

/* Answers a query; the result and all in it lives in arena. NULL when arena is exhausted. */
Api__WorkflowQueryResult *run_query(struct argosy_workflow *run, const Api__WorkflowQuery *query,
                                    struct arena *arena);

/* ---- inside the runtime ---- */

/* Gives the run up: sets fatal and, from code, does not return. */
void run_give_up(struct argosy_workflow *run, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* Lets the run's code go on (live or replayed) with the time of its workflow task. */
void run_activate(struct argosy_workflow *run, int64_t now_utc_us, bool is_live);

/* Runs function(argument) on a stack of its own in mode; 0 unless it was given up. */
int run_call(struct argosy_workflow *run, enum run_mode mode, coroutine_fn *function,
             void *argument);

/* Waits until is_over(wait). 0, or ARGOSY_ERR_STATE where waiting is not allowed. */
int run_wait(struct argosy_workflow *run, bool (*is_over)(const void *wait), const void *wait,
             struct argosy_error *err);

/* Whether what is started now is reached by a cancel request that has been delivered. */
bool run_is_cut_off(const struct argosy_workflow *run);

/* Appends a command that ops describes; its message (live) comes back for the caller to fill, NULL
 * on replay. */
Api__Command *run_command_add(struct argosy_workflow *run, struct command *command,
                              const struct command_ops *ops, void *owner, Api__CommandType type);
void run_command_remove(struct argosy_workflow *run, struct command *command);

/* Whether commands may be made now: not in a query handler. */
bool run_may_command(const struct argosy_workflow *run);

/* Memory that is there or the run is given up: the run's, and the live task's. */
void *run_alloc(struct argosy_workflow *run, size_t size);
void run_check_memory(struct argosy_workflow *run, const void *pointer);

/* ---- one for each kind of event (run_history.c's table) ---- */

int activity_apply_completed(struct argosy_workflow *run, const Api__HistoryEvent *event,
                             struct error *err);
int activity_apply_failed(struct argosy_workflow *run, const Api__HistoryEvent *event,
                          struct error *err);
int activity_apply_timed_out(struct argosy_workflow *run, const Api__HistoryEvent *event,
                             struct error *err);
int activity_apply_canceled(struct argosy_workflow *run, const Api__HistoryEvent *event,
                            struct error *err);
int timer_apply_fired(struct argosy_workflow *run, const Api__HistoryEvent *event,
                      struct error *err);
int signal_apply(struct argosy_workflow *run, const Api__HistoryEvent *event, struct error *err);

/* Gives signals that have a handler to it, in order. */
void signal_deliver(struct argosy_workflow *run);

/* Makes the command that ends the run, from what its function returned. */
void close_command_make(struct argosy_workflow *run);

#endif
