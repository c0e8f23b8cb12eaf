/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core: the calls of core.h, and the services of core_state.h that belong to no kind of command:
 * the frame of a call, records and their writing, the table of runs, time.
 */
#include <inttypes.h>
#include <string.h>

#include "common/assert.h"
#include "common/time_unit.h"
#include "engine/activity.h"
#include "engine/core_state.h"
#include "engine/handler.h"
#include "engine/history_query.h"
#include "engine/query.h"
#include "engine/run_group.h"
#include "engine/start.h"
#include "engine/timer.h"
#include "engine/workflow_task.h"

struct core_config core_config_default(void)
{
    return (struct core_config){
        .workflow_task_timeout_us = 10 * US_PER_S,
        .long_poll_timeout_us = 60 * US_PER_S,
        .history_poll_timeout_us = 20 * US_PER_S,
        .reclaim_grace_us = 10 * US_PER_S,
        .loss_limit = 3,
    };
}

struct core *core_create(const struct core_config *config)
{
    struct core *core = calloc(1, sizeof *core);
    ASSERT(core != NULL);
    core->config = *config;
    core->reclaim = (struct deadline){.kind = DEADLINE_RECLAIM, .major = INT64_MAX};
    core->next_run_key = 1;
    core->next_minor = 1;
    return core;
}

/* --- the table of runs -------------------------------------------------------------------------
 */

void core_run_add(struct core *core, struct run *run)
{
    struct run *older;
    size_t length = strlen(run->workflow_id);
    HASH_FIND(hh_workflow, core->workflows, run->workflow_id, length, older);
    if (older != NULL)
        HASH_DELETE(hh_workflow, core->workflows, older);
    HASH_ADD_KEYPTR(hh_workflow, core->workflows, run->workflow_id, length, run);
    HASH_ADD_KEYPTR(hh, core->runs, run->run_id, strlen(run->run_id), run);
    core->open_run_count++;
}

static void run_remove(struct core *core, struct run *run)
{
    struct run *newest;
    HASH_FIND(hh_workflow, core->workflows, run->workflow_id, strlen(run->workflow_id), newest);
    if (newest == run)
        HASH_DELETE(hh_workflow, core->workflows, run);
    HASH_DELETE(hh, core->runs, run);
}

struct run *core_run_find(const struct core *core, const Api__WorkflowExecution *execution)
{
    const char *run_id = text_or_empty(execution->run_id);
    const char *workflow_id = text_or_empty(execution->workflow_id);
    struct run *run;
    if (*run_id == '\0') {
        HASH_FIND(hh_workflow, core->workflows, workflow_id, strlen(workflow_id), run);
        return run;
    }
    HASH_FIND(hh, core->runs, run_id, strlen(run_id), run);
    if (run != NULL && *workflow_id != '\0' && strcmp(run->workflow_id, workflow_id) != 0)
        return NULL;
    return run;
}

/* An execution names a workflow by ids of a legal length; replies with an error if not. */
static bool check_execution(struct core *core, const struct core_request *request,
                            const Api__WorkflowExecution *execution)
{
    const char *problem = NULL;
    if (execution == NULL || *text_or_empty(execution->workflow_id) == '\0')
        problem = "workflow id is not set";
    else if (strlen(execution->workflow_id) > LIMIT_ID_LENGTH)
        problem = "workflow id is longer than 1000 bytes";
    else if (strlen(text_or_empty(execution->run_id)) > LIMIT_ID_LENGTH)
        problem = "run id is longer than 1000 bytes";
    if (problem != NULL)
        reply_error(core, request, ERR_INVALID, "%s", problem);
    return problem == NULL;
}

static void reply_run_not_found(struct core *core, const struct core_request *request,
                                const Api__WorkflowExecution *execution, const char *what)
{
    Api__NotFoundFailure detail = API__NOT_FOUND_FAILURE__INIT;
    const char *run_id = text_or_empty(execution->run_id);
    reply_error_detail(core, request, ERR_NOT_FOUND, "NotFoundFailure", &detail,
                       "%s: workflow id %.200s%s%.40s", what, execution->workflow_id,
                       run_id[0] != '\0' ? ", run id " : "", run_id);
}

