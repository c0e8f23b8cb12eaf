/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare_and_infer: one text is checked and cleaned on the CPU queue and labelled on the GPU
 * queue.
 *
 * Input: a JSON string, or {"text", "model": "NAME" or "NAME@VERSION"}; without a model the GPU
 * group's own labels it. Result: {"input": cleaned text, "label": ..., "score": ...}.
 * A text that validation refuses fails the run at once; a device or worker that fails is tried
 * again as the policies below say. Cancellation ends it at the step under way.
 */
#include <argosy/workflow.h>

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

static int cpu_step(struct argosy_workflow *workflow, const char *activity,
                    const struct argosy_payload *input, struct argosy_payload *ret_result,
                    struct argosy_error *err)
{
    return argosy_activity_execute(workflow,
                                   &(struct argosy_activity_options){
                                       .type = activity,
                                       .task_queue = FLEET_QUEUE_CPU,
                                       .input = {input, 1},
                                       .start_to_close_timeout_ms = 30000,
                                       .retry_policy = cpu_retry,
                                   },
                                   ret_result, err);
}

int prepare_and_infer(struct argosy_workflow *workflow, void *user_data,
                      struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_payload valid, clean;
    int code =
        cpu_step(workflow, ACTIVITY_VALIDATE_INPUT, argosy_workflow_input(workflow), &valid, err);
    if (code != 0)
        return code;
    code = cpu_step(workflow, ACTIVITY_PREPROCESS, &valid, &clean, err);
    if (code != 0)
        return code;
    return argosy_activity_execute(workflow,
                                   &(struct argosy_activity_options){
                                       .type = ACTIVITY_RUN_INFERENCE,
                                       .task_queue = FLEET_QUEUE_GPU,
                                       .input = {&clean, 1},
                                       .start_to_close_timeout_ms = 120000,
                                       .schedule_to_start_timeout_ms = INTERACTIVE_WAIT_MS,
                                       .heartbeat_timeout_ms = 30000,
                                       .retry_policy = gpu_retry,
                                   },
                                   ret_result, err);
}
