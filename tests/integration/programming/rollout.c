/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollout: a plug-in in two versions (-DVERSION=1, -DVERSION=2), for rollout.bats.
 *
 *     Rollout   version 1 prepares by an activity, version 2 by a timer; then it waits for "go"
 *     Deep      version 1 runs over its stack, version 2 does not
 *     Plain     returns 1 in both
 */
#include <argosy/plugin.h>

static int prepare(struct argosy_activity *activity, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)activity, (void)user_data, (void)ret_result, (void)err;
    return 0;
}

static int rollout(struct argosy_workflow *workflow, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    argosy_workflow_log(workflow, "begins");
#if VERSION == 1
    int code = argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "prepare", .start_to_close_timeout_ms = 10000},
        NULL, err);
#else
    int code = argosy_workflow_sleep(workflow, 1000, err);
#endif
    if (code == 0)
        code = argosy_signal_receive(workflow, "go", -1, ret_result, err);
    argosy_workflow_log(workflow, "goes");
    return code;
}

static int64_t descend(int64_t depth)
{
    volatile char frame[1024];
    frame[0] = (char)depth;
    return depth == 0 ? frame[0] : descend(depth - 1) + frame[0];
}

static int deep(struct argosy_workflow *workflow, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)err;
    *ret_result = argosy_payload_integer(argosy_workflow_arena(workflow),
                                         descend(VERSION == 1 ? 1000000 : 0));
    return 0;
}

static int plain(struct argosy_workflow *workflow, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)workflow, (void)user_data, (void)err;
    *ret_result = argosy_payload_json("1");
    return 0;
}

ARGOSY_PLUGIN(registry, err)
{
    int code = argosy_registry_add_activity(registry, "prepare", prepare, NULL, err);
    if (code == 0)
        code = argosy_registry_add_workflow(registry, "Rollout", rollout, NULL, err);
    if (code == 0)
        code = argosy_registry_add_workflow(registry, "Deep", deep, NULL, err);
    if (code == 0)
        code = argosy_registry_add_workflow(registry, "Plain", plain, NULL, err);
    return code;
}
