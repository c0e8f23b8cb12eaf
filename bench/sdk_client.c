/* SPDX-License-Identifier: Apache-2.0 */
/* sdk_client: see sdk_client.h. */
#include "bench/sdk_client.h"

#include <argosy/argosy.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pipeline_worker.h"
#include "common/clock.h"

/* One workflow at a time; there are `concurrency` of them. */
struct lane {
    struct client *client;
    uint64_t started_ns;
    char workflow_id[96];
};

struct client {
    const struct pipeline_client_config *config;
    struct argosy_client *client;
    struct lane *lanes;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    uint64_t *latencies_ns;
    size_t started, done;
    int code;
    struct error err;
};

/* The lock is held. */
static void fail(struct client *client, const struct lane *lane, const char *reason)
{
    if (client->code == 0)
        client->code =
            error_set(&client->err, ERR_INTERNAL, "workflow %s: %s", lane->workflow_id, reason);
    pthread_cond_signal(&client->changed);
}

static void start_next(struct lane *lane);

static void on_done(void *user_data, int code, const struct argosy_payload *result,
                    const struct argosy_error *err)
{
    struct lane *lane = user_data;
    struct client *client = lane->client;
    char expected[PIPELINE_PAYLOAD_SIZE + 1];
    pipeline_payload(PIPELINE_STEPS, lane->workflow_id, expected);
    pthread_mutex_lock(&client->lock);
    if (code != 0)
        fail(client, lane, err->text);
    else if (result->size != PIPELINE_PAYLOAD_SIZE ||
             memcmp(result->data, expected, PIPELINE_PAYLOAD_SIZE) != 0)
        fail(client, lane, "its result is wrong");
    else
        client->latencies_ns[client->done++] = clock_monotonic_ns() - lane->started_ns;
    if (client->done == client->config->count)
        pthread_cond_signal(&client->changed);
    bool goes_on = client->code == 0;
    pthread_mutex_unlock(&client->lock);
    if (goes_on)
        start_next(lane);
}

static void start_next(struct lane *lane)
{
    struct client *client = lane->client;
    char input[PIPELINE_PAYLOAD_SIZE + 1];
    pthread_mutex_lock(&client->lock);
    size_t number = client->started;
    bool is_last = number == client->config->count;
    client->started += !is_last;
    pthread_mutex_unlock(&client->lock);
    if (is_last)
        return;
    snprintf(lane->workflow_id, sizeof lane->workflow_id, "%s-%zu", client->config->id_prefix,
             number);
    pipeline_payload(0, lane->workflow_id, input);
    lane->started_ns = clock_monotonic_ns();
    const struct argosy_start_options options = {
        .workflow_id = lane->workflow_id,
        .workflow_type = PIPELINE_WORKFLOW_TYPE,
        .task_queue = client->config->task_queue,
        .input = ARGOSY_PAYLOADS(argosy_payload_binary(input, PIPELINE_PAYLOAD_SIZE))};
    struct argosy_error err = {0};
    if (argosy_client_execute_async(client->client, &options, on_done, lane, &err) != 0) {
        pthread_mutex_lock(&client->lock);
        fail(client, lane, err.text);
        pthread_mutex_unlock(&client->lock);
    }
}

/* Starts every lane and waits for the last result. */
static int run(struct client *client)
{
    for (size_t i = 0; i < client->config->concurrency; i++) {
        client->lanes[i].client = client;
        start_next(&client->lanes[i]);
    }
    pthread_mutex_lock(&client->lock);
    while (client->code == 0 && client->done < client->config->count)
        pthread_cond_wait(&client->changed, &client->lock);
    int code = client->code;
    pthread_mutex_unlock(&client->lock);
    return code;
}

int sdk_client_run(const struct pipeline_client_config *config,
                   struct pipeline_client_report *ret_report, struct error *err)
{
    struct argosy_error sdk_err = {0};
    struct client client = {
        .config = config, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    client.lanes = calloc(config->concurrency, sizeof *client.lanes);
    client.latencies_ns = calloc(config->count, sizeof *client.latencies_ns);
    int code = client.lanes != NULL && client.latencies_ns != NULL
                   ? 0
                   : error_set(&client.err, ERR_MEMORY, "no memory for the workflows");
    const struct argosy_connection_options connection = {.endpoint = config->address};
    if (code == 0 && argosy_client_connect(&connection, &client.client, &sdk_err) != 0)
        code = error_set(&client.err, ERR_UNAVAILABLE, "%s", sdk_err.text);
    uint64_t start_ns = clock_monotonic_ns();
    if (code == 0)
        code = run(&client);
    uint64_t wall_ns = clock_monotonic_ns() - start_ns;
    argosy_client_close(client.client);
    free(client.lanes);
    if (code != 0) {
        free(client.latencies_ns);
        *err = client.err;
        return code;
    }
    pipeline_report_fill(ret_report, wall_ns, client.latencies_ns, config->count);
    return 0;
}
