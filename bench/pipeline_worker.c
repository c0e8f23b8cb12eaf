/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_worker: see pipeline_worker.h. */
#include "bench/pipeline_worker.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/pipeline_message.h"
#include "common/assert.h"
#include "common/hash.h"
#include "common/uuid.h"
#include "queues/connection.h"

/* A completion is sent again after a lost session until then. */
#define COMPLETION_TIMEOUT_MS 60000

/* Events this long unanswered on the sticky queue go back to the normal one. */
#define STICKY_TIMEOUT_S 10

/* An activity that has run and whose completion is not acknowledged yet. */
struct completion {
    struct worker *worker;
    struct completion *prev, *next;
    char *text; /* NULL for a workflow task's */
    size_t token_size;
    uint8_t token[];
};

struct worker {
    const struct pipeline_worker_config *config;
    struct connection *connection;
    struct completion *completions;
    struct arena arena; /* for one callback */
    char sticky_queue[128];
    bool is_ready_told;
};

void pipeline_payload(int step, const char *workflow_id, char text[PIPELINE_PAYLOAD_SIZE + 1])
{
    int length = snprintf(text, PIPELINE_PAYLOAD_SIZE + 1, "%d %s ", step, workflow_id);
    ASSERT(length > 0 && length <= PIPELINE_PAYLOAD_SIZE);
    memset(text + length, '.', PIPELINE_PAYLOAD_SIZE - (size_t)length);
    text[PIPELINE_PAYLOAD_SIZE] = '\0';
}

static void submit(struct worker *worker, const struct connection_request *request)
{
    struct error err = {0};
    if (connection_submit(worker->connection, request, NULL, &err) != 0)
        fprintf(stderr, "worker: could not send a request: %s\n", err.text);
}

/* --- completions -------------------------------------------------------------------------------
 */

static void on_completed(void *context, const struct connection_reply *reply)
{
    struct completion *completion = context;
    struct worker *worker = completion->worker;
    if (completion->text != NULL && reply->status == 0 && worker->config->on_acknowledged != NULL)
        worker->config->on_acknowledged(worker->config->context, completion->text);
    DL_DELETE(worker->completions, completion);
    free(completion->text);
    free(completion);
}

static void complete(struct worker *worker, enum method method, const ProtobufCMessage *message,
                     const ProtobufCBinaryData *token, const char *text)
{
    struct completion *completion = malloc(sizeof *completion + token->len);
    ASSERT(completion != NULL);
    *completion = (struct completion){
        .worker = worker, .text = text != NULL ? strdup(text) : NULL, .token_size = token->len};
    memcpy(completion->token, token->data, token->len);
    DL_APPEND(worker->completions, completion);
    submit(worker, &(struct connection_request){.message = message,
                                                .method = method,
                                                .timeout_ms = COMPLETION_TIMEOUT_MS,
                                                .on_reply = on_completed,
                                                .context = completion});
}

/* --- tasks -------------------------------------------------------------------------------------
 */

