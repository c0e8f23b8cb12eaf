/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_embed: many texts are cleaned on the CPU queue and turned into vectors on the GPU queue.
 *
 * Input: a JSON list of strings. Result: a JSON list of vectors (lists of numbers), one for each
 * text that is not blank, in order; of blank texts alone an empty list, without a GPU step. That
 * step heartbeats what it has done, so another worker goes on there when its own dies. A result is
 * one payload: some 400 vectors of 384 numbers fit.
 */
#include <argosy/workflow.h>
#include <string.h>

#include "common/fleet_config.h"
#include "workflows/shipped.h"

static const struct argosy_retry_policy cpu_retry = {
    .initial_interval_ms = 1000,
    .backoff_coefficient = 2,
    .maximum_attempts = 3,
};

static const struct argosy_retry_policy gpu_retry = {
    .initial_interval_ms = 2000,
    .backoff_coefficient = 2,
    .maximum_attempts = 2,
};

/* preprocess_batch writes compact JSON. */
static bool is_empty_list(const struct argosy_payload *list)
{
    return list->size == 2 && memcmp(list->data, "[]", 2) == 0;
}

int batch_embed(struct argosy_workflow *workflow, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_payload clean;
    int code = argosy_activity_execute(workflow,
                                       &(struct argosy_activity_options){
                                           .type = ACTIVITY_PREPROCESS_BATCH,
                                           .task_queue = FLEET_QUEUE_CPU,
                                           .input = {argosy_workflow_input(workflow), 1},
                                           .start_to_close_timeout_ms = 60000,
                                           .retry_policy = cpu_retry,
                                       },
                                       &clean, err);
    if (code != 0)
        return code;
    if (is_empty_list(&clean)) {
        *ret_result = clean;
        return 0;
    }
    return argosy_activity_execute(workflow,
                                   &(struct argosy_activity_options){
                                       .type = ACTIVITY_COMPUTE_EMBEDDINGS,
                                       .task_queue = FLEET_QUEUE_GPU,
                                       .input = {&clean, 1},
                                       .start_to_close_timeout_ms = 300000,
                                       .schedule_to_start_timeout_ms = INTERACTIVE_WAIT_MS,
                                       .heartbeat_timeout_ms = 30000,
                                       .retry_policy = gpu_retry,
                                   },
                                   ret_result, err);
}
