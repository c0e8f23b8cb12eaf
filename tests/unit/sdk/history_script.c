/* SPDX-License-Identifier: Apache-2.0 */
/* history_script: see history_script.h. */
#include "tests/unit/sdk/history_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "common/buffer.h"
#include "sdk/payload.h"

#define WORKFLOW_TYPE "Scripted"
#define STACK_SIZE    (64 * 1024)

static void on_log(void *context, const struct argosy_log_record *record)
{
    struct script *script = context;
    assert_int_equal(record->level, ARGOSY_LOG_INFO);
    size_t length = strlen(script->log);
    snprintf(script->log + length, sizeof script->log - length, "%s/%s: %s\n",
             record->workflow_type, record->workflow_id, record->text);
}

static struct workflow_runner runner_make(struct script *script)
{
    struct workflow_runner runner = {
        .config = {.registry = script->registry,
                   .pool = coroutine_pool_create(STACK_SIZE, 4),
                   .name_space = "default",
                   .on_log = on_log,
                   .log_context = script},
        .cache = {.capacity = 8},
        .identity = "7@test",
        .sticky_queue = "sticky-7",
    };
    assert_non_null(runner.config.pool);
    return runner;
}

static void runner_fini(struct workflow_runner *runner)
{
    run_cache_fini(&runner->cache);
    coroutine_pool_destroy(runner->config.pool);
}

void script_init(struct script *script, argosy_workflow_function *function, void *user_data)
{
    *script = (struct script){.now_s = SCRIPT_START_S, .queue = "cpu-queue"};
    arena_init(&script->arena, ARENA_NO_LIMIT);
    script->registry = argosy_registry_create();
    assert_int_equal(
        argosy_registry_add_workflow(script->registry, WORKFLOW_TYPE, function, user_data, NULL),
        0);
    script->kept = runner_make(script);
}

void script_fini(struct script *script)
{
    runner_fini(&script->kept);
    argosy_registry_destroy(script->registry);
    arena_fini(&script->arena);
}

/* ---- events ---- */

static void *new_message(struct script *script, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = arena_alloc(&script->arena, descriptor->sizeof_message);
    assert_non_null(message);
    descriptor->message_init(message);
    return message;
}

static Api__HistoryEvent *new_event(struct script *script, Api__EventType type, int attributes_case)
{
    assert_true(script->count < SCRIPT_EVENTS_MAX);
    Api__HistoryEvent *event = new_message(script, &api__history_event__descriptor);
    Api__Timestamp *time = new_message(script, &api__timestamp__descriptor);
    time->has_seconds = 1;
    time->seconds = script->now_s++;
    event->has_event_id = 1;
    event->event_id = (int64_t)script->count + 1;
    event->event_time = time;
    event->has_event_type = 1;
    event->event_type = type;
    event->attributes_case = (Api__HistoryEvent__AttributesCase)attributes_case;
    script->events[script->count++] = event;
    return event;
}

