/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_workflow_task: any history that decodes gives workflow code a task that is answered, or an
 * error. The input is a byte and an encoded History, which is worked on as a whole and then in two
 * parts, cut where the byte says, as a sticky worker gets it. The code uses every kind of
 * command, so that a history which fits it (the corpus holds some) goes all the way.
 */
#include "api/codec.h"
#include "common/assert.h"
#include "common/buffer.h"
#include "common/limits.h"
#include "sdk/workflow_task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_signal(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                      void *user_data)
{
    (void)workflow;
    *(size_t *)user_data += input->count;
}

static int on_query(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                    void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    (void)user_data;
    if (input->count > 0)
        *ret_answer = input->items[0];
    return argosy_workflow_is_canceled(workflow)
               ? argosy_error_set(err, ARGOSY_ERR_CANCELED, "canceled")
               : 0;
}

static bool has_signal(void *user_data)
{
    return *(const size_t *)user_data > 0;
}

/* Two activities and a timer at once, then a signal with a timeout, then one more activity. */
static int work(struct argosy_workflow *workflow, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    size_t *signals = argosy_workflow_alloc(workflow, sizeof *signals);
    *signals = 0;
    argosy_signal_handle(workflow, "count", on_signal, signals);
    argosy_query_handle(workflow, "echo", on_query, NULL);
    struct argosy_activity_options options = {
        .type = "a", .input = argosy_workflow_inputs(workflow), .start_to_close_timeout_ms = 1000};
    struct argosy_future *futures[3] = {argosy_activity_start(workflow, &options)};
    options.cancellation_type = ARGOSY_CANCEL_WAIT;
    futures[1] = argosy_activity_start(workflow, &options);
    futures[2] = argosy_timer_start(workflow, 1000);
    size_t first;
    int code = argosy_await_any(futures, 3, &first, err);
    if (code == 0)
        code = argosy_await(futures[first], ret_result, err);
    for (size_t i = 0; i < 3; i++)
        argosy_future_cancel(futures[i]);
    if (code == 0)
        code = argosy_condition_wait(workflow, has_signal, signals, 1000, err);
    argosy_workflow_shield(workflow, true);
    int last_code = argosy_activity_execute(workflow, &options, ret_result, err);
    return code < 0 ? code : last_code;
}

static struct workflow_runner runner_make(const struct argosy_registry *registry)
{
    return (struct workflow_runner){
        .config = {.registry = registry,
                   .pool = coroutine_pool_create((size_t)64 * 1024, 4),
                   .name_space = "default"},
        .cache = {.capacity = 2},
        .identity = "fuzz",
        .sticky_queue = "sticky",
    };
}

/* Works on events [from, to) as a task or, where they do not end with a task's start, a query. */
static void work_on(struct workflow_runner *runner, const Api__History *history, size_t from,
                    size_t to, struct arena *arena)
{
    Api__PollWorkflowTaskQueueResponse task = API__POLL_WORKFLOW_TASK_QUEUE_RESPONSE__INIT;
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    Api__WorkflowQuery query = API__WORKFLOW_QUERY__INIT;
    Api__History part = API__HISTORY__INIT;
    execution.workflow_id = "w";
    execution.run_id = "r";
    query.query_type = "echo";
    part.n_events = to - from;
    part.events = part.n_events == 0 ? NULL : history->events + from;
    task.has_task_token = 1;
    task.task_token = (ProtobufCBinaryData){1, (uint8_t *)"t"};
    task.workflow_execution = &execution;
    task.history = &part;
    if (to == 0 || history->events[to - 1]->event_type != EVENT_TYPE_WORKFLOW_TASK_STARTED)
        task.query = &query;
    struct workflow_answer answer;
    struct error err = {0};
    if (workflow_task_work(runner, &task, NULL, 0, arena, &answer, &err) < 0) {
        ASSERT(err.code < 0 && err.text[0] != '\0');
        return;
    }
    if (answer.request != NULL) {
        struct buffer bytes = {0};
        codec_encode(answer.request, &bytes, NULL);
        buffer_fini(&bytes);
    }
    workflow_answer_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena arena;
    arena_init(&arena, LIMIT_DECODED_SIZE);
    ProtobufCMessage *message;
    if (codec_decode(&api__history__descriptor, data + 1, size - 1, &arena, &message, NULL) == 0) {
        const Api__History *history = (const Api__History *)message;
        struct argosy_registry *registry = argosy_registry_create();
        argosy_registry_add_workflow(registry, "Work", work, NULL, NULL);
        struct workflow_runner runner = runner_make(registry);
        size_t cut = data[0] < history->n_events ? data[0] : history->n_events;
        work_on(&runner, history, 0, history->n_events, &arena);
        run_cache_drop(&runner.cache, "r");
        work_on(&runner, history, 0, cut, &arena);
        work_on(&runner, history, cut, history->n_events, &arena);
        run_cache_fini(&runner.cache);
        coroutine_pool_destroy(runner.config.pool);
        argosy_registry_destroy(registry);
    }
    arena_fini(&arena);
    return 0;
}