struct run *core_run_open(struct core *core, const struct core_request *request,
                          const Api__WorkflowExecution *execution)
{
    if (!check_execution(core, request, execution))
        return NULL;
    struct run *run = core_run_find(core, execution);
    if (run != NULL && run_is_open(run))
        return run;
    reply_run_not_found(core, request, execution,
                        run != NULL ? "workflow execution already completed"
                                    : "no open workflow execution");
    return NULL;
}

struct run *core_run_read_back(struct core *core, const struct core_request *request)
{
    const struct core_lookup *lookup = request->lookup;
    struct error err;
    struct run *run = run_create(lookup->run.run_key, lookup->run.workflow_id, lookup->run.run_id);
    if (run_load(run, lookup->records, lookup->record_count, &err) < 0 || run_is_open(run)) {
        reply_error(core, request, ERR_CORRUPT, "stored history of run %s cannot be read",
                    run->run_id);
        run_destroy(run);
        return NULL;
    }
    run->is_guest = true;
    LL_PREPEND2(core->visitor, run, closed_next);
    return run;
}

bool core_run_read(struct core *core, const struct core_request *request,
                   const Api__WorkflowExecution *execution, struct core_need *ret_need,
                   struct run **ret_run)
{
    *ret_run = NULL;
    if (!check_execution(core, request, execution))
        return true;
    *ret_run = core_run_find(core, execution);
    if (*ret_run != NULL)
        return true;
    if (request->lookup == NULL) {
        core_need_fill(ret_need, execution->workflow_id, execution->run_id, true);
        return false;
    }
    if (request->lookup->found)
        *ret_run = core_run_read_back(core, request);
    else
        reply_run_not_found(core, request, execution, "workflow execution not found");
    return true;
}

void core_need_fill(struct core_need *need, const char *workflow_id, const char *run_id,
                    bool with_records)
{
    *need = (struct core_need){.namespace_name = DEFAULT_NAMESPACE, .with_records = with_records};
    strncpy(need->workflow_id, workflow_id, LIMIT_ID_LENGTH);
    strncpy(need->run_id, text_or_empty(run_id), LIMIT_ID_LENGTH);
}

void run_disarm(struct core *core, struct run *run)
{
    struct activity *activity;
    DL_FOREACH (run->activities, activity)
        activity_disarm(core, activity);
    struct timer *timer;
    DL_FOREACH (run->timers, timer)
        timer_queue_cancel(&core->timers, &timer->deadline);
    workflow_task_disarm(core, run);
    timer_queue_cancel(&core->timers, &run->deadline);
}

void run_close(struct core *core, struct run *run, Api__HistoryEvent *event)
{
    run_disarm(core, run);
    run_event(core, run, event);
    run_closed(core, run);
}

void run_closed(struct core *core, struct run *run)
{
    ASSERT(!run_is_open(run));
    run->was_closed = true;
    core->open_run_count--;
    DL_APPEND2(core->closed_runs, run, closed_prev, closed_next);
    run_group_leave(core, run);
    start_remember(core, run);
    history_notify(core, run);
    query_settle(core, run);
}

static void run_arm(struct core *core, struct run *run)
{
    run_deadline_arm(core, run);
    workflow_task_arm(core, run);
    struct activity *activity;
    DL_FOREACH (run->activities, activity) {
        activity_arm(core, activity);
        activity_await_claim(core, activity);
    }
    struct timer *timer;
    DL_FOREACH (run->timers, timer)
        timer_arm(core, timer);
}

/* --- records -----------------------------------------------------------------------------------
 */

static struct write_buffer *write_buffer_take(struct core *core)
{
    struct write_buffer *buffer = core->free_buffers;
    if (buffer != NULL) {
        core->free_buffers = buffer->next;
        buffer->next = NULL;
    } else {
        buffer = calloc(1, sizeof *buffer);
        ASSERT(buffer != NULL);
    }
    return buffer;
}

void run_record(struct core *core, struct run *run, const Engine__Record *record)
{
    if (run->unwritten == NULL) {
        run->unwritten = write_buffer_take(core);
        DL_APPEND2(core->dirty_runs, run, dirty_prev, dirty_next);
    }
    size_t size = record_encode(record, &run->unwritten->bytes);
    struct error err;
    if (run_apply(run, record, size, &err) < 0) {
        fprintf(stderr, "event=record.refused run=%s reason=\"%s\"\n", run->run_id, err.text);
        abort();
    }
}

