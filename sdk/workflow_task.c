/* SPDX-License-Identifier: Apache-2.0 */
/* workflow_task: see workflow_task.h. */
#include "sdk/workflow_task.h"

#include <string.h>

#include "sdk/duration.h"
#include "sdk/failure.h"

/* One task on its way through. */
struct work {
    struct workflow_runner *runner;
    const Api__PollWorkflowTaskQueueResponse *task;
    Api__HistoryEvent *const *events;
    size_t event_count;
    bool is_whole;     /* the events begin the history */
    bool is_first;     /* more pages follow */
    bool wants_others; /* the events are good: the other pages are needed */
    struct arena *arena;
    struct argosy_workflow *run;
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_MEMORY, "out of memory");
}

static bool is_query_only(const Api__PollWorkflowTaskQueueResponse *task)
{
    return task->query != NULL;
}

/* ---- finding the run ---- */

/* Takes the cached run when the events go on where it stands; makes a new one for a whole history.
 * work->run stays NULL when more of the history is needed first. */
static int find_run(struct work *work, struct error *err)
{
    struct run_cache *cache = &work->runner->cache;
    const Api__WorkflowExecution *execution = work->task->workflow_execution;
    struct argosy_workflow *run = run_cache_take(cache, execution->run_id);
    if (run != NULL) {
        bool goes_on = work->event_count == 0 ? is_query_only(work->task)
                                              : work->events[0]->event_id == run->last_event_id + 1;
        if (goes_on && work->is_first) {
            run_cache_put(cache, run);
            work->wants_others = true;
            return 0;
        }
        if (goes_on) {
            work->run = run;
            return 0;
        }
        run_destroy(run);
    }
    work->wants_others = work->is_whole && work->is_first;
    if (!work->is_whole || work->is_first)
        return 0;
    return run_create(&work->runner->config, execution->workflow_id, execution->run_id, &work->run,
                      err);
}

/* ---- the answers ---- */

static int answer_with_fetch(struct work *work, struct workflow_answer *answer, struct error *err)
{
    Api__GetWorkflowExecutionHistoryRequest *request = arena_alloc(work->arena, sizeof *request);
    if (request == NULL)
        return out_of_memory(err);
    api__get_workflow_execution_history_request__init(request);
    request->namespace_ = work->runner->config.name_space;
    request->execution = work->task->workflow_execution;
    request->has_next_page_token = work->wants_others;
    if (work->wants_others)
        request->next_page_token = work->task->next_page_token;
    answer->method = METHOD_GET_WORKFLOW_EXECUTION_HISTORY;
    answer->request = &request->base;
    return 0;
}

static Api__WorkflowTaskFailedCause cause_of(int code)
{
    return code == ERR_NONDETERMINISM
               ? WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
               : WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE;
}

/* A failed answer with text; answer_query makes it a good one. */
static int answer_query_result(struct work *work, const char *text, struct workflow_answer *answer,
                               struct error *err)
{
    Api__RespondQueryTaskCompletedRequest *request = arena_alloc(work->arena, sizeof *request);
    if (request == NULL)
        return out_of_memory(err);
    api__respond_query_task_completed_request__init(request);
    request->has_task_token = 1;
    request->task_token = work->task->task_token;
    request->namespace_ = work->runner->config.name_space;
    request->has_completed_type = 1;
    request->completed_type = QUERY_RESULT_TYPE_FAILED;
    request->error_message = text;
    answer->method = METHOD_RESPOND_QUERY_TASK_COMPLETED;
    answer->request = &request->base;
    return 0;
}

/* The code cannot go on. Only a task's first attempt says so: later ones time out, which slows a
 * run that cannot work down instead of spinning on it. */
