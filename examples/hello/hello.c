/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello: a first workflow of one's own. HelloWorkflow gets a name, lets the activity make_greeting
 * greet it, waits a second and returns the greeting. Workflow code only orchestrates: it may be run
 * again from its history at any time; the work is in the activity.
 *
 *     argosy workflow execute --type HelloWorkflow --input '"Ada"'      prints "Hello, Ada!"
 */
#include <argosy/plugin.h>

static int make_greeting(struct argosy_activity *activity, void *user_data,
                         struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    const char *name;
    int code = argosy_payload_get_string(argosy_activity_input(activity), arena, &name, err);
    if (code < 0)
        return code;
    if (name[0] == '\0')
        return argosy_failure_raise(arena,
                                    &(struct argosy_failure_options){.type = "NoName",
                                                                     .message = "nobody to greet",
                                                                     .non_retryable = true},
                                    err);
    *ret_result = argosy_payload_string(arena, argosy_arena_printf(arena, "Hello, %s!", name));
    return 0;
}

static int hello(struct argosy_workflow *workflow, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_activity_options greeting = {
        .type = "make_greeting",
        .input = argosy_workflow_inputs(workflow),
        .start_to_close_timeout_ms = 10000,
        .retry_policy = {.initial_interval_ms = 1000, .maximum_attempts = 3},
    };
    int code = argosy_activity_execute(workflow, &greeting, ret_result, err);
    if (code == 0)
        code = argosy_workflow_sleep(workflow, 1000, err); /* survives any crash meanwhile */
    return code;
}

ARGOSY_PLUGIN(registry, err)
{
    int code = argosy_registry_add_activity(registry, "make_greeting", make_greeting, NULL, err);
    if (code == 0)
        code = argosy_registry_add_workflow(registry, "HelloWorkflow", hello, NULL, err);
    return code;
}