Api__HistoryEvent *run_event_new(struct core *core, struct run *run, Api__EventType type)
{
    return event_new(&run->arena, type, core->now_us);
}

void run_event(struct core *core, struct run *run, Api__HistoryEvent *event)
{
    Engine__Record record = ENGINE__RECORD__INIT;
    if (event_row_get(event->event_type)->is_buffered &&
        run->workflow_task.state == WORKFLOW_TASK_STARTED) {
        record.kind_case = ENGINE__RECORD__KIND_BUFFERED;
        record.buffered = event;
    } else {
        event->has_event_id = true;
        event->event_id = run_next_event_id(run);
        record.kind_case = ENGINE__RECORD__KIND_EVENT;
        record.event = event;
    }
    run_record(core, run, &record);
}

static void fill_store_run(struct store_run *row, const struct run *run, struct arena *arena)
{
    *row = (struct store_run){
        .run_key = run->run_key,
        .namespace_name = DEFAULT_NAMESPACE,
        .workflow_id = text_copy(arena, run->workflow_id),
        .run_id = text_copy(arena, run->run_id),
        .workflow_type = text_copy(arena, run->workflow_type),
        .task_queue = text_copy(arena, run->task_queue),
        .start_utc_us = run->start_us,
        .close_utc_us = run->close_us,
        .status = run->status,
        .history_length = (int64_t)run->history.count,
    };
}

/* Adds the records of this call to the run's write of the same outbox, if there is one. */
static void write_run(struct core *core, struct run *run)
{
    struct outbox *outbox = core->outbox;
    struct buffer *bytes = &run->unwritten->bytes;
    bool merges = run->write_sequence == outbox->sequence &&
                  run->write_index < outbox->write_count &&
                  outbox->writes[run->write_index].run_key == run->run_key;
    struct store_write write = {.run_key = run->run_key, .opened = run->was_opened};
    size_t before = 0;
    if (merges) {
        write = outbox->writes[run->write_index];
        before = write.records.size;
    }
    uint8_t *data = arena_alloc(&outbox->arena, before + bytes->size);
    ASSERT(data != NULL);
    if (before > 0)
        memcpy(data, write.records.data, before);
    memcpy(data + before, bytes->data, bytes->size);
    write.records = (struct store_blob){.data = data, .size = before + bytes->size};
    write.closed = run->was_closed;
    if (write.opened || write.closed)
        fill_store_run(&write.run, run, &outbox->arena);
    if (merges) {
        outbox->writes[run->write_index] = write;
    } else {
        run->write_sequence = outbox->sequence;
        run->write_index = outbox->write_count;
        outbox_write(outbox, &write);
    }
}

/* A buffer that one large transition made big is not kept. */
#define KEPT_BUFFER_SIZE (64 * LIMIT_KIB)

static void write_runs(struct core *core)
{
    while (core->dirty_runs != NULL) {
        struct run *run = core->dirty_runs;
        DL_DELETE2(core->dirty_runs, run, dirty_prev, dirty_next);
        write_run(core, run);
        struct write_buffer *buffer = run->unwritten;
        run->unwritten = NULL;
        run->was_opened = false;
        buffer_clear(&buffer->bytes);
        if (buffer->bytes.capacity > KEPT_BUFFER_SIZE)
            buffer_fini(&buffer->bytes);
        buffer->next = core->free_buffers;
        core->free_buffers = buffer;
    }
}

/* --- the frame of a call -----------------------------------------------------------------------
 */

static void drop_visitors(struct core *core)
{
    struct run *run = core->visitor, *next;
    core->visitor = NULL;
    for (; run != NULL; run = next) {
        next = run->closed_next;
        if (run->queries == NULL)
            run_destroy(run);
        else
            LL_PREPEND2(core->visitor, run, closed_next);
    }
}

static void call_begin(struct core *core, const struct core_input *input, struct outbox *outbox)
{
    ASSERT(input->now_utc_us >= core->now_us);
    core->now_us = input->now_utc_us;
    memcpy(core->random, input->entropy, sizeof core->random);
    core->outbox = outbox;
    drop_visitors(core);
}

