/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start: see start.h.
 *
 * A start request is idempotent by its request id. While the run is open, or closed but still in
 * memory, the run itself knows the id; after that the table of recent starts does; and for a while
 * after a recovery, when that table is empty and clients repeat what the crash left unanswered, the
 * store is asked for the last run of the workflow id.
 */
#include "engine/start.h"

#include <string.h>

#include "common/assert.h"
#include "common/time_unit.h"
#include "engine/failure.h"
#include "engine/handler.h"
#include "engine/run_group.h"
#include "engine/run_retry.h"
#include "engine/signal.h"
#include "engine/validate.h"
#include "engine/workflow_task.h"

/* A client gives up repeating a request after about 10 s; several lie between. The count bounds the
 * table's memory to about 5 MB. */
#define RECENT_US    (60 * US_PER_S)
#define RECENT_COUNT 16384

struct recent_start {
    int64_t closed_us;
    char run_id[UUID_TEXT_SIZE];
    UT_hash_handle hh; /* iterates oldest first */
    char key[];        /* request id, '\n', workflow id */
};

/* --- recent starts -----------------------------------------------------------------------------
 */

static size_t recent_key(char key[2 * LIMIT_ID_LENGTH + 2], const char *request_id,
                         const char *workflow_id)
{
    return (size_t)snprintf(key, 2 * LIMIT_ID_LENGTH + 2, "%s\n%s", request_id, workflow_id);
}

static void forget(struct core *core, struct recent_start *recent)
{
    HASH_DEL(core->recent_starts, recent);
    free(recent);
}

void start_remember(struct core *core, const struct run *run)
{
    struct recent_start *recent = core->recent_starts;
    while (recent != NULL && (recent->closed_us + RECENT_US < core->now_us ||
                              HASH_COUNT(core->recent_starts) >= RECENT_COUNT)) {
        forget(core, recent);
        recent = core->recent_starts;
    }
    if (*text_or_empty(run->request_id) == '\0')
        return;
    char key[2 * LIMIT_ID_LENGTH + 2];
    size_t length = recent_key(key, run->request_id, run->workflow_id);
    HASH_FIND(hh, core->recent_starts, key, length, recent);
    if (recent != NULL)
        forget(core, recent);
    recent = malloc(sizeof *recent + length + 1);
    ASSERT(recent != NULL);
    recent->closed_us = core->now_us;
    memcpy(recent->run_id, run->run_id, sizeof recent->run_id);
    memcpy(recent->key, key, length + 1);
    HASH_ADD_KEYPTR(hh, core->recent_starts, recent->key, length, recent);
}

void start_forget_all(struct core *core)
{
    while (core->recent_starts != NULL)
        forget(core, core->recent_starts);
}

static const struct recent_start *find_recent(const struct core *core, const char *request_id,
                                              const char *workflow_id)
{
    char key[2 * LIMIT_ID_LENGTH + 2];
    size_t length = recent_key(key, request_id, workflow_id);
    struct recent_start *recent;
    HASH_FIND(hh, core->recent_starts, key, length, recent);
    return recent;
}

/* --- checking ----------------------------------------------------------------------------------
 */

static int check_concurrency(const Api__StartWorkflowExecutionRequest *body, struct error *err)
{
    if (*text_or_empty(body->concurrency_key) == '\0')
        return 0;
    if (body->concurrency_limit < 1)
        return error_set(err, ERR_INVALID, "concurrency limit is below 1");
    return validate_id("concurrency key", body->concurrency_key, err);
}

