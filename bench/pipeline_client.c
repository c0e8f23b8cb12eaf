/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_client: see pipeline_client.h. */
#include "bench/pipeline_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pipeline_message.h"
#include "bench/pipeline_worker.h"
#include "common/clock.h"
#include "queues/connection.h"

/* Long enough for an engine to be killed and started again in between. */
#define START_TIMEOUT_MS 60000
/* The engine answers a waiting request after 20 s at the latest, with or without the event. */
#define WAIT_TIMEOUT_MS 60000

/* One workflow at a time; there are `concurrency` of them. */
struct lane {
    struct client *client;
    size_t number;
    uint64_t started_ns;
    char workflow_id[96];
};

struct client {
    const struct pipeline_client_config *config;
    struct connection *connection;
    struct arena arena; /* for one callback */
    struct lane *lanes;
    uint64_t *latencies_ns;
    size_t started, done;
    struct error *err;
    int code;
};

static void fail(struct lane *lane, const char *reason)
{
    struct client *client = lane->client;
    if (client->code == 0)
        client->code =
            error_set(client->err, ERR_INTERNAL, "workflow %s: %s", lane->workflow_id, reason);
}

static void submit(struct lane *lane, enum method method, const ProtobufCMessage *message,
                   uint32_t timeout_ms, connection_reply_fn *on_reply)
{
    const struct connection_request request = {.message = message,
                                               .method = method,
                                               .timeout_ms = timeout_ms,
                                               .on_reply = on_reply,
                                               .context = lane};
    struct error err = {0};
    if (connection_submit(lane->client->connection, &request, NULL, &err) != 0)
        fail(lane, err.text);
}

static void start_next(struct lane *lane);
static void wait_result(struct lane *lane, const ProtobufCBinaryData *token);

/* Checks a closing event; true when the workflow has ended well. */
static bool check_result(struct lane *lane, const Api__HistoryEvent *event)
{
    if (event->event_type != EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED) {
        fail(lane, "it did not complete");
        return false;
    }
    char expected[PIPELINE_PAYLOAD_SIZE + 1];
    pipeline_payload(PIPELINE_STEPS, lane->workflow_id, expected);
    const char *text = payloads_text(event->workflow_execution_completed_event_attributes->result,
                                     &lane->client->arena);
    if (strcmp(text, expected) != 0) {
        fail(lane, "its result is wrong");
        return false;
    }
    return true;
}

static void on_history(void *context, const struct connection_reply *reply)
{
    struct lane *lane = context;
    struct client *client = lane->client;
    ProtobufCMessage *message;
    struct error err = {0};
    arena_reset(&client->arena);
    if (client->code != 0)
        return;
    if (connection_reply_decode(reply, &client->arena, &message, &err) != 0) {
        fail(lane, err.text);
        return;
    }
    const Api__GetWorkflowExecutionHistoryResponse *page =
        (const Api__GetWorkflowExecutionHistoryResponse *)message;
    if (page->history == NULL || page->history->n_events == 0) {
        wait_result(lane, &page->next_page_token); /* nothing yet: ask again */
        return;
    }
    if (!check_result(lane, page->history->events[page->history->n_events - 1]))
        return;
    client->latencies_ns[client->done++] = clock_monotonic_ns() - lane->started_ns;
    if (client->config->on_result != NULL)
        client->config->on_result(client->config->context, client->done);
    start_next(lane);
}

static void wait_result(struct lane *lane, const ProtobufCBinaryData *token)
{
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    Api__GetWorkflowExecutionHistoryRequest request =
        API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    execution.workflow_id = lane->workflow_id;
    request.namespace_ = "default";
    request.execution = &execution;
    request.has_wait_new_event = true;
    request.wait_new_event = true;
    request.has_history_event_filter_type = true;
    request.history_event_filter_type = HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    request.has_next_page_token = token != NULL && token->len > 0;
    if (request.has_next_page_token)
        request.next_page_token = *token;
    submit(lane, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, &request.base, WAIT_TIMEOUT_MS, on_history);
}