/* Whatever made a history too long: clients, activities, or the workflow itself. */
static void end_oversized_runs(struct core *core)
{
    struct run *run;
    DL_FOREACH2(core->dirty_runs, run, dirty_next)
    {
        size_t count = run->history.count + run->buffered.count;
        size_t size = run->history.size + run->buffered.size;
        if (run_is_open(run) && (count >= LIMIT_HISTORY_EVENTS || size >= LIMIT_HISTORY_SIZE))
            run_terminate(core, run, "history is longer than the limit", NULL, NULL);
    }
}

static void call_end(struct core *core)
{
    end_oversized_runs(core);
    queues_match(core);
    write_runs(core);
    core->outbox = NULL;
    core->request = NULL;
}

/* splitmix64's finisher */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t core_random(struct core *core)
{
    core->random[0] += 0x9e3779b97f4a7c15u;
    return mix(mix(core->random[0]) ^ core->random[1]);
}

void core_uuid(struct core *core, char ret_text[UUID_TEXT_SIZE])
{
    uint64_t bits[2] = {core_random(core), core_random(core)};
    uint8_t bytes[16];
    memcpy(bytes, bits, sizeof bytes);
    uuid_format(bytes, ret_text);
}

static handler *const handlers[] = {
#define HANDLER_ROW(method, suffix) [METHOD_##method] = handle_##suffix,
    HANDLERS(HANDLER_ROW)
#undef HANDLER_ROW
};

/* The request's namespace, for methods that have one. */
static bool check_namespace(struct core *core, const struct core_request *request)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request->body->descriptor, "namespace");
    if (field == NULL)
        return true;
    const char *name;
    memcpy(&name, (const char *)request->body + field->offset, sizeof name);
    name = text_or_empty(name);
    if (strcmp(name, DEFAULT_NAMESPACE) == 0)
        return true;
    if (*name == '\0' && request->method == METHOD_DESCRIBE_NAMESPACE)
        return true; /* it may ask by id */
    Api__NamespaceNotFoundFailure detail = API__NAMESPACE_NOT_FOUND_FAILURE__INIT;
    detail.namespace_ = name;
    if (*name == '\0')
        reply_error(core, request, ERR_INVALID, "namespace is not set");
    else
        reply_error_detail(core, request, ERR_NOT_FOUND, "NamespaceNotFoundFailure", &detail,
                           "namespace %.200s is not found", name);
    return false;
}

enum core_result core_handle(struct core *core, const struct core_input *input,
                             const struct core_request *request, struct core_need *ret_need,
                             struct outbox *outbox)
{
    call_begin(core, input, outbox);
    core->request = request;
    enum core_result result = CORE_HANDLED;
    size_t method = (size_t)request->method;
    if (method >= sizeof handlers / sizeof handlers[0] || handlers[method] == NULL) {
        reply_error(core, request, ERR_UNSUPPORTED, "method %d is not supported", request->method);
    } else if (check_namespace(core, request)) {
        session_get(core, request->session);
        result = handlers[method](core, request, ret_need);
    }
    call_end(core);
    return result;
}

/* --- time --------------------------------------------------------------------------------------
 */

static void fire(struct core *core, struct deadline *deadline)
{
    switch (deadline->kind) {
    case DEADLINE_ACTIVITY:
        activity_due(core, container_of(deadline, struct activity, deadline));
        break;
    case DEADLINE_TIMER:
        timer_due(core, container_of(deadline, struct timer, deadline));
        break;
    case DEADLINE_WORKFLOW_TASK:
        workflow_task_due(core, container_of(deadline, struct run, workflow_task.deadline));
        break;
    case DEADLINE_RUN:
        run_timed_out(core, container_of(deadline, struct run, deadline));
        break;
    case DEADLINE_QUERY:
        query_due(core, container_of(deadline, struct query, deadline));
        break;
    case DEADLINE_PENDING:
        pending_expire(core, container_of(deadline, struct pending, deadline));
        break;
    case DEADLINE_RECLAIM:
        reclaim_end(core);
        break;
    }
}

