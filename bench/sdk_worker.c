/* SPDX-License-Identifier: Apache-2.0 */
/* sdk_worker: see sdk_worker.h. */
#include "bench/sdk_worker.h"

#include <argosy/argosy.h>
#include <stdio.h>
#include <string.h>

#define START_TO_CLOSE_MS 60000

static int run_pipeline(struct argosy_workflow *workflow, void *user_data,
                        struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_payload payload = *argosy_workflow_input(workflow);
    int code = 0;
    for (int i = 0; code == 0 && i < PIPELINE_STEPS; i++)
        code = argosy_activity_execute(
            workflow,
            &(struct argosy_activity_options){.type = PIPELINE_ACTIVITY_TYPE,
                                              .start_to_close_timeout_ms = START_TO_CLOSE_MS,
                                              .input = ARGOSY_PAYLOADS(payload)},
            &payload, err);
    if (code == 0)
        *ret_result = payload;
    return code;
}

/* The step is the text's first digit. */
static int run_step(struct argosy_activity *activity, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    (void)err;
    struct argosy_payload result =
        argosy_payload_copy(argosy_activity_input(activity), argosy_activity_arena(activity));
    if (result.size > 0)
        ((char *)(uintptr_t)result.data)[0]++; /* the copy is ours */
    *ret_result = result;
    return 0;
}

/* What the callbacks need. */
struct running {
    const struct pipeline_worker_config *config;
    struct argosy_worker *worker;
};

static void on_ready(void *user_data)
{
    const struct running *running = user_data;
    if (running->config->ready_fd >= 0)
        dprintf(running->config->ready_fd, "ready\n");
}

static void on_stop(void *user_data)
{
    const struct running *running = user_data;
    argosy_worker_stop(running->worker, 0);
}

static int register_types(struct argosy_registry *registry, struct argosy_error *err)
{
    int code =
        argosy_registry_add_workflow(registry, PIPELINE_WORKFLOW_TYPE, run_pipeline, NULL, err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, PIPELINE_ACTIVITY_TYPE, run_step, NULL, err);
    return code;
}

int sdk_worker_run(const struct pipeline_worker_config *config, struct error *err)
{
    struct argosy_error sdk_err = {0};
    struct running running = {.config = config};
    struct argosy_registry *registry = argosy_registry_create();
    if (registry == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a registry");
    const struct argosy_worker_queue queue = {.name = config->task_queue,
                                              .slots = config->activity_slots};
    const struct argosy_worker_options options = {.connection = {.endpoint = config->address},
                                                  .queues = &queue,
                                                  .queue_count = 1,
                                                  .workflow_slots = config->workflow_slots,
                                                  .user_data = &running,
                                                  .on_ready = on_ready,
                                                  .on_watch = on_stop,
                                                  .watch_fd = config->stop_fd};
    int code = register_types(registry, &sdk_err);
    if (code == 0)
        code = argosy_worker_create(&options, registry, &running.worker, &sdk_err);
    if (code == 0)
        code = argosy_worker_run(running.worker, &sdk_err);
    argosy_worker_destroy(running.worker);
    argosy_registry_destroy(registry);
    return code == 0 ? 0 : error_set(err, ERR_INTERNAL, "%s", sdk_err.text);
}
