/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: the state of one workflow run, rebuilt from its log by run_apply alone.
 *
 * "Persistent state" is what the log determines: run_apply is the only writer of it, live and on
 * recovery. "In memory" is what the core derives from it (deadlines, places in queues, waiting
 * requests); the files named for each kind (activity.h, timer.h, workflow_task.h ...) keep it in
 * step. Memory: a run owns an arena that goes with it; what is replaced often is kept apart.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_ENGINE_RUN_H
#define ARGOSY_ENGINE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/messages.h"
#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/hash.h"
#include "common/limits.h"
#include "common/uuid.h"
#include "engine/message.h"
#include "engine/proto/record.pb-c.h"
#include "engine/store.h"
#include "engine/task.h"
#include "engine/timer_queue.h"

struct pending;
struct query;
struct write_buffer;

/* One event of the history; subject is the open activity or timer that it started. */
struct history_entry {
    Api__HistoryEvent *event;
    size_t size; /* encoded */
    void *subject;
};

struct history {
    struct history_entry *entries;
    size_t count, capacity;
    size_t size; /* sum of the entries' sizes */
};

/*
 *            scheduled          started            completed, failed, timed out
 *     NONE ───────────► SCHEDULED ───────► STARTED ───────► NONE
 *                           └───── schedule-to-start ──────► NONE
 */
enum workflow_task_state { WORKFLOW_TASK_NONE, WORKFLOW_TASK_SCHEDULED, WORKFLOW_TASK_STARTED };

struct workflow_task {
    /* persistent state */
    enum workflow_task_state state;
    int32_t attempt; /* of this task, or of the next one when there is none */
    bool sticky;     /* scheduled on the sticky queue */
    int64_t scheduled_event_id;
    int64_t started_event_id; /* for attempts > 1 both are the ids the events will get */
    int64_t scheduled_us, started_us;
    int64_t start_to_close_us;
    const char *identity; /* of the worker, while started */
    /* in memory */
    struct task task;
    struct deadline deadline;
};

/*
 *                    dispatched             closed
 *     SCHEDULED ───────────────► STARTED ─────────────► CLOSED
 *       │   ▲  lost, released,   │    │ cancel requested   ▲
 *       │   └─────── retried ────┘    └─► CANCELING ───────┤
 *       └── timed out, canceled ───────────────────────────┘
 *
 * SCHEDULED with due_us in the future is back-off: no queue has it yet.
 */
enum activity_state {
    ACTIVITY_SCHEDULED,
    ACTIVITY_STARTED,
    ACTIVITY_CANCELING,
    ACTIVITY_CLOSED,
};

struct retry_policy {
    int64_t initial_interval_us, maximum_interval_us;
    double backoff_coefficient;
    int32_t maximum_attempts; /* 0: no limit */
    const char *const *non_retryable_types;
    size_t non_retryable_type_count;
};

struct activity {
    /* identity and configuration, from its ActivityTaskScheduled event */
    struct run *run;
    int64_t scheduled_event_id;
    uint32_t id_hash; /* of activity_id: most comparisons end here */
    const Api__ActivityTaskScheduledEventAttributes *attributes;
    int64_t schedule_to_close_us, schedule_to_start_us, start_to_close_us, heartbeat_us;
    struct retry_policy retry;
    /* persistent state */
    enum activity_state state;
    int32_t attempt;
    int32_t dispatch;          /* how often it was handed out: a token counts for the latest only */
    int32_t loss_count;        /* losses of this attempt without progress between them */
    int64_t scheduled_us;      /* first scheduled */
    int64_t due_us;            /* this attempt may be handed out from then on */
    int64_t started_us;        /* of the latest dispatch */
    int64_t heartbeat_us_last; /* 0: none since the dispatch */
    int64_t attempt_ended_us;  /* of the attempt before; 0: none */
    int64_t cancel_requested_id; /* event id; 0: not requested */
    struct kept heartbeat_details;
    struct kept last_failure;
    struct arena identity_arena;
    const char *identity; /* of the worker of the latest dispatch */
    /* in memory */
    struct task task;
    struct deadline deadline;
    /* links */
    struct activity *prev, *next;
};

struct timer {
    /* persistent state */
    struct run *run;
    int64_t started_event_id;
    uint32_t id_hash;
    const char *timer_id;
    int64_t fire_us;
    /* in memory */
    struct deadline deadline;
    /* links */
    struct timer *prev, *next;
};

