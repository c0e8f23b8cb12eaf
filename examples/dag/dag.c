/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dag: three steps at once, then one that needs them all. A, B and C have a task queue each, so
 * each runs in a process of its own; D gets their three results and returns the four process ids.
 */
#include <unistd.h>

#include <argosy/plugin.h>

#define PART_COUNT 3

/* A, B or C, as user_data says: its name and the process it ran in. */
static int run_step(struct argosy_activity *activity, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    const char *name = user_data;
    return argosy_payload_pack(argosy_activity_arena(activity), ret_result, err, "{s:s, s:i}",
                               "step", name, "pid", (int)getpid());
}

/* D: its own name and process, and beside them the processes of A, B and C. */
static int join_parts(struct argosy_activity *activity, void *user_data,
                      struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct argosy_payloads parts = argosy_activity_inputs(activity);
    if (parts.count != PART_COUNT)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "join needs %d parts, not %zu", PART_COUNT,
                                parts.count);
    int64_t pids[PART_COUNT];
    for (size_t i = 0; i < PART_COUNT; i++) {
        struct argosy_payload pid;
        int code = argosy_payload_get_member(&parts.items[i], "pid", arena, &pid, err);
        if (code == 0)
            code = argosy_payload_get_integer(&pid, &pids[i], err);
        if (code != 0)
            return code;
    }
    return argosy_payload_pack(arena, ret_result, err, "{s:I, s:I, s:I, s:i}", "a", pids[0], "b",
                               pids[1], "c", pids[2], "d", (int)getpid());
}

static int dag(struct argosy_workflow *workflow, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    (void)user_data;
    static const struct {
        const char *type, *task_queue;
    } steps[PART_COUNT] = {{"A", "queue-a"}, {"B", "queue-b"}, {"C", "queue-c"}};

    struct argosy_future *futures[PART_COUNT];
    for (size_t i = 0; i < PART_COUNT; i++)
        futures[i] = argosy_activity_start(
            workflow, &(struct argosy_activity_options){.type = steps[i].type,
                                                        .task_queue = steps[i].task_queue,
                                                        .start_to_close_timeout_ms = 10000});
    int code = argosy_await_all(futures, PART_COUNT, err);
    if (code != 0)
        return code;

    struct argosy_payload parts[PART_COUNT];
    for (size_t i = 0; i < PART_COUNT; i++) /* all are ready: none of these waits or fails */
        argosy_await(futures[i], &parts[i], NULL);
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "D",
                                          .task_queue = "queue-d",
                                          .input = {parts, PART_COUNT},
                                          .start_to_close_timeout_ms = 10000},
        ret_result, err);
}

ARGOSY_PLUGIN(registry, err)
{
    int code = argosy_registry_add_workflow(registry, "DagWorkflow", dag, NULL, err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "A", run_step, "A", err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "B", run_step, "B", err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "C", run_step, "C", err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "D", join_parts, NULL, err);
    return code;
}