static int answer_failed(struct work *work, const struct error *reason,
                         struct workflow_answer *answer, struct error *err)
{
    answer->failure = *reason;
    if (is_query_only(work->task)) {
        char *text = arena_strdup(work->arena, reason->text);
        return text == NULL ? out_of_memory(err) : answer_query_result(work, text, answer, err);
    }
    if (work->task->attempt > 1)
        return 0;
    Api__RespondWorkflowTaskFailedRequest *request = arena_alloc(work->arena, sizeof *request);
    struct argosy_error public_reason = {.code = reason->code};
    memcpy(public_reason.text, reason->text, sizeof public_reason.text);
    Api__Failure *failure = failure_of_error(&public_reason, work->arena);
    if (request == NULL || failure == NULL)
        return out_of_memory(err);
    api__respond_workflow_task_failed_request__init(request);
    request->has_task_token = 1;
    request->task_token = work->task->task_token;
    request->has_cause = 1;
    request->cause = cause_of(reason->code);
    request->failure = failure;
    request->identity = work->runner->identity;
    request->namespace_ = work->runner->config.name_space;
    answer->method = METHOD_RESPOND_WORKFLOW_TASK_FAILED;
    answer->request = &request->base;
    return 0;
}

static int answer_query(struct work *work, struct workflow_answer *answer, struct error *err)
{
    Api__WorkflowQueryResult *result = run_query(work->run, work->task->query, work->arena);
    if (result == NULL)
        return out_of_memory(err);
    int code = answer_query_result(work, result->error_message, answer, err);
    if (code < 0)
        return code;
    Api__RespondQueryTaskCompletedRequest *request =
        (Api__RespondQueryTaskCompletedRequest *)answer->request;
    request->completed_type = result->result_type;
    request->query_result = result->answer;
    request->failure = result->failure;
    return 0;
}

/* The results of the queries that came with the task. */
static int fill_queries(struct work *work, Api__RespondWorkflowTaskCompletedRequest *request,
                        struct error *err)
{
    typedef Api__RespondWorkflowTaskCompletedRequest__QueryResultsEntry entry_t;
    size_t count = work->task->n_queries;
    if (count == 0)
        return 0;
    entry_t *entries = arena_calloc(work->arena, count, sizeof *entries);
    request->query_results = arena_calloc(work->arena, count, sizeof(entry_t *));
    if (entries == NULL || request->query_results == NULL)
        return out_of_memory(err);
    for (size_t i = 0; i < count; i++) {
        api__respond_workflow_task_completed_request__query_results_entry__init(&entries[i]);
        entries[i].key = work->task->queries[i]->key;
        entries[i].value = run_query(work->run, work->task->queries[i]->value, work->arena);
        if (entries[i].value == NULL)
            return out_of_memory(err);
        request->query_results[request->n_query_results++] = &entries[i];
    }
    return 0;
}

static int fill_sticky(struct work *work, Api__RespondWorkflowTaskCompletedRequest *request,
                       struct error *err)
{
    Api__StickyExecutionAttributes *sticky = arena_alloc(work->arena, sizeof *sticky);
    Api__TaskQueue *queue = arena_alloc(work->arena, sizeof *queue);
    Api__Duration *timeout = duration_create(STICKY_SCHEDULE_TO_START_MS, work->arena);
    if (sticky == NULL || queue == NULL || timeout == NULL)
        return out_of_memory(err);
    api__task_queue__init(queue);
    queue->name = work->runner->sticky_queue;
    queue->has_kind = 1;
    queue->kind = TASK_QUEUE_KIND_STICKY;
    queue->normal_name = work->run->info.task_queue;
    api__sticky_execution_attributes__init(sticky);
    sticky->worker_task_queue = queue;
    sticky->schedule_to_start_timeout = timeout;
    request->sticky_attributes = sticky;
    return 0;
}

static int answer_completed(struct work *work, struct workflow_answer *answer, struct error *err)
{
    Api__RespondWorkflowTaskCompletedRequest *request = arena_alloc(work->arena, sizeof *request);
    if (request == NULL)
        return out_of_memory(err);
    api__respond_workflow_task_completed_request__init(request);
    request->has_task_token = 1;
    request->task_token = work->task->task_token;
    request->identity = work->runner->identity;
    request->namespace_ = work->runner->config.name_space;
    request->has_return_new_workflow_task = 1;
    request->return_new_workflow_task = work->runner->sticky_queue != NULL;
    request->commands = run_commands(work->run, work->arena, &request->n_commands);
    if (request->commands == NULL)
        return out_of_memory(err);
    int code = fill_queries(work, request, err);
    if (code == 0 && !work->run->is_done && work->runner->sticky_queue != NULL)
        code = fill_sticky(work, request, err);
    answer->method = METHOD_RESPOND_WORKFLOW_TASK_COMPLETED;
    answer->request = &request->base;
    return code;
}

