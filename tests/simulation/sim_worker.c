/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_worker: a worker process that runs workflow tasks and activities.
 *
 * A workflow is a plan, a word whose letters are its steps, one after the other:
 *     a  an activity            p  two activities at once      t  a timer
 *     f  an activity that fails a few times                    m  an activity that may run once
 *     c  an activity and a timer: the timer cancels the activity, or the other way round
 * The worker keeps what it knows of a run in a cache (sticky), and says so when a history does not
 * continue it. Step s has items named by its letter, s and a number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "engine/message.h"
#include "tests/simulation/sim.h"

#define ITEMS_MAX 4

struct item {
    char name[16];
    bool is_timer, cancel_requested;
    int64_t event_id; /* that opened it */
};

/* What a worker knows of a run, by the events it has seen. */
struct cache {
    char run_id[64];
    const char *plan;
    int64_t last_event_id;
    int steps; /* begun */
    struct item items[ITEMS_MAX];
    int open;
    bool cancel_requested;
    bool timer_fired; /* in this step */
    UT_hash_handle hh;
};

struct task {
    struct sim_worker *worker;
    uint64_t incarnation;
    ProtobufCBinaryData token;
    const char *run_id, *activity_id;
    int32_t attempt;
    bool dropped; /* the engine says somebody else has it */
    struct task *prev, *next;
};

struct sim_worker {
    struct sim_actor actor;
    int index;
    const char *sticky_queue, *instance_id;
    struct cache *caches;
    struct task *tasks; /* activities held */
};

static void *new_message(struct sim *sim, const ProtobufCMessageDescriptor *descriptor)
{
    return sim_message(sim, descriptor);
}

/* --- what events say
 * ------------------------------------------------------------------------------------ */

static void item_open(struct sim *sim, struct cache *cache, const char *name, bool is_timer,
                      int64_t event_id)
{
    SIM_CHECK(sim, cache->open < ITEMS_MAX, "too many items in run %s", cache->run_id);
    struct item *item = &cache->items[cache->open++];
    *item = (struct item){.is_timer = is_timer, .event_id = event_id};
    snprintf(item->name, sizeof item->name, "%s", name);
    int step = atoi(name + 1);
    if (step > cache->steps) {
        cache->steps = step;
        cache->timer_fired = false;
    }
}

static struct item *item_find(struct cache *cache, int64_t event_id)
{
    for (int i = 0; i < cache->open; i++) {
        if (cache->items[i].event_id == event_id)
            return &cache->items[i];
    }
    return NULL;
}

static void item_close(struct sim *sim, struct cache *cache, int64_t event_id)
{
    struct item *item = item_find(cache, event_id);
    SIM_CHECK(sim, item != NULL, "event closes what is not open: %d in run %s", (int)event_id,
              cache->run_id);
    *item = cache->items[--cache->open];
}

static void see(struct sim *sim, struct cache *cache, const Api__HistoryEvent *event)
{
    SIM_CHECK(sim, event->event_id == cache->last_event_id + 1, "gap before event %d of run %s",
              (int)event->event_id, cache->run_id);
    cache->last_event_id = event->event_id;
    switch (event->event_type) {
    case EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: {
        const Api__Payload *input =
            event->workflow_execution_started_event_attributes->input->payloads[0];
        cache->plan = sim_text(sim, "%.*s", (int)input->data.len, (const char *)input->data.data);
        break;
    }
    case EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        item_open(sim, cache, event->activity_task_scheduled_event_attributes->activity_id, false,
                  event->event_id);
        break;
    case EVENT_TYPE_TIMER_STARTED:
        item_open(sim, cache, event->timer_started_event_attributes->timer_id, true,
                  event->event_id);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        item_close(sim, cache, event->activity_task_completed_event_attributes->scheduled_event_id);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_FAILED:
        item_close(sim, cache, event->activity_task_failed_event_attributes->scheduled_event_id);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        item_close(sim, cache, event->activity_task_timed_out_event_attributes->scheduled_event_id);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        item_close(sim, cache, event->activity_task_canceled_event_attributes->scheduled_event_id);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED: {
        struct item *item = item_find(
            cache, event->activity_task_cancel_requested_event_attributes->scheduled_event_id);
        SIM_CHECK(sim, item != NULL, "cancel of what is not open");
        item->cancel_requested = true;
        break;
    }
    case EVENT_TYPE_TIMER_FIRED:
        item_close(sim, cache, event->timer_fired_event_attributes->started_event_id);
        cache->timer_fired = true;
        break;
    case EVENT_TYPE_TIMER_CANCELED:
        item_close(sim, cache, event->timer_canceled_event_attributes->started_event_id);
        break;
    case EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
        cache->cancel_requested = true;
        break;
    default:
        break;
    }
}