void core_tick(struct core *core, const struct core_input *input, struct outbox *outbox)
{
    call_begin(core, input, outbox);
    struct deadline *deadline;
    while ((deadline = timer_queue_first(&core->timers)) != NULL &&
           deadline->at_us <= core->now_us) {
        timer_queue_cancel(&core->timers, deadline);
        fire(core, deadline);
    }
    call_end(core);
}

int64_t core_next_tick_utc_us(const struct core *core)
{
    const struct deadline *deadline = timer_queue_first(&core->timers);
    return deadline != NULL ? deadline->at_us : INT64_MAX;
}

void core_session_lost(struct core *core, const struct core_input *input, uint64_t session,
                       const char *reason, struct outbox *outbox)
{
    call_begin(core, input, outbox);
    session_end(core, session, reason);
    call_end(core);
}

void core_durable(struct core *core, uint64_t outbox_sequence)
{
    drop_visitors(core);
    while (core->closed_runs != NULL && core->closed_runs->write_sequence <= outbox_sequence) {
        struct run *run = core->closed_runs;
        DL_DELETE2(core->closed_runs, run, closed_prev, closed_next);
        run_remove(core, run);
        run->is_guest = true;
        LL_PREPEND2(core->visitor, run, closed_next);
    }
    drop_visitors(core);
}

/* --- recovery ----------------------------------------------------------------------------------
 */

int core_recover_run(struct core *core, const struct store_run *row,
                     const struct store_blob *records, size_t record_count, struct error *err)
{
    if (strlen(row->run_id) >= UUID_TEXT_SIZE || strlen(row->workflow_id) > LIMIT_ID_LENGTH)
        return error_set(err, ERR_CORRUPT, "run %" PRId64 ": ids are too long", row->run_key);
    struct run *run = run_create(row->run_key, row->workflow_id, row->run_id);
    int rc = run_load(run, records, record_count, err);
    const Api__WorkflowExecution by_workflow = {.workflow_id = row->workflow_id};
    const Api__WorkflowExecution by_run = {.run_id = row->run_id};
    if (rc == 0 && !run_is_open(run))
        rc = error_set(err, ERR_CORRUPT, "run %s: its log is closed", run->run_id);
    if (rc == 0 &&
        (core_run_find(core, &by_workflow) != NULL || core_run_find(core, &by_run) != NULL))
        rc = error_set(err, ERR_CORRUPT, "run %s: another run has its id open", run->run_id);
    if (rc < 0) {
        run_destroy(run);
        return rc;
    }
    core_run_add(core, run);
    run_group_join(core, run);
    return 0;
}

void core_recovered(struct core *core, const struct core_input *input, int64_t next_run_key,
                    struct outbox *outbox)
{
    call_begin(core, input, outbox);
    core->next_run_key = next_run_key;
    core->recovered_us = core->now_us;
    timer_queue_set(&core->timers, &core->reclaim, core->now_us + core->config.reclaim_grace_us);
    for (struct run *run = core->runs; run != NULL; run = run->hh.next)
        run_arm(core, run);
    queue_settings_recovered(core);
    call_end(core);
}

void core_reconfigure_queues(struct core *core, const struct core_input *input,
                             const struct core_queue_limit *limits, size_t count,
                             struct outbox *outbox)
{
    call_begin(core, input, outbox);
    queue_settings_reconfigure(core, limits, count);
    call_end(core);
}

void core_destroy(struct core *core)
{
    if (core == NULL)
        return;
    struct outbox outbox;
    outbox_init(&outbox);
    core->outbox = &outbox;
    while (core->sessions != NULL)
        session_drop(core, core->sessions);
    struct run *run, *next;
    HASH_ITER (hh, core->runs, run, next) {
        run_disarm(core, run);
        run_remove(core, run);
        run_destroy(run);
    }
    drop_visitors(core);
    timer_queue_cancel(&core->timers, &core->reclaim);
    queues_destroy(core);
    queue_settings_destroy(core);
    start_forget_all(core);
    run_groups_destroy(core);
    while (core->free_buffers != NULL) {
        struct write_buffer *buffer = core->free_buffers;
        core->free_buffers = buffer->next;
        buffer_fini(&buffer->bytes);
        free(buffer);
    }
    timer_queue_fini(&core->timers);
    outbox_fini(&outbox);
    free(core);
}