/* ---- codecs ---- */

static int decode_task(const struct work *work, struct error *err)
{
    const struct argosy_codecs *codecs = work->runner->codecs;
    int code = 0;
    for (size_t i = 0; code == 0 && i < work->event_count; i++)
        code = payload_codec_decode(codecs, &work->events[i]->base, work->arena, err);
    if (code == 0 && work->task->query != NULL)
        code = payload_codec_decode(codecs, &work->task->query->base, work->arena, err);
    for (size_t i = 0; code == 0 && i < work->task->n_queries; i++)
        code = payload_codec_decode(codecs, &work->task->queries[i]->base, work->arena, err);
    return code;
}

/* Drops the run, which is good for nothing now, and says why. */
static int fail_run(struct work *work, const struct error *reason, struct workflow_answer *answer,
                    struct error *err)
{
    run_destroy(work->run);
    work->run = NULL;
    *answer = (struct workflow_answer){0};
    return answer_failed(work, reason, answer, err);
}

/* What cannot be encoded does not leave; what the codec says of that does, as it is. */
static int encode_answer(struct work *work, struct workflow_answer *answer, struct error *err)
{
    struct error reason = {0};
    const ProtobufCMessage *encoded;
    if (answer->request == NULL)
        return 0;
    if (payload_codec_encode(work->runner->codecs, answer->request, work->arena, &encoded,
                             &reason) < 0)
        return fail_run(work, &reason, answer, err);
    answer->request = (ProtobufCMessage *)encoded;
    return 0;
}

/* ---- working ---- */

static int apply_and_answer(struct work *work, struct workflow_answer *answer, struct error *err)
{
    struct error reason = {0};
    bool is_task = !is_query_only(work->task);
    if (decode_task(work, &reason) < 0)
        return fail_run(work, &reason, answer, err);
    int code = run_apply(work->run, work->events, work->event_count, is_task, work->arena, &reason);
    if (code < 0)
        code = fail_run(work, &reason, answer, err);
    else
        code = is_task ? answer_completed(work, answer, err) : answer_query(work, answer, err);
    return code == 0 ? encode_answer(work, answer, err) : code;
}

static int check_task(const Api__PollWorkflowTaskQueueResponse *task, struct error *err)
{
    const Api__WorkflowExecution *execution = task->workflow_execution;
    if (execution == NULL || execution->workflow_id == NULL || execution->run_id == NULL)
        return error_set(err, ERR_PROTOCOL, "a workflow task names no run");
    if (task->task_token.len == 0)
        return error_set(err, ERR_PROTOCOL, "a workflow task has no token");
    for (size_t i = 0; i < task->n_queries; i++) {
        if (task->queries[i]->value == NULL)
            return error_set(err, ERR_PROTOCOL, "a workflow task has an empty query");
    }
    return 0;
}

int workflow_task_work(struct workflow_runner *runner,
                       const Api__PollWorkflowTaskQueueResponse *task,
                       Api__HistoryEvent *const *events, size_t event_count, struct arena *arena,
                       struct workflow_answer *ret_answer, struct error *err)
{
    int code = check_task(task, err);
    if (code < 0)
        return code;
    struct work work = {.runner = runner, .task = task, .arena = arena};
    work.events = events;
    work.event_count = event_count;
    if (event_count == 0) {
        work.is_first = task->next_page_token.len > 0;
        work.events = task->history != NULL ? task->history->events : NULL;
        work.event_count = task->history != NULL ? task->history->n_events : 0;
    }
    work.is_whole = work.event_count > 0 && work.events[0]->event_id == 1;
    struct workflow_answer answer = {0};
    code = find_run(&work, err);
    if (code < 0)
        return code;
    code = work.run == NULL ? answer_with_fetch(&work, &answer, err)
                            : apply_and_answer(&work, &answer, err);
    if (work.run != NULL) {
        if (code < 0 || work.run->is_done || runner->sticky_queue == NULL)
            answer.closed_run = work.run;
        else
            run_cache_put(&runner->cache, work.run);
    }
    if (code < 0)
        workflow_answer_fini(&answer);
    else
        *ret_answer = answer;
    return code;
}

void workflow_answer_fini(struct workflow_answer *answer)
{
    run_destroy(answer->closed_run);
    answer->closed_run = NULL;
}