/* --- what to do next
 * ------------------------------------------------------------------------------------- */

struct decision {
    struct sim *sim;
    Api__Command **commands;
    size_t count;
};

static Api__Command *add_command(struct decision *decision, Api__CommandType type)
{
    Api__Command *command = new_message(decision->sim, &api__command__descriptor);
    command->has_command_type = true;
    command->command_type = type;
    decision->commands[decision->count++] = command;
    return command;
}

static void add_activity(struct decision *decision, const char *name)
{
    struct sim *sim = decision->sim;
    Api__Command *command = add_command(decision, COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    Api__ScheduleActivityTaskCommandAttributes *attributes =
        new_message(sim, &api__schedule_activity_task_command_attributes__descriptor);
    command->attributes_case = API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    command->schedule_activity_task_command_attributes = attributes;
    attributes->activity_id = name;
    attributes->activity_type = new_message(sim, &api__activity_type__descriptor);
    attributes->activity_type->name = "Work";
    attributes->task_queue = new_message(sim, &api__task_queue__descriptor);
    attributes->task_queue->name = "aq";
    attributes->input = sim_payloads(sim, name);
    attributes->start_to_close_timeout = duration_new(&sim->arena, 10 * SIM_S);
    attributes->heartbeat_timeout = duration_new(&sim->arena, 4 * SIM_S);
    if (name[0] == 'f')
        attributes->schedule_to_close_timeout = duration_new(&sim->arena, 60 * SIM_S);
    attributes->retry_policy = new_message(sim, &api__retry_policy__descriptor);
    attributes->retry_policy->initial_interval = duration_new(&sim->arena, 200 * SIM_MS);
    attributes->retry_policy->has_maximum_attempts = true;
    attributes->retry_policy->maximum_attempts = name[0] == 'm' ? 1 : 0;
}

static void add_timer(struct decision *decision, const char *name)
{
    struct sim *sim = decision->sim;
    Api__Command *command = add_command(decision, COMMAND_TYPE_START_TIMER);
    command->attributes_case = API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES;
    command->start_timer_command_attributes =
        new_message(sim, &api__start_timer_command_attributes__descriptor);
    command->start_timer_command_attributes->timer_id = name;
    command->start_timer_command_attributes->start_to_fire_timeout =
        duration_new(&sim->arena, sim_between(sim, SIM_MS, 2 * SIM_S));
}

static void add_cancel(struct decision *decision, const struct item *item)
{
    struct sim *sim = decision->sim;
    if (item->is_timer) {
        Api__Command *command = add_command(decision, COMMAND_TYPE_CANCEL_TIMER);
        command->attributes_case = API__COMMAND__ATTRIBUTES_CANCEL_TIMER_COMMAND_ATTRIBUTES;
        command->cancel_timer_command_attributes =
            new_message(sim, &api__cancel_timer_command_attributes__descriptor);
        command->cancel_timer_command_attributes->timer_id = sim_text(sim, "%s", item->name);
        return;
    }
    Api__Command *command = add_command(decision, COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK);
    command->attributes_case =
        API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    Api__RequestCancelActivityTaskCommandAttributes *attributes =
        new_message(sim, &api__request_cancel_activity_task_command_attributes__descriptor);
    attributes->has_scheduled_event_id = true;
    attributes->scheduled_event_id = item->event_id;
    command->request_cancel_activity_task_command_attributes = attributes;
}

static void add_end(struct decision *decision, const struct cache *cache)
{
    struct sim *sim = decision->sim;
    if (cache->cancel_requested) {
        Api__Command *command = add_command(decision, COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION);
        command->attributes_case =
            API__COMMAND__ATTRIBUTES_CANCEL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
        command->cancel_workflow_execution_command_attributes =
            new_message(sim, &api__cancel_workflow_execution_command_attributes__descriptor);
        return;
    }
    Api__Command *command = add_command(decision, COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    command->attributes_case =
        API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->complete_workflow_execution_command_attributes =
        new_message(sim, &api__complete_workflow_execution_command_attributes__descriptor);
    command->complete_workflow_execution_command_attributes->result =
        sim_payloads(sim, cache->plan);
}

static void decide(struct decision *decision, const struct cache *cache)
{
    struct sim *sim = decision->sim;
    if (cache->open > 0) {
        /* The first of a pair in step "c" ends the other: a timer at once, an activity later. */
        const struct item *item = &cache->items[0];
        bool is_pair = cache->plan[cache->steps - 1] == 'c' && cache->open == 1;
        if (is_pair && !item->cancel_requested)
            add_cancel(decision, item);
        if (!is_pair || !item->is_timer)
            return;
    }
    if (cache->steps == (int)strlen(cache->plan) || cache->cancel_requested) {
        add_end(decision, cache);
        return;
    }
    char letter = cache->plan[cache->steps];
    int step = cache->steps + 1;
    if (letter == 't' || letter == 'c')
        add_timer(decision, sim_text(sim, "t%d", step));
    if (letter != 't')
        add_activity(decision, sim_text(sim, "%c%d", letter, step));
    if (letter == 'p')
        add_activity(decision, sim_text(sim, "q%d", step));
}

/* --- workflow tasks
 * ----------------------------------------------------------------------------------------- */

static void ignore(struct sim *sim, struct sim_actor *actor, void *context, int status,
                   const ProtobufCMessage *body)
{
    (void)actor, (void)context;
    /* Stale tokens are NOT_FOUND; a task that came too early is INVALID_ARGUMENT. */
    SIM_CHECK(sim, status == 0 || status == 5 || status == 3, "report of a worker: %s",
              ((const Api__ErrorReply *)body)->message);
}

struct workflow_work {
    struct sim_worker *worker;
    uint64_t incarnation;
    const Api__PollWorkflowTaskQueueResponse *task;
};

static struct cache *cache_get(struct sim *sim, struct sim_worker *worker, const char *run_id)
{
    struct cache *cache;
    HASH_FIND_STR(worker->caches, run_id, cache);
    if (cache == NULL) {
        cache = sim_alloc(sim, sizeof *cache);
        snprintf(cache->run_id, sizeof cache->run_id, "%s", run_id);
        HASH_ADD_STR(worker->caches, run_id, cache);
    }
    return cache;
}

static void cache_forget(struct cache *cache)
{
    cache->last_event_id = 0;
    cache->steps = cache->open = 0;
    cache->cancel_requested = cache->timer_fired = false;
}

/* Brings the cache up to date; false when the history does not continue it. */
static bool catch_up(struct sim *sim, struct cache *cache, const Api__History *history)
{
    if (history->n_events > 0 && history->events[0]->event_id == 1)
        cache_forget(cache);
    if (history->n_events > 0 && history->events[0]->event_id != cache->last_event_id + 1)
        return false;
    for (size_t i = 0; i < history->n_events; i++)
        see(sim, cache, history->events[i]);
    return true;
}

static void fail_task(struct sim *sim, struct sim_worker *worker, ProtobufCBinaryData token)
{
    Api__RespondWorkflowTaskFailedRequest *request =
        new_message(sim, &api__respond_workflow_task_failed_request__descriptor);
    request->namespace_ = "default";
    request->has_task_token = true;
    request->task_token = token;
    request->has_cause = true;
    request->cause = WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE;
    sim_call(sim, &worker->actor, METHOD_RESPOND_WORKFLOW_TASK_FAILED, request, true, ignore, NULL);
}

static void answer_query(struct sim *sim, struct sim_worker *worker,
                         const Api__PollWorkflowTaskQueueResponse *task, struct cache *cache)
{
    Api__RespondQueryTaskCompletedRequest *request =
        new_message(sim, &api__respond_query_task_completed_request__descriptor);
    request->namespace_ = "default";
    request->has_task_token = true;
    request->task_token = task->task_token;
    request->has_completed_type = true;
    request->completed_type = QUERY_RESULT_TYPE_ANSWERED;
    request->query_result = sim_payloads(sim, sim_text(sim, "%d", cache->steps));
    sim_call(sim, &worker->actor, METHOD_RESPOND_QUERY_TASK_COMPLETED, request, true, ignore, NULL);
}

static void complete_task(struct sim *sim, struct sim_worker *worker,
                          const Api__PollWorkflowTaskQueueResponse *task, struct cache *cache)
{
    Api__RespondWorkflowTaskCompletedRequest *request =
        new_message(sim, &api__respond_workflow_task_completed_request__descriptor);
    request->namespace_ = "default";
    request->has_task_token = true;
    request->task_token = task->task_token;
    request->identity = worker->instance_id;
    Api__Command *commands[4];
    struct decision decision = {.sim = sim, .commands = commands};
    decide(&decision, cache);
    request->n_commands = decision.count;
    request->commands = memory_copy(&sim->arena, commands, decision.count * sizeof commands[0]);
    request->sticky_attributes = new_message(sim, &api__sticky_execution_attributes__descriptor);
    request->sticky_attributes->worker_task_queue = new_message(sim, &api__task_queue__descriptor);
    request->sticky_attributes->worker_task_queue->name = worker->sticky_queue;
    request->sticky_attributes->schedule_to_start_timeout = duration_new(&sim->arena, 5 * SIM_S);
    request->n_query_results = task->n_queries;
    request->query_results =
        sim_alloc(sim, (task->n_queries + 1) * sizeof request->query_results[0]);
    for (size_t i = 0; i < task->n_queries; i++) {
        request->query_results[i] = new_message(
            sim, &api__respond_workflow_task_completed_request__query_results_entry__descriptor);
        request->query_results[i]->key = task->queries[i]->key;
        request->query_results[i]->value =
            new_message(sim, &api__workflow_query_result__descriptor);
        request->query_results[i]->value->has_result_type = true;
        request->query_results[i]->value->result_type = QUERY_RESULT_TYPE_ANSWERED;
    }
    sim_call(sim, &worker->actor, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, request, true, ignore,
             NULL);
}

static void do_workflow_task(struct sim *sim, void *arg, uint64_t value)
{
    (void)value;
    struct workflow_work *work = arg;
    struct sim_worker *worker = work->worker;
    const Api__PollWorkflowTaskQueueResponse *task = work->task;
    if (worker->actor.incarnation != work->incarnation)
        return;
    struct cache *cache = cache_get(sim, worker, task->workflow_execution->run_id);
    bool is_whole = task->history->n_events > 0 && task->history->events[0]->event_id == 1;
    if (task->query != NULL && !is_whole) {
        answer_query(sim, worker, task, cache);
        return;
    }
    SIM_CHECK(sim, task->next_page_token.len == 0, "histories here fit one page");
    bool is_known = catch_up(sim, cache, task->history);
    if (task->query != NULL) {
        answer_query(sim, worker, task, cache);
    } else if (!is_known) {
        cache_forget(cache);
        fail_task(sim, worker, task->task_token);
    } else {
        SIM_CHECK(sim, cache->last_event_id == task->started_event_id,
                  "a workflow task does not end with its started event");
        complete_task(sim, worker, task, cache);
    }
}

/* --- activities
 * ---------------------------------------------------------------------------------------------- */

static void worker_die(struct sim *sim, struct sim_worker *worker);
static void do_activity(struct sim *sim, void *arg, uint64_t value);

static void task_end(struct task *task)
{
    if (!task->dropped)
        DL_DELETE(task->worker->tasks, task);
    task->dropped = true;
}

static void completed_answered(struct sim *sim, struct sim_actor *actor, void *context, int status,
                               const ProtobufCMessage *body)
{
    (void)actor, (void)body;
    struct task *task = context;
    SIM_CHECK(sim, status == 0 || status == 5, "completion of %s: status %d", task->activity_id,
              status);
    if (status == 0)
        sim_ledger_completed(sim, task->run_id, task->activity_id);
}

static void complete_activity(struct sim *sim, struct task *task)
{
    Api__RespondActivityTaskCompletedRequest *request =
        new_message(sim, &api__respond_activity_task_completed_request__descriptor);
    request->namespace_ = "default";
    request->has_task_token = true;
    request->task_token = task->token;
    request->result = sim_payloads(sim, task->activity_id);
    request->identity = task->worker->instance_id;
    task_end(task);
    sim_call(sim, &task->worker->actor, METHOD_RESPOND_ACTIVITY_TASK_COMPLETED, request, true,
             completed_answered, task);
}

static void fail_activity(struct sim *sim, struct task *task)
{
    Api__RespondActivityTaskFailedRequest *request =
        new_message(sim, &api__respond_activity_task_failed_request__descriptor);
    request->namespace_ = "default";
    request->has_task_token = true;
    request->task_token = task->token;
    request->failure = new_message(sim, &api__failure__descriptor);
    request->failure->message = "it did not work";
    task_end(task);
    sim_call(sim, &task->worker->actor, METHOD_RESPOND_ACTIVITY_TASK_FAILED, request, true, ignore,
             NULL);
}

static void cancel_activity(struct sim *sim, struct task *task)
{
    Api__RespondActivityTaskCanceledRequest *request =
        new_message(sim, &api__respond_activity_task_canceled_request__descriptor);
    request->namespace_ = "default";
    request->has_task_token = true;
    request->task_token = task->token;
    task_end(task);
    sim_call(sim, &task->worker->actor, METHOD_RESPOND_ACTIVITY_TASK_CANCELED, request, true,
             ignore, NULL);
}

static void release_activity(struct sim *sim, struct task *task)
{
    Api__ReleaseTaskRequest *request = new_message(sim, &api__release_task_request__descriptor);
    request->has_task_token = true;
    request->task_token = task->token;
    task_end(task);
    sim_call(sim, &task->worker->actor, METHOD_RELEASE_TASK, request, true, ignore, NULL);
}

static void heartbeat_answered(struct sim *sim, struct sim_actor *actor, void *context, int status,
                               const ProtobufCMessage *body)
{
    struct task *task = context;
    if (task->incarnation != actor->incarnation || task->dropped)
        return;
    if (status != 0) {
        SIM_CHECK(sim, status == 5, "heartbeat: status %d", status);
        task_end(task);
    } else if (((const Api__RecordActivityTaskHeartbeatResponse *)body)->cancel_requested) {
        cancel_activity(sim, task);
    } else {
        sim_at(sim, sim_between(sim, 100, 500 * SIM_MS), do_activity, task, 0);
    }
}

static void beat(struct sim *sim, struct task *task)
{
    Api__RecordActivityTaskHeartbeatRequest *request =
        new_message(sim, &api__record_activity_task_heartbeat_request__descriptor);
    request->namespace_ = "default";
    request->has_task_token = true;
    request->task_token = task->token;
    request->details = sim_payloads(sim, "half");
    sim_call(sim, &task->worker->actor, METHOD_RECORD_ACTIVITY_TASK_HEARTBEAT, request, true,
             heartbeat_answered, task);
}

static void do_activity(struct sim *sim, void *arg, uint64_t value)
{
    (void)value;
    struct task *task = arg;
    struct sim_worker *worker = task->worker;
    if (worker->actor.incarnation != task->incarnation || task->dropped)
        return;
    if (sim_chance(sim, sim->options.death_chance)) {
        worker_die(sim, worker);
        return;
    }
    if (sim_chance(sim, 10))
        return;                                             /* it hangs: a timeout must find it */
    if (sim_chance(sim, 30) && task->activity_id[0] != 'm') /* else it would run twice */
        release_activity(sim, task);
    else if (task->activity_id[0] == 'f' && task->attempt < 3)
        fail_activity(sim, task);
    else if (task->activity_id[0] == 'c' ? sim_random(sim, 1000) < 900
                                         : sim_random(sim, 1000) < 250)
        beat(sim, task);
    else
        complete_activity(sim, task);
}

/* --- the process
 * -----------------------------------------------------------------------------------------------
 */

static void workflow_polled(struct sim *sim, struct sim_actor *actor, void *context, int status,
                            const ProtobufCMessage *body)
{
    (void)context;
    const Api__PollWorkflowTaskQueueResponse *task =
        (const Api__PollWorkflowTaskQueueResponse *)body;
    if (status != 0 || task->task_token.len == 0)
        return;
    struct workflow_work *work = sim_alloc(sim, sizeof *work);
    *work = (struct workflow_work){
        .worker = actor->self, .incarnation = actor->incarnation, .task = task};
    sim_at(sim, sim_between(sim, 20, 3000), do_workflow_task, work, 0);
}

static void activity_polled(struct sim *sim, struct sim_actor *actor, void *context, int status,
                            const ProtobufCMessage *body)
{
    (void)context;
    const Api__PollActivityTaskQueueResponse *message =
        (const Api__PollActivityTaskQueueResponse *)body;
    if (status != 0 || message->task_token.len == 0)
        return;
    struct sim_worker *worker = actor->self;
    sim_ledger_dispatched(sim, message->workflow_execution->run_id, message->activity_id);
    struct task *task = sim_alloc(sim, sizeof *task);
    *task = (struct task){.worker = worker,
                          .incarnation = actor->incarnation,
                          .token = message->task_token,
                          .run_id = message->workflow_execution->run_id,
                          .activity_id = message->activity_id,
                          .attempt = message->attempt};
    DL_APPEND(worker->tasks, task);
    sim_at(sim, sim_between(sim, 100, 800 * SIM_MS), do_activity, task, 0);
}

static void hello_answered(struct sim *sim, struct sim_actor *actor, void *context, int status,
                           const ProtobufCMessage *body)
{
    (void)context;
    SIM_CHECK(sim, status == 0, "hello is refused");
    const Api__HelloResponse *response = (const Api__HelloResponse *)body;
    struct sim_worker *worker = actor->self;
    struct task *task, *next;
    DL_FOREACH_SAFE (worker->tasks, task, next) {
        for (size_t i = 0; i < response->n_lost_task_tokens; i++) {
            ProtobufCBinaryData lost = response->lost_task_tokens[i];
            if (lost.len == task->token.len && memcmp(lost.data, task->token.data, lost.len) == 0) {
                task_end(task);
                break;
            }
        }
    }
}

static void poll_workflow(struct sim *sim, struct sim_worker *worker, const char *name,
                          Api__TaskQueueKind kind)
{
    Api__PollWorkflowTaskQueueRequest *request =
        new_message(sim, &api__poll_workflow_task_queue_request__descriptor);
    request->namespace_ = "default";
    request->identity = worker->instance_id;
    request->task_queue = new_message(sim, &api__task_queue__descriptor);
    request->task_queue->name = name;
    request->task_queue->has_kind = true;
    request->task_queue->kind = kind;
    request->has_slots = true;
    request->slots = 4;
    sim_call(sim, &worker->actor, METHOD_POLL_WORKFLOW_TASK_QUEUE, request, false, workflow_polled,
             NULL);
}

static void connected(struct sim *sim, struct sim_actor *actor)
{
    struct sim_worker *worker = actor->self;
    Api__HelloRequest *hello = new_message(sim, &api__hello_request__descriptor);
    hello->identity = hello->instance_id = worker->instance_id;
    hello->node = "node1";
    size_t held = 0;
    struct task *task;
    DL_COUNT(worker->tasks, task, held);
    hello->held_task_tokens = sim_alloc(sim, (held + 1) * sizeof hello->held_task_tokens[0]);
    DL_FOREACH (worker->tasks, task)
        hello->held_task_tokens[hello->n_held_task_tokens++] = task->token;
    sim_call(sim, actor, METHOD_HELLO, hello, false, hello_answered, NULL);
    poll_workflow(sim, worker, "wq", TASK_QUEUE_KIND_NORMAL);
    poll_workflow(sim, worker, worker->sticky_queue, TASK_QUEUE_KIND_STICKY);
    Api__PollActivityTaskQueueRequest *request =
        new_message(sim, &api__poll_activity_task_queue_request__descriptor);
    request->namespace_ = "default";
    request->identity = worker->instance_id;
    request->task_queue = new_message(sim, &api__task_queue__descriptor);
    request->task_queue->name = "aq";
    request->has_slots = true;
    request->slots = 3;
    sim_call(sim, actor, METHOD_POLL_ACTIVITY_TASK_QUEUE, request, false, activity_polled, NULL);
}

static void born(struct sim *sim, struct sim_worker *worker)
{
    worker->instance_id =
        sim_text(sim, "worker-%d-%d", worker->index, (int)worker->actor.incarnation);
    worker->sticky_queue = sim_text(sim, "sticky-%s", worker->instance_id);
    HASH_CLEAR(hh, worker->caches);
    worker->tasks = NULL;
    sim_connect(sim, &worker->actor, sim_between(sim, SIM_MS, 300 * SIM_MS));
}

static void worker_die(struct sim *sim, struct sim_worker *worker)
{
    sim_kill(sim, &worker->actor);
    born(sim, worker);
}

void sim_worker_create(struct sim *sim, int index)
{
    struct sim_worker *worker = sim_alloc(sim, sizeof *worker);
    worker->index = index;
    worker->actor.name = "worker";
    worker->actor.self = worker;
    worker->actor.connected = connected;
    worker->actor.incarnation = 1;
    sim_actor_add(sim, &worker->actor);
    sim->workers = reallocarray(sim->workers, (size_t)index + 1, sizeof(struct sim_worker *));
    ASSERT(sim->workers != NULL);
    sim->workers[index] = worker;
    born(sim, worker);
}

void sim_workers_fini(struct sim *sim)
{
    for (int i = 0; i < sim->options.workers; i++)
        HASH_CLEAR(hh, sim->workers[i]->caches);
}
