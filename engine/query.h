/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query: questions to a run, answered by its worker, without a trace in the history
 * (docs/spec/02-history.md, section 7).
 *
 * While a workflow task is pending, a query waits and travels with it (`queries`), so that its
 * answer includes what that task brings. Otherwise it is a task of its own, on the sticky queue
 * first:
 *
 *     BUFFERED ──task handed out──► ATTACHED ──task ended without its answer──► BUFFERED
 *         └────no task pending────► QUEUED ──matched──► HELD ──worker lost──► QUEUED
 */
#ifndef ARGOSY_ENGINE_QUERY_H
#define ARGOSY_ENGINE_QUERY_H

#include "engine/core_state.h"

enum query_state { QUERY_BUFFERED, QUERY_ATTACHED, QUERY_QUEUED, QUERY_HELD };

struct query {
    uint64_t id;
    char name[24]; /* the id as text: its key among a workflow task's queries */
    enum query_state state;
    struct run *run;
    struct pending *pending; /* the request */
    struct arena arena;
    const Api__WorkflowQuery *question;
    int32_t dispatch;
    struct task task;
    struct deadline deadline;  /* on the sticky queue */
    struct query *prev, *next; /* of the run */
    UT_hash_handle hh;         /* by id */
};

/* Adds the run's waiting queries to a workflow task that is handed out. */
void query_attach(struct core *core, struct run *run, Api__PollWorkflowTaskQueueResponse *response);

/* Answers those that the completed workflow task answered. */
void query_answered(struct core *core, struct run *run,
                    const Api__RespondWorkflowTaskCompletedRequest *body);

/* The workflow task ended: what it carried waits again. */
void query_task_ended(struct core *core, struct run *run);

/* Makes tasks of the waiting queries when no workflow task is pending. */
void query_settle(struct core *core, struct run *run);

/* Its task was matched; its worker is gone; it waited too long for the sticky queue; the sticky
 * queue has no worker any more. */
void query_dispatch(struct core *core, struct query *query, struct pending *poll);
void query_lost(struct core *core, struct query *query);
void query_due(struct core *core, struct query *query);
void query_unstick(struct core *core, struct queue *queue);
void query_unstick_run(struct core *core, struct run *run);

/* The request is gone: drops the query. */
void query_forget(struct core *core, struct query *query);

#endif
