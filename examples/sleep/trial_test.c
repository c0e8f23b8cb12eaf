/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial_test: how a workflow that waits for a month is tested: a real engine as a child whose time
 * skips (include/argosy/test_env.h), a worker with the plug-in on a thread, and a client.
 *
 *     ./trial_test ./sleep.so        prints what happened on which day; 0 when all was as it should
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <argosy/argosy.h>

#define QUEUE  "trials"
#define DAY_MS INT64_C(86400000)

static int fail(const char *what, const struct argosy_error *err)
{
    fprintf(stderr, "trial_test: %s: %s\n", what, err->text);
    return 1;
}

static void *run_worker(void *argument)
{
    struct argosy_error err = {0};
    if (argosy_worker_run(argument, &err) != 0)
        fail("worker", &err);
    return NULL;
}

static int64_t days_since(struct argosy_test_env *env, int64_t begin_us)
{
    int64_t now_us = begin_us;
    argosy_test_env_now(env, &now_us, NULL);
    return (now_us - begin_us) / (DAY_MS * 1000);
}

/* How many activities of the run have completed. */
static int completed_count(struct argosy_client *client, struct argosy_arena *arena)
{
    const char *at;
    int count = 0;
    if (argosy_client_history(client, "trial-ada", NULL, arena, &at, NULL) != 0)
        return -1;
    while ((at = strstr(at, "EVENT_TYPE_ACTIVITY_TASK_COMPLETED")) != NULL) {
        at++;
        count++;
    }
    return count;
}

static int try_it(struct argosy_test_env *env, struct argosy_client *client,
                  struct argosy_arena *arena)
{
    struct argosy_error err = {0};
    struct argosy_payload result;
    char run_id[ARGOSY_RUN_ID_SIZE];
    int64_t begin_us;
    if (argosy_test_env_now(env, &begin_us, &err) != 0 ||
        argosy_client_start(
            client,
            &(struct argosy_start_options){
                .workflow_id = "trial-ada",
                .workflow_type = "TrialWorkflow",
                .task_queue = QUEUE,
                .input = ARGOSY_PAYLOADS(argosy_payload_json("{\"user\":\"ada\",\"days\":30}"))},
            run_id, &err) != 0)
        return fail("start", &err);
    /* Day 22: nothing yet. Day 24: reminded. */
    if (argosy_test_env_sleep(env, 22 * DAY_MS, &err) != 0)
        return fail("sleep", &err);
    int before = completed_count(client, arena);
    printf("day %lld: %d mails\n", (long long)days_since(env, begin_us), before);
    if (argosy_test_env_sleep(env, 2 * DAY_MS, &err) != 0)
        return fail("sleep", &err);
    int after = completed_count(client, arena);
    printf("day %lld: %d mails\n", (long long)days_since(env, begin_us), after);
    /* Whoever waits for the result lets time skip to the end. */
    if (argosy_client_result(client, "trial-ada", NULL, 60000, arena, &result, &err) != 0)
        return fail("result", &err);
    const char *text = argosy_payload_text(&result, arena);
    printf("day %lld: %d mails, result %s\n", (long long)days_since(env, begin_us),
           completed_count(client, arena), text);
    bool is_right = before == 0 && after == 1 && completed_count(client, arena) == 2 &&
                    strcmp(text, "{\"days\":30}") == 0 && days_since(env, begin_us) == 30;
    return is_right ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct argosy_error err = {0};
    struct argosy_test_env *env;
    struct argosy_client *client;
    struct argosy_worker *worker;
    struct argosy_registry *registry = argosy_registry_create();
    struct argosy_arena *arena = argosy_arena_create();
    if (argosy_registry_load_plugin(registry, argc > 1 ? argv[1] : "./sleep.so", &err) != 0)
        return fail("plug-in", &err);
    if (argosy_test_env_start_skipping(&env, &err) != 0)
        return fail("engine", &err);
    struct argosy_connection_options connection = {.endpoint = argosy_test_env_endpoint(env)};
    if (argosy_client_connect(&connection, &client, &err) != 0)
        return fail("client", &err);
    struct argosy_worker_options options = {.connection = connection,
                                            .queues = &(struct argosy_worker_queue){.name = QUEUE},
                                            .queue_count = 1};
    if (argosy_worker_create(&options, registry, &worker, &err) != 0)
        return fail("worker", &err);
    pthread_t thread;
    pthread_create(&thread, NULL, run_worker, worker);
    int status = try_it(env, client, arena);
    argosy_worker_stop(worker, 1000);
    pthread_join(thread, NULL);
    argosy_worker_destroy(worker);
    argosy_client_close(client);
    argosy_test_env_stop(env);
    argosy_arena_destroy(arena);
    argosy_registry_destroy(registry);
    return status;
}