/* What the last event that matters says: the input, or the latest result. */
static const char *latest_text(const Api__History *history, struct arena *arena)
{
    for (size_t i = history != NULL ? history->n_events : 0; i > 0; i--) {
        const Api__HistoryEvent *event = history->events[i - 1];
        if (event->event_type == EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
            return payloads_text(event->activity_task_completed_event_attributes->result, arena);
        if (event->event_type == EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
            return payloads_text(event->workflow_execution_started_event_attributes->input, arena);
    }
    return "";
}

static Api__Command *next_command(struct worker *worker, const char *text)
{
    struct arena *arena = &worker->arena;
    Api__Command *command = message_new(arena, &api__command__descriptor);
    command->has_command_type = true;
    if (atoi(text) == PIPELINE_STEPS) {
        Api__CompleteWorkflowExecutionCommandAttributes *end =
            message_new(arena, &api__complete_workflow_execution_command_attributes__descriptor);
        end->result = payloads_new(arena, text);
        command->command_type = COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION;
        command->attributes_case =
            API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
        command->complete_workflow_execution_command_attributes = end;
        return command;
    }
    Api__ScheduleActivityTaskCommandAttributes *schedule =
        message_new(arena, &api__schedule_activity_task_command_attributes__descriptor);
    Api__ActivityType *type = message_new(arena, &api__activity_type__descriptor);
    type->name = PIPELINE_ACTIVITY_TYPE;
    schedule->activity_id = arena_printf(arena, "%d", atoi(text) + 1);
    schedule->activity_type = type;
    schedule->task_queue =
        task_queue_new(arena, worker->config->task_queue, TASK_QUEUE_KIND_NORMAL, NULL);
    schedule->input = payloads_new(arena, text);
    schedule->start_to_close_timeout = seconds_new(arena, 60);
    command->command_type = COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
    command->attributes_case = API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command->schedule_activity_task_command_attributes = schedule;
    return command;
}

static void on_workflow_task(void *context, const struct connection_reply *reply)
{
    struct worker *worker = context;
    struct arena *arena = &worker->arena;
    ProtobufCMessage *message;
    arena_reset(arena);
    if (connection_reply_decode(reply, arena, &message, NULL) != 0)
        return; /* the poll ended with its session; the next one polls again */
    const Api__PollWorkflowTaskQueueResponse *task =
        (const Api__PollWorkflowTaskQueueResponse *)message;
    Api__Command *command = next_command(worker, latest_text(task->history, arena));
    Api__StickyExecutionAttributes *sticky =
        message_new(arena, &api__sticky_execution_attributes__descriptor);
    sticky->worker_task_queue = task_queue_new(arena, worker->sticky_queue, TASK_QUEUE_KIND_STICKY,
                                               worker->config->task_queue);
    sticky->schedule_to_start_timeout = seconds_new(arena, STICKY_TIMEOUT_S);
    Api__RespondWorkflowTaskCompletedRequest *respond =
        message_new(arena, &api__respond_workflow_task_completed_request__descriptor);
    respond->namespace_ = "default";
    respond->has_task_token = true;
    respond->task_token = task->task_token;
    respond->n_commands = 1;
    respond->commands = &command;
    respond->sticky_attributes = sticky;
    complete(worker, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, &respond->base, &task->task_token,
             NULL);
}

static void on_activity_task(void *context, const struct connection_reply *reply)
{
    struct worker *worker = context;
    struct arena *arena = &worker->arena;
    ProtobufCMessage *message;
    arena_reset(arena);
    if (connection_reply_decode(reply, arena, &message, NULL) != 0)
        return;
    const Api__PollActivityTaskQueueResponse *task =
        (const Api__PollActivityTaskQueueResponse *)message;
    const char *input = payloads_text(task->input, arena);
    if (worker->config->on_run != NULL)
        worker->config->on_run(worker->config->context, input);
    char *result = arena_strdup(arena, input);
    ASSERT(result != NULL);
    if (result[0] != '\0')
        result[0]++; /* the step is one digit */
    Api__RespondActivityTaskCompletedRequest *respond =
        message_new(arena, &api__respond_activity_task_completed_request__descriptor);
    respond->namespace_ = "default";
    respond->has_task_token = true;
    respond->task_token = task->task_token;
    respond->result = payloads_new(arena, result);
    complete(worker, METHOD_RESPOND_ACTIVITY_TASK_COMPLETED, &respond->base, &task->task_token,
             input);
}

/* --- sessions ----------------------------------------------------------------------------------
 */

static void poll_workflow_tasks(struct worker *worker, const char *name, Api__TaskQueueKind kind)
{
    const char *types[] = {PIPELINE_WORKFLOW_TYPE};
    Api__PollWorkflowTaskQueueRequest poll = API__POLL_WORKFLOW_TASK_QUEUE_REQUEST__INIT;
    poll.namespace_ = "default";
    poll.task_queue = task_queue_new(&worker->arena, name, kind, worker->config->task_queue);
    poll.has_slots = true;
    poll.slots = worker->config->workflow_slots;
    poll.n_registered_types = 1;
    poll.registered_types = types;
    submit(worker, &(struct connection_request){.message = &poll.base,
                                                .method = METHOD_POLL_WORKFLOW_TASK_QUEUE,
                                                .on_reply = on_workflow_task,
                                                .context = worker});
}

static void poll_activity_tasks(struct worker *worker)
{
    const char *types[] = {PIPELINE_ACTIVITY_TYPE};
    Api__PollActivityTaskQueueRequest poll = API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    poll.namespace_ = "default";
    poll.task_queue =
        task_queue_new(&worker->arena, worker->config->task_queue, TASK_QUEUE_KIND_NORMAL, NULL);
    poll.has_slots = true;
    poll.slots = worker->config->activity_slots;
    poll.n_registered_types = 1;
    poll.registered_types = types;
    submit(worker, &(struct connection_request){.message = &poll.base,
                                                .method = METHOD_POLL_ACTIVITY_TASK_QUEUE,
                                                .on_reply = on_activity_task,
                                                .context = worker});
}

static void on_session(void *context, const Api__HelloResponse *hello, bool engine_changed)
{
    struct worker *worker = context;
    (void)hello;
    (void)engine_changed;
    arena_reset(&worker->arena);
    if (worker->config->workflow_slots > 0) {
        poll_workflow_tasks(worker, worker->config->task_queue, TASK_QUEUE_KIND_NORMAL);
        poll_workflow_tasks(worker, worker->sticky_queue, TASK_QUEUE_KIND_STICKY);
    }
    if (worker->config->activity_slots > 0)
        poll_activity_tasks(worker);
    if (!worker->is_ready_told && worker->config->ready_fd >= 0)
        dprintf(worker->config->ready_fd, "ready\n");
    worker->is_ready_told = true;
}

/* What has run and is not acknowledged is still held: its completion is on its way. */
static void on_hello(void *context, struct arena *arena, Api__HelloRequest *hello)
{
    struct worker *worker = context;
    struct completion *completion;
    size_t count = 0;
    DL_FOREACH (worker->completions, completion)
        count++;
    hello->held_task_tokens = arena_calloc(arena, count, sizeof *hello->held_task_tokens);
    ASSERT(hello->held_task_tokens != NULL);
    DL_FOREACH (worker->completions, completion)
        hello->held_task_tokens[hello->n_held_task_tokens++] =
            (ProtobufCBinaryData){.data = completion->token, .len = completion->token_size};
}

static void drop_completions(struct worker *worker)
{
    struct completion *completion, *next;
    DL_FOREACH_SAFE (worker->completions, completion, next) {
        DL_DELETE(worker->completions, completion);
        free(completion->text);
        free(completion);
    }
}

int pipeline_worker_run(const struct pipeline_worker_config *config, struct error *err)
{
    struct worker worker = {.config = config};
    char instance[UUID_TEXT_SIZE];
    uuid_create(instance);
    snprintf(worker.sticky_queue, sizeof worker.sticky_queue, "sticky:%s", instance);
    arena_init(&worker.arena, ARENA_NO_LIMIT);
    const struct connection_config connection = {.address = config->address,
                                                 .instance_id = instance,
                                                 .context = &worker,
                                                 .on_hello = on_hello,
                                                 .on_session = on_session};
    int code = connection_open(&connection, &worker.connection, err);
    bool is_stopped = false;
    while (code == 0 && !is_stopped)
        code = connection_run(worker.connection, -1, config->stop_fd, &is_stopped, err);
    connection_close(worker.connection);
    drop_completions(&worker);
    arena_fini(&worker.arena);
    return code;
}
