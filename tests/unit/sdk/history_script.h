/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history_script: histories written by hand, event by event, and the tasks a worker gets from them.
 *
 * The script plays the engine: a test adds the events that Temporal's rules prescribe, asks for the
 * task and compares the worker's commands with what it expects. script_task works on the task
 * twice: by a worker that kept the run (new events only) and by one that never saw it (whole
 * history), and asserts that both answer with the same bytes.
 */
#ifndef TESTS_UNIT_SDK_HISTORY_SCRIPT_H
#define TESTS_UNIT_SDK_HISTORY_SCRIPT_H

#include <argosy/registry.h>

#include "common/arena.h"
#include "sdk/workflow_task.h"

#define SCRIPT_EVENTS_MAX 256
#define SCRIPT_RUN_ID     "0195d3c4-0000-4000-8000-000000000001"
#define SCRIPT_START_S    1700000000

struct script {
    struct arena arena;
    struct argosy_registry *registry;
    struct workflow_runner kept; /* the sticky worker */
    Api__HistoryEvent *events[SCRIPT_EVENTS_MAX];
    size_t count;
    size_t seen;        /* events the sticky worker has had */
    int64_t now_s;      /* time of the next event */
    int64_t task_event; /* the open task's started event */
    const char *queue;
    char log[4096]; /* what workflow code logged */
};

void script_init(struct script *script, argosy_workflow_function *function, void *user_data);
void script_fini(struct script *script);

/* Each adds one event and returns its id. Payloads are JSON text, NULL for none. */
int64_t script_started(struct script *script, const char *input);
int64_t script_task_scheduled(struct script *script);
int64_t script_task_started(struct script *script);
int64_t script_task_completed(struct script *script);
int64_t script_task_failed(struct script *script);
int64_t script_activity_scheduled(struct script *script, const char *id, const char *type);
int64_t script_activity_completed(struct script *script, int64_t scheduled, const char *result);
int64_t script_activity_failed(struct script *script, int64_t scheduled, const char *type,
                               const char *message, Api__RetryState retry_state);
int64_t script_activity_timed_out(struct script *script, int64_t scheduled,
                                  Api__TimeoutType timeout_type);
int64_t script_activity_cancel_requested(struct script *script, int64_t scheduled);
int64_t script_activity_canceled(struct script *script, int64_t scheduled);
int64_t script_timer_started(struct script *script, const char *id);
int64_t script_timer_fired(struct script *script, const char *id, int64_t started);
int64_t script_timer_canceled(struct script *script, const char *id, int64_t started);
int64_t script_signaled(struct script *script, const char *name, const char *input);
int64_t script_cancel_requested(struct script *script);
int64_t script_completed(struct script *script);

/* Scheduled and started events of the next task. */
void script_open_task(struct script *script);

/* The answer of both workers to the open task. Its request lives until script_fini. */
struct workflow_answer script_task(struct script *script);

/* The same, asserting that the task completed; returns its request. */
const Api__RespondWorkflowTaskCompletedRequest *script_commands(struct script *script);

/* The answer of one worker; the task may carry a query (NULL: none). */
struct workflow_answer script_task_by(struct script *script, struct workflow_runner *runner,
                                      size_t first_event, const char *query);

/* A payload's text, borrowed from the script. */
const char *script_payload_text(struct script *script, const Api__Payloads *payloads);

#endif