/* arena: for what is made on the way. */
static int check_start(const Api__StartWorkflowExecutionRequest *body, struct arena *arena,
                       struct error *err)
{
    int rc = validate_id("workflow id", body->workflow_id, err);
    if (rc == 0)
        rc = validate_id("workflow type",
                         body->workflow_type != NULL ? body->workflow_type->name : NULL, err);
    if (rc == 0)
        rc = validate_task_queue(body->task_queue, err);
    if (rc == 0)
        rc = validate_text("identity", body->identity, err);
    if (rc == 0)
        rc = validate_text("request id", body->request_id, err);
    if (rc == 0)
        rc = validate_duration("execution timeout", body->workflow_execution_timeout, err);
    if (rc == 0)
        rc = validate_duration("run timeout", body->workflow_run_timeout, err);
    if (rc == 0)
        rc = validate_duration("task timeout", body->workflow_task_timeout, err);
    if (rc == 0)
        rc = validate_duration("start delay", body->workflow_start_delay, err);
    if (rc == 0)
        rc = validate_size("input", body->input, LIMIT_PAYLOAD_SIZE, err);
    if (rc == 0)
        rc = validate_priority(body->priority, err);
    if (rc == 0)
        rc = validate_size("start request", body, VALIDATE_EVENT_SIZE, err);
    if (rc == 0)
        rc = check_concurrency(body, err);
    if (rc == 0 && body->retry_policy != NULL) {
        Api__RetryPolicy *filled;
        rc = retry_policy_fill(body->retry_policy, arena, &filled, err);
    }
    if (rc < 0)
        return rc;
    if (*text_or_empty(body->cron_schedule) != '\0')
        return error_set(err, ERR_UNSUPPORTED, "cron schedules are not supported yet");
    return 0;
}

/* --- making a run ------------------------------------------------------------------------------
 */

void run_deadline_arm(struct core *core, struct run *run)
{
    int64_t at_us = INT64_MAX;
    if (run->run_timeout_us > 0) /* counts from its first workflow task */
        at_us = run->start_us + run->start_delay_us + run->run_timeout_us;
    if (run->expiration_us > 0 && run->expiration_us < at_us)
        at_us = run->expiration_us;
    timer_queue_set(&core->timers, &run->deadline, at_us);
}

struct run *run_open(struct core *core, const char *workflow_id, const char *run_id,
                     const char *request_id, const char *concurrency_key)
{
    struct run *run = run_create(core->next_run_key++, workflow_id, run_id);
    run->was_opened = true;
    core_run_add(core, run);
    Engine__RunOpened opened = ENGINE__RUN_OPENED__INIT;
    opened.request_id = request_id;
    opened.concurrency_key = concurrency_key;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_RUN_OPENED;
    record.run_opened = &opened;
    run_record(core, run, &record);
    return run;
}

void run_begin(struct core *core, struct run *run)
{
    run_deadline_arm(core, run);
    run_group_join(core, run);
}

static void record_started(struct core *core, struct run *run,
                           const Api__StartWorkflowExecutionRequest *body)
{
    struct arena *arena = &run->arena;
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_EXECUTION_STARTED);
    event->user_metadata = message_copy(arena, body->user_metadata);
    Api__WorkflowExecutionStartedEventAttributes *attributes =
        event->workflow_execution_started_event_attributes;
    int64_t execution_us = duration_us(body->workflow_execution_timeout);
    int64_t run_us = duration_us(body->workflow_run_timeout);
    int64_t task_us = duration_us(body->workflow_task_timeout);
    if (execution_us > 0 && (run_us == 0 || run_us > execution_us))
        run_us = execution_us;
    attributes->workflow_id = run->workflow_id;
    attributes->workflow_type = message_copy(arena, body->workflow_type);
    attributes->task_queue = message_new(arena, &api__task_queue__descriptor);
    attributes->task_queue->name = text_copy(arena, body->task_queue->name);
    attributes->task_queue->has_kind = true;
    attributes->task_queue->kind = TASK_QUEUE_KIND_NORMAL;
    attributes->input = message_copy(arena, body->input);
    attributes->workflow_execution_timeout = duration_new(arena, execution_us);
    attributes->workflow_run_timeout = duration_new(arena, run_us);
    attributes->workflow_task_timeout =
        duration_new(arena, task_us > 0 ? task_us : core->config.workflow_task_timeout_us);
    if (execution_us > 0)
        attributes->workflow_execution_expiration_time =
            timestamp_new(arena, core->now_us + execution_us);
    attributes->original_execution_run_id = run->run_id;
    attributes->first_execution_run_id = run->run_id;
    attributes->identity = text_copy(arena, body->identity);
    attributes->has_attempt = true;
    attributes->attempt = 1;
    attributes->first_workflow_task_backoff = message_copy(arena, body->workflow_start_delay);
    if (body->retry_policy != NULL) {
        int rc = retry_policy_fill(body->retry_policy, arena, &attributes->retry_policy, NULL);
        ASSERT(rc == 0); /* it was checked */
    }
    attributes->memo = message_copy(arena, body->memo);
    attributes->search_attributes = message_copy(arena, body->search_attributes);
    attributes->header = message_copy(arena, body->header);
    attributes->priority = message_copy(arena, body->priority);
    run_event(core, run, event);
}