static void on_started(void *context, const struct connection_reply *reply)
{
    struct lane *lane = context;
    ProtobufCMessage *message;
    struct error err = {0};
    arena_reset(&lane->client->arena);
    if (lane->client->code != 0)
        return;
    if (connection_reply_decode(reply, &lane->client->arena, &message, &err) != 0)
        fail(lane, err.text);
    else
        wait_result(lane, NULL);
}

static void start_next(struct lane *lane)
{
    struct client *client = lane->client;
    if (client->started == client->config->count)
        return;
    lane->number = client->started++;
    lane->started_ns = clock_monotonic_ns();
    snprintf(lane->workflow_id, sizeof lane->workflow_id, "%s-%zu", client->config->id_prefix,
             lane->number);
    char input[PIPELINE_PAYLOAD_SIZE + 1];
    pipeline_payload(0, lane->workflow_id, input);
    Api__WorkflowType type = API__WORKFLOW_TYPE__INIT;
    type.name = PIPELINE_WORKFLOW_TYPE;
    Api__StartWorkflowExecutionRequest request = API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = "default";
    request.workflow_id = lane->workflow_id;
    request.workflow_type = &type;
    request.task_queue =
        task_queue_new(&client->arena, client->config->task_queue, TASK_QUEUE_KIND_NORMAL, NULL);
    request.input = payloads_new(&client->arena, input);
    request.request_id = lane->workflow_id; /* one start per id */
    submit(lane, METHOD_START_WORKFLOW_EXECUTION, &request.base, START_TIMEOUT_MS, on_started);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

void pipeline_report_fill(struct pipeline_client_report *ret_report, uint64_t wall_ns,
                          uint64_t *latencies_ns, size_t count)
{
    qsort(latencies_ns, count, sizeof *latencies_ns, compare);
    *ret_report = (struct pipeline_client_report){.wall_ns = wall_ns, .latencies_ns = latencies_ns};
}

uint64_t percentile(const uint64_t *values, size_t count, double share)
{
    size_t index = (size_t)(share * (double)count);
    return count == 0 ? 0 : values[index < count ? index : count - 1];
}

static int run(struct client *client)
{
    const struct pipeline_client_config *config = client->config;
    int code = connection_wait_session(client->connection, START_TIMEOUT_MS, client->err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < config->concurrency; i++) {
        client->lanes[i].client = client;
        start_next(&client->lanes[i]);
    }
    while (code == 0 && client->code == 0 && client->done < config->count)
        code = connection_run(client->connection, -1, -1, NULL, client->err);
    return code != 0 ? code : client->code;
}

int pipeline_client_run(const struct pipeline_client_config *config,
                        struct pipeline_client_report *ret_report, struct error *err)
{
    struct client client = {.config = config, .err = err};
    arena_init(&client.arena, ARENA_NO_LIMIT);
    client.lanes = calloc(config->concurrency, sizeof *client.lanes);
    client.latencies_ns = calloc(config->count, sizeof *client.latencies_ns);
    int code = client.lanes != NULL && client.latencies_ns != NULL
                   ? 0
                   : error_set(err, ERR_MEMORY, "no memory for %zu workflows", config->count);
    const struct connection_config connection = {.address = config->address};
    if (code == 0)
        code = connection_open(&connection, &client.connection, err);
    uint64_t start_ns = clock_monotonic_ns();
    if (code == 0)
        code = run(&client);
    uint64_t wall_ns = clock_monotonic_ns() - start_ns;
    client.code = ERR_CLOSED; /* replies that come with the closing are nobody's */
    connection_close(client.connection);
    free(client.lanes);
    arena_fini(&client.arena);
    if (code != 0) {
        free(client.latencies_ns);
        return code;
    }
    pipeline_report_fill(ret_report, wall_ns, client.latencies_ns, config->count);
    return 0;
}
