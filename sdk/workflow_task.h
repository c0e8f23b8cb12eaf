/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow_task: turns a workflow task into its answer: finds or rebuilds the run, applies the
 * events, answers the queries, collects the commands. It sends and receives nothing itself:
 * worker.c does, and replay.c and the unit tests call the same code without an engine.
 *
 * Threading: one thread at a time per runner.
 */
#ifndef ARGOSY_SDK_WORKFLOW_TASK_H
#define ARGOSY_SDK_WORKFLOW_TASK_H

#include "api/messages.h"
#include "api/method.h"
#include "sdk/payload_codec.h"
#include "sdk/run.h"
#include "sdk/run_cache.h"

struct workflow_runner {
    struct run_config config;
    struct run_cache cache;
    const char *identity;
    const struct argosy_codecs *codecs; /* may be NULL */
    const char *sticky_queue; /* NULL: runs are not sticky, and no next task is asked for */
};

/* The core SDKs' default: a sticky worker that does not take its task for so long is given up. */
#define STICKY_SCHEDULE_TO_START_MS 10000

struct workflow_answer {
    /* What to send. METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, _FAILED or RESPOND_QUERY_TASK_COMPLETED
     * with request; or METHOD_GET_WORKFLOW_EXECUTION_HISTORY: fetch pages and call again with all
     * events; request is the first page's: with a page token the pages go on where the events in
     * task end, without they begin the history; or 0: nothing to send, the task is left to time
     * out. */
    enum method method;
    ProtobufCMessage *request;
    /* Code and text of a task that failed; code 0 otherwise. */
    struct error failure;
    /* In use by request until workflow_answer_fini. */
    struct argosy_workflow *closed_run;
};

/* Works on task. events: what was fetched, to its end (count > 0), else those in task are used.
 * Their payloads are decoded in place. The answer lives in arena; the caller sends it, then calls
 * workflow_answer_fini. Fails only for a task that cannot be answered: ERR_PROTOCOL (no token, no
 * run), ERR_MEMORY. */
int workflow_task_work(struct workflow_runner *runner,
                       const Api__PollWorkflowTaskQueueResponse *task,
                       Api__HistoryEvent *const *events, size_t event_count, struct arena *arena,
                       struct workflow_answer *ret_answer, struct error *err);

void workflow_answer_fini(struct workflow_answer *answer);

#endif