static struct run *create(struct core *core, const Api__StartWorkflowExecutionRequest *body)
{
    char run_id[UUID_TEXT_SIZE];
    core_uuid(core, run_id);
    const char *key = *text_or_empty(body->concurrency_key) != '\0' ? body->concurrency_key : NULL;
    struct run *run = run_open(core, body->workflow_id, run_id, body->request_id, key);
    record_started(core, run, body);
    run_begin(core, run);
    return run;
}

void run_first_task(struct core *core, struct run *run)
{
    if (run->start_delay_us > 0)
        workflow_task_arm(core, run);
    else
        workflow_task_need(core, run);
}

/* --- the rules of workflow ids ------------------------------------------------------------------
 */

enum decision {
    DECISION_CREATE,
    DECISION_REPLACE, /* end the open run, then create */
    DECISION_USE,
    DECISION_REFUSE,
    DECISION_LOOK_UP,
    DECISION_DONE, /* an error has been replied */
};

struct found {
    const char *run_id; /* of the run to use or to refuse for */
    const char *request_id;
    Api__WorkflowExecutionStatus status;
    bool same_request;
};

static bool may_reuse(Api__WorkflowIdReusePolicy policy, Api__WorkflowExecutionStatus status)
{
    switch (policy) {
    case WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE:
        return false;
    case WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY:
        return status != WORKFLOW_EXECUTION_STATUS_COMPLETED &&
               status != WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW;
    default:
        return true;
    }
}

static bool is_same_request(const struct run *run, const char *request_id)
{
    return *request_id != '\0' && strcmp(text_or_empty(run->request_id), request_id) == 0;
}