/* Adds an event with attributes of its type, called `attributes` in what follows. */
#define ADD(script, upper, lower, camel)                                                           \
    Api__##camel##EventAttributes *attributes =                                                    \
        new_message(script, &api__##lower##_event_attributes__descriptor);                         \
    Api__HistoryEvent *event = new_event(                                                          \
        script, EVENT_TYPE_##upper, API__HISTORY_EVENT__ATTRIBUTES_##upper##_EVENT_ATTRIBUTES);    \
    event->lower##_event_attributes = attributes

static Api__Payloads *json(struct script *script, const char *text)
{
    if (text == NULL)
        return NULL;
    struct argosy_payload payload = argosy_payload_json(text);
    return payload_message(&payload, &script->arena);
}

int64_t script_started(struct script *script, const char *input)
{
    ADD(script, WORKFLOW_EXECUTION_STARTED, workflow_execution_started, WorkflowExecutionStarted);
    attributes->workflow_type = new_message(script, &api__workflow_type__descriptor);
    attributes->workflow_type->name = WORKFLOW_TYPE;
    attributes->task_queue = new_message(script, &api__task_queue__descriptor);
    attributes->task_queue->name = script->queue;
    attributes->input = json(script, input);
    return event->event_id;
}

int64_t script_task_scheduled(struct script *script)
{
    ADD(script, WORKFLOW_TASK_SCHEDULED, workflow_task_scheduled, WorkflowTaskScheduled);
    return event->event_id;
}

int64_t script_task_started(struct script *script)
{
    ADD(script, WORKFLOW_TASK_STARTED, workflow_task_started, WorkflowTaskStarted);
    script->task_event = event->event_id;
    return event->event_id;
}

int64_t script_task_completed(struct script *script)
{
    ADD(script, WORKFLOW_TASK_COMPLETED, workflow_task_completed, WorkflowTaskCompleted);
    return event->event_id;
}

int64_t script_task_failed(struct script *script)
{
    ADD(script, WORKFLOW_TASK_FAILED, workflow_task_failed, WorkflowTaskFailed);
    return event->event_id;
}

int64_t script_activity_scheduled(struct script *script, const char *id, const char *type)
{
    ADD(script, ACTIVITY_TASK_SCHEDULED, activity_task_scheduled, ActivityTaskScheduled);
    attributes->activity_id = id;
    attributes->activity_type = new_message(script, &api__activity_type__descriptor);
    attributes->activity_type->name = type;
    return event->event_id;
}

/* The started event that is written with an activity's outcome. */
static int64_t activity_started(struct script *script, int64_t scheduled)
{
    ADD(script, ACTIVITY_TASK_STARTED, activity_task_started, ActivityTaskStarted);
    attributes->has_scheduled_event_id = 1;
    attributes->scheduled_event_id = scheduled;
    return event->event_id;
}

#define SET_ACTIVITY(scheduled)                                                                    \
    attributes->has_scheduled_event_id = 1;                                                        \
    attributes->scheduled_event_id = scheduled;                                                    \
    attributes->has_started_event_id = 1;                                                          \
    attributes->started_event_id = started

int64_t script_activity_completed(struct script *script, int64_t scheduled, const char *result)
{
    int64_t started = activity_started(script, scheduled);
    ADD(script, ACTIVITY_TASK_COMPLETED, activity_task_completed, ActivityTaskCompleted);
    SET_ACTIVITY(scheduled);
    attributes->result = json(script, result);
    return event->event_id;
}

int64_t script_activity_failed(struct script *script, int64_t scheduled, const char *type,
                               const char *message, Api__RetryState retry_state)
{
    int64_t started = activity_started(script, scheduled);
    ADD(script, ACTIVITY_TASK_FAILED, activity_task_failed, ActivityTaskFailed);
    SET_ACTIVITY(scheduled);
    Api__Failure *failure = new_message(script, &api__failure__descriptor);
    failure->message = message;
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure->application_failure_info =
        new_message(script, &api__application_failure_info__descriptor);
    failure->application_failure_info->type = type;
    attributes->failure = failure;
    attributes->has_retry_state = 1;
    attributes->retry_state = retry_state;
    return event->event_id;
}

int64_t script_activity_timed_out(struct script *script, int64_t scheduled,
                                  Api__TimeoutType timeout_type)
{
    int64_t started = activity_started(script, scheduled);
    ADD(script, ACTIVITY_TASK_TIMED_OUT, activity_task_timed_out, ActivityTaskTimedOut);
    SET_ACTIVITY(scheduled);
    Api__Failure *failure = new_message(script, &api__failure__descriptor);
    failure->message = "activity StartToClose timeout";
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO;
    failure->timeout_failure_info = new_message(script, &api__timeout_failure_info__descriptor);
    failure->timeout_failure_info->has_timeout_type = 1;
    failure->timeout_failure_info->timeout_type = timeout_type;
    attributes->failure = failure;
    return event->event_id;
}

int64_t script_activity_cancel_requested(struct script *script, int64_t scheduled)
{
    ADD(script, ACTIVITY_TASK_CANCEL_REQUESTED, activity_task_cancel_requested,
        ActivityTaskCancelRequested);
    attributes->has_scheduled_event_id = 1;
    attributes->scheduled_event_id = scheduled;
    return event->event_id;
}

int64_t script_activity_canceled(struct script *script, int64_t scheduled)
{
    int64_t started = activity_started(script, scheduled);
    ADD(script, ACTIVITY_TASK_CANCELED, activity_task_canceled, ActivityTaskCanceled);
    SET_ACTIVITY(scheduled);
    return event->event_id;
}

int64_t script_timer_started(struct script *script, const char *id)
{
    ADD(script, TIMER_STARTED, timer_started, TimerStarted);
    attributes->timer_id = id;
    return event->event_id;
}

int64_t script_timer_fired(struct script *script, const char *id, int64_t started)
{
    ADD(script, TIMER_FIRED, timer_fired, TimerFired);
    attributes->timer_id = id;
    attributes->has_started_event_id = 1;
    attributes->started_event_id = started;
    return event->event_id;
}

int64_t script_timer_canceled(struct script *script, const char *id, int64_t started)
{
    ADD(script, TIMER_CANCELED, timer_canceled, TimerCanceled);
    attributes->timer_id = id;
    attributes->has_started_event_id = 1;
    attributes->started_event_id = started;
    return event->event_id;
}

int64_t script_signaled(struct script *script, const char *name, const char *input)
{
    ADD(script, WORKFLOW_EXECUTION_SIGNALED, workflow_execution_signaled,
        WorkflowExecutionSignaled);
    attributes->signal_name = name;
    attributes->input = json(script, input);
    return event->event_id;
}

int64_t script_cancel_requested(struct script *script)
{
    ADD(script, WORKFLOW_EXECUTION_CANCEL_REQUESTED, workflow_execution_cancel_requested,
        WorkflowExecutionCancelRequested);
    return event->event_id;
}

int64_t script_completed(struct script *script)
{
    ADD(script, WORKFLOW_EXECUTION_COMPLETED, workflow_execution_completed,
        WorkflowExecutionCompleted);
    return event->event_id;
}

void script_open_task(struct script *script)
{
    script_task_scheduled(script);
    script_task_started(script);
}

/* ---- tasks ---- */

struct workflow_answer script_task_by(struct script *script, struct workflow_runner *runner,
                                      size_t first_event, const char *query)
{
    Api__PollWorkflowTaskQueueResponse task = API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    /* An answer borrows it. */
    Api__WorkflowExecution *execution = arena_alloc(&script->arena, sizeof *execution);
    api__workflow_execution__init(execution);
    execution->workflow_id = "script-1";
    execution->run_id = SCRIPT_RUN_ID;
    Api__History history = API__HISTORY__INIT;
    history.n_events = script->count - first_event;
    history.events = script->events + first_event;
    task.has_task_token = 1;
    task.task_token = (ProtobufCBinaryData){5, (uint8_t *)"token"};
    task.workflow_execution = execution;
    task.history = &history;
    task.attempt = 1;
    Api__WorkflowQuery question = API__WORKFLOW_QUERY__INIT;
    question.query_type = query;
    if (query != NULL)
        task.query = &question;
    struct workflow_answer answer;
    struct error err = {0};
    if (workflow_task_work(runner, &task, NULL, 0, &script->arena, &answer, &err) < 0)
        fail_msg("%s", err.text);
    return answer;
}

/* A copy of the answer that needs no run any more. */
static void detach(struct script *script, struct workflow_answer *answer)
{
    if (answer->request != NULL)
        answer->request = codec_copy(answer->request, &script->arena);
    workflow_answer_fini(answer);
}

static void assert_same_request(const ProtobufCMessage *one, const ProtobufCMessage *other)
{
    struct buffer one_bytes = {0};
    struct buffer other_bytes = {0};
    assert_int_equal(codec_encode(one, &one_bytes, NULL), 0);
    assert_int_equal(codec_encode(other, &other_bytes, NULL), 0);
    assert_int_equal(one_bytes.size, other_bytes.size);
    assert_memory_equal(one_bytes.data, other_bytes.data, one_bytes.size);
    buffer_fini(&one_bytes);
    buffer_fini(&other_bytes);
}

struct workflow_answer script_task(struct script *script)
{
    struct workflow_answer kept = script_task_by(script, &script->kept, script->seen, NULL);
    detach(script, &kept);
    script->seen = script->count;
    char log[sizeof script->log];
    memcpy(log, script->log, sizeof log);
    struct workflow_runner fresh = runner_make(script);
    struct workflow_answer replayed = script_task_by(script, &fresh, 0, NULL);
    detach(script, &replayed);
    memcpy(script->log, log, sizeof log);
    runner_fini(&fresh);
    assert_int_equal(kept.method, replayed.method);
    assert_same_request(kept.request, replayed.request);
    return kept;
}

const Api__RespondWorkflowTaskCompletedRequest *script_commands(struct script *script)
{
    struct workflow_answer answer = script_task(script);
    if (answer.method != METHOD_RESPOND_WORKFLOW_TASK_COMPLETED)
        fail_msg("method %d: %s", (int)answer.method, answer.failure.text);
    return (const Api__RespondWorkflowTaskCompletedRequest *)answer.request;
}

const char *script_payload_text(struct script *script, const Api__Payloads *payloads)
{
    assert_non_null(payloads);
    assert_int_equal(payloads->n_payloads, 1);
    const Api__Payload *payload = payloads->payloads[0];
    return arena_strndup(&script->arena, (const char *)payload->data.data, payload->data.len);
}