/* A request id that was accepted: the same request again changes nothing. */
struct request_id {
    const char *id;
    UT_hash_handle hh;
};

struct run {
    /* identity */
    int64_t run_key;
    char run_id[UUID_TEXT_SIZE];
    const char *workflow_id;
    /* configuration, from WorkflowExecutionStarted */
    const Api__WorkflowExecutionStartedEventAttributes *attributes;
    const char *workflow_type;
    const char *task_queue;
    const char *request_id; /* of the start */
    int64_t execution_timeout_us, run_timeout_us, task_timeout_us, start_delay_us;
    int64_t start_us;
    int64_t expiration_us;       /* of all the runs of a chain of retries; 0: none */
    const char *concurrency_key; /* NULL: none */
    struct retry_policy retry;   /* of the workflow, when has_retry */
    bool has_retry;
    int32_t attempt; /* of the workflow: from 1 */
    /* persistent state */
    Api__WorkflowExecutionStatus status; /* 0 before its first event */
    int64_t close_us;
    struct history history;
    struct history buffered; /* events without ids, while a workflow task is started */
    struct workflow_task workflow_task;
    int64_t completed_started_id; /* started event of the last completed workflow task */
    const char *sticky_queue;     /* NULL: none */
    int64_t sticky_schedule_to_start_us;
    struct activity *activities; /* open ones, oldest first */
    size_t activity_count;
    struct timer *timers; /* open ones, oldest first */
    struct request_id *signal_ids;
    int64_t signal_count;
    bool cancel_requested;
    const char *cancel_request_id;
    /* in memory */
    struct arena arena;
    struct deadline deadline;       /* run or execution timeout */
    struct write_buffer *unwritten; /* records of this call */
    bool was_opened, was_closed;    /* in this call */
    uint64_t write_sequence;        /* outbox of the last write, and its place there */
    size_t write_index;
    struct pending *waiters; /* history requests that wait for events */
    struct query *queries;
    bool is_guest; /* read back from the store for a reader */
    /* links */
    struct run *dirty_prev, *dirty_next;
    struct run *closed_prev, *closed_next;
    struct run *group_prev, *group_next; /* open runs of the same concurrency key */
    UT_hash_handle hh;                   /* by run_id */
    UT_hash_handle hh_workflow;          /* by workflow_id: the newest run of each */
};

struct run *run_create(int64_t run_key, const char *workflow_id, const char *run_id);
void run_destroy(struct run *run);

static inline bool run_is_open(const struct run *run)
{
    return run->status == WORKFLOW_EXECUTION_STATUS_RUNNING;
}

/* A retried run whose first workflow task waits for the end of its backoff: nothing shortens it. */
static inline bool run_is_backing_off(const struct run *run)
{
    const struct workflow_task *task = &run->workflow_task;
    return run->attempt > 1 && task->state == WORKFLOW_TASK_NONE && task->attempt == 1 &&
           task->scheduled_event_id == 0;
}

static inline int64_t run_next_event_id(const struct run *run)
{
    return (int64_t)run->history.count + 1;
}

/* Applies one record. The record is borrowed, but an event in it must live as long as the run (in
 * its arena). size is the record's encoded size. ERR_CORRUPT when the record cannot follow the
 * state; the run is unusable then. */
int run_apply(struct run *run, const Engine__Record *record, size_t size, struct error *err);

/* Applies a run's whole log to a newly created run. ERR_CORRUPT. */
int run_load(struct run *run, const struct store_blob *records, size_t record_count,
             struct error *err);

/* Appends a record to a log blob. Aborts when memory is exhausted; returns the encoded size. */
size_t record_encode(const Engine__Record *record, struct buffer *buffer);

/* The open activity or timer that an event started or an id names; NULL when there is none. */
struct activity *run_activity_get(const struct run *run, int64_t scheduled_event_id);
struct activity *run_activity_find(const struct run *run, const char *activity_id);
/* An event that closes the activity is buffered. */
bool run_activity_is_closing(const struct run *run, int64_t scheduled_event_id);
struct timer *run_timer_find(const struct run *run, const char *timer_id);

/* The buffered TimerFired event of a timer that has fired; NULL when there is none. */
const Api__HistoryEvent *run_fired_timer_find(const struct run *run, const char *timer_id);

uint32_t id_hash(const char *id);

/* Appends the persistent state as text, one field a line: equal states give equal texts. */
void run_dump(const struct run *run, struct buffer *text);

#endif