static enum decision decide_open(const Api__StartWorkflowExecutionRequest *body)
{
    if (body->workflow_id_conflict_policy == WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
        return DECISION_USE;
    if (body->workflow_id_conflict_policy != WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING &&
        body->workflow_id_reuse_policy != WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING)
        return DECISION_REFUSE;
    return DECISION_REPLACE;
}

static enum decision decide_closed(const struct run *run,
                                   const Api__StartWorkflowExecutionRequest *body)
{
    return may_reuse(body->workflow_id_reuse_policy, run->status) ? DECISION_CREATE
                                                                  : DECISION_REFUSE;
}

static bool needs_store(const struct core *core, const Api__StartWorkflowExecutionRequest *body)
{
    bool clients_repeat = core->recovered_us != 0 &&
                          core->now_us < core->recovered_us + RECENT_US &&
                          *text_or_empty(body->request_id) != '\0';
    return clients_repeat ||
           body->workflow_id_reuse_policy == WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE ||
           body->workflow_id_reuse_policy == WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY;
}

static void found_set(struct found *found, const struct run *run, const char *request_id)
{
    *found = (struct found){.run_id = run->run_id,
                            .request_id = run->request_id,
                            .status = run->status,
                            .same_request = is_same_request(run, request_id)};
}

/* What a start meets, and what is to be done; DECISION_USE and DECISION_REFUSE set *found. */
static enum decision decide(struct core *core, const struct core_request *request,
                            const Api__StartWorkflowExecutionRequest *body, struct found *found)
{
    const char *request_id = text_or_empty(body->request_id);
    const Api__WorkflowExecution execution = {.workflow_id = body->workflow_id};
    struct run *run = core_run_find(core, &execution);
    const struct recent_start *recent = find_recent(core, request_id, body->workflow_id);
    if (run == NULL && recent == NULL && needs_store(core, body)) {
        if (request->lookup == NULL)
            return DECISION_LOOK_UP;
        if (request->lookup->found && (run = core_run_read_back(core, request)) == NULL)
            return DECISION_DONE;
    }
    if (run != NULL) {
        found_set(found, run, request_id);
        if (found->same_request)
            return DECISION_USE;
    }
    if (recent != NULL) { /* a repeated request changes nothing, whatever was started since */
        *found = (struct found){.run_id = recent->run_id, .same_request = true};
        return DECISION_USE;
    }
    if (run == NULL)
        return DECISION_CREATE;
    return run_is_open(run) ? decide_open(body) : decide_closed(run, body);
}

static void refuse(struct core *core, const struct core_request *request, const struct found *found,
                   const char *workflow_id)
{
    Api__WorkflowExecutionAlreadyStartedFailure detail =
        API__WORKFLOW_EXECUTION_ALREADY_STARTED_FAILURE__INIT;
    detail.start_request_id = found->request_id;
    detail.run_id = found->run_id;
    detail.first_execution_run_id = found->run_id;
    reply_error_detail(core, request, ERR_EXISTS, "WorkflowExecutionAlreadyStartedFailure", &detail,
                       "workflow execution %s: workflow id %.200s, run id %s",
                       found->status == WORKFLOW_EXECUTION_STATUS_RUNNING
                           ? "is already running"
                           : "was started before and its id may not be used again",
                       workflow_id, found->run_id);
}

/* --- making room --------------------------------------------------------------------------------
 */

/* Before a run is made: its group must have room, not counting the run that it replaces, which then
 * ends. False after replying that there is none. */
static bool make_room(struct core *core, const struct core_request *request,
                      const Api__StartWorkflowExecutionRequest *body, enum decision decision)
{
    const Api__WorkflowExecution execution = {.workflow_id = body->workflow_id};
    struct run *replaced = decision == DECISION_REPLACE ? core_run_find(core, &execution) : NULL;
    const char *key = text_or_empty(body->concurrency_key);
    if (*key != '\0' && run_group_size(core, key, replaced) >= body->concurrency_limit) {
        struct buffer ids = {0};
        run_group_list(core, key, replaced, &ids);
        reply_error(core, request, ERR_LIMIT, "%d of at most %d runs of \"%.128s\" are open: %s",
                    run_group_size(core, key, replaced), body->concurrency_limit, key,
                    buffer_text(&ids));
        buffer_fini(&ids);
        return false;
    }
    if (replaced != NULL)
        run_terminate(core, replaced, "terminated by a new start of the same workflow id", NULL,
                      body->identity);
    return true;
}

/* --- methods -----------------------------------------------------------------------------------
 */

static void reply_started(struct core *core, const struct core_request *request, const char *run_id,
                          bool started, Api__WorkflowExecutionStatus status)
{
    struct arena *arena = &core->outbox->arena;
    Api__StartWorkflowExecutionResponse *response =
        message_new(arena, &api__start_workflow_execution_response__descriptor);
    response->run_id = text_copy(arena, run_id);
    response->first_execution_run_id = response->run_id;
    response->has_started = true;
    response->started = started;
    response->has_status = status != 0;
    response->status = status;
    reply_send(core, request, response);
}

enum core_result handle_start(struct core *core, const struct core_request *request,
                              struct core_need *need)
{
    const Api__StartWorkflowExecutionRequest *body =
        (const Api__StartWorkflowExecutionRequest *)request->body;
    struct error err;
    int rc = check_start(body, &core->outbox->arena, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    struct found found = {0};
    enum decision decision = decide(core, request, body, &found);
    switch (decision) {
    case DECISION_LOOK_UP:
        core_need_fill(need, body->workflow_id, NULL, true);
        return CORE_NEEDS_RUN;
    case DECISION_REFUSE:
        refuse(core, request, &found, body->workflow_id);
        return CORE_HANDLED;
    case DECISION_USE:
        reply_started(core, request, found.run_id, found.same_request, found.status);
        return CORE_HANDLED;
    case DECISION_DONE:
        return CORE_HANDLED;
    case DECISION_CREATE:
    case DECISION_REPLACE:
        break;
    }
    if (!make_room(core, request, body, decision))
        return CORE_HANDLED;
    struct run *run = create(core, body);
    run_first_task(core, run);
    reply_started(core, request, run->run_id, true, run->status);
    return CORE_HANDLED;
}

/* The start half of the request, as a start request of its own. */
static Api__StartWorkflowExecutionRequest
start_half(const Api__SignalWithStartWorkflowExecutionRequest *body)
{
    Api__StartWorkflowExecutionRequest start = API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    start.namespace_ = body->namespace_;
    start.workflow_id = body->workflow_id;
    start.workflow_type = body->workflow_type;
    start.task_queue = body->task_queue;
    start.input = body->input;
    start.workflow_execution_timeout = body->workflow_execution_timeout;
    start.workflow_run_timeout = body->workflow_run_timeout;
    start.workflow_task_timeout = body->workflow_task_timeout;
    start.identity = body->identity;
    start.request_id = body->request_id;
    start.workflow_id_reuse_policy = body->workflow_id_reuse_policy;
    start.workflow_id_conflict_policy =
        body->workflow_id_conflict_policy != WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED
            ? body->workflow_id_conflict_policy
            : WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING;
    start.retry_policy = body->retry_policy;
    start.cron_schedule = body->cron_schedule;
    start.memo = body->memo;
    start.search_attributes = body->search_attributes;
    start.header = body->header;
    start.workflow_start_delay = body->workflow_start_delay;
    start.user_metadata = body->user_metadata;
    start.priority = body->priority;
    return start;
}

enum core_result handle_signal_with_start(struct core *core, const struct core_request *request,
                                          struct core_need *need)
{
    const Api__SignalWithStartWorkflowExecutionRequest *body =
        (const Api__SignalWithStartWorkflowExecutionRequest *)request->body;
    Api__StartWorkflowExecutionRequest start = start_half(body);
    struct signal signal = {.name = body->signal_name,
                            .input = body->signal_input,
                            .identity = body->identity,
                            .request_id = body->request_id,
                            .header = body->header};
    struct error err;
    int rc = check_start(&start, &core->outbox->arena, &err);
    if (rc == 0)
        rc = signal_check(&signal, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    struct found found = {0};
    enum decision decision = decide(core, request, &start, &found);
    if (decision == DECISION_LOOK_UP) {
        core_need_fill(need, body->workflow_id, NULL, true);
        return CORE_NEEDS_RUN;
    }
    if (decision == DECISION_DONE)
        return CORE_HANDLED;
    if (decision == DECISION_REFUSE) {
        refuse(core, request, &found, body->workflow_id);
        return CORE_HANDLED;
    }
    bool creates = decision == DECISION_CREATE || decision == DECISION_REPLACE;
    if (creates && !make_room(core, request, &start, decision))
        return CORE_HANDLED;
    struct arena *arena = &core->outbox->arena;
    Api__SignalWithStartWorkflowExecutionResponse *response =
        message_new(arena, &api__signal_with_start_workflow_execution_response__descriptor);
    response->has_started = true;
    response->started = creates || found.same_request;
    if (creates) {
        struct run *run = create(core, &start);
        found.run_id = run->run_id;
        signal_record(core, run, &signal);
        run_first_task(core, run);
    } else if (found.status == WORKFLOW_EXECUTION_STATUS_RUNNING) {
        const Api__WorkflowExecution execution = {.workflow_id = body->workflow_id};
        rc = signal_run(core, core_run_find(core, &execution), &signal, &err);
    }
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    response->run_id = response->first_execution_run_id = text_copy(arena, found.run_id);
    reply_send(core, request, response);
    return CORE_HANDLED;
}

/* --- ends from outside --------------------------------------------------------------------------
 */

void run_timed_out(struct core *core, struct run *run)
{
    workflow_task_force_close(core, run, NULL);
    Api__Failure *failure = failure_timeout(&run->arena, TIMEOUT_TYPE_START_TO_CLOSE, NULL);
    failure->message = "workflow timeout";
    struct run_retry retry;
    run_retry_decide(core, run, failure, &retry);
    if (run->expiration_us > 0 && run->expiration_us <= core->now_us)
        retry = (struct run_retry){.state = RETRY_STATE_TIMEOUT};
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT);
    Api__WorkflowExecutionTimedOutEventAttributes *attributes =
        event->workflow_execution_timed_out_event_attributes;
    attributes->has_retry_state = true;
    attributes->retry_state = retry.state;
    attributes->new_execution_run_id = run_retry_id(&retry, &run->arena);
    run_close(core, run, event);
    run_retry_begin(core, run, &retry);
}

void run_terminate(struct core *core, struct run *run, const char *reason,
                   const Api__Payloads *details, const char *identity)
{
    workflow_task_force_close(core, run, identity);
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED);
    Api__WorkflowExecutionTerminatedEventAttributes *attributes =
        event->workflow_execution_terminated_event_attributes;
    attributes->reason = text_copy(&run->arena, reason);
    attributes->details = message_copy(&run->arena, details);
    attributes->identity = text_copy(&run->arena, identity);
    run_close(core, run, event);
}
