/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fan: many activities of one run, for tests of load. FanWorkflow's input is an object:
 *
 *     queue    where its activities go
 *     type     their type; without it fan_step
 *     count    how many
 *     first    the number of the first one; the others follow
 *     ms       how long a fan_step takes; below 0: until the file `release` is there
 *
 * With that file none takes any time that begins: there is work for as long as a test wants it. A
 * fan_step writes "started" and "done" to the ledger, with its number in from=; activities of
 * another type get the input "text". The result is the count.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

/* LIMIT_PENDING_ACTIVITIES leaves room for twice as many. */
#define COUNT_MAX 1000

#define LOOK_AGAIN_NS (5 * 1000 * 1000)

static void work(int64_t ms, const char *release)
{
    if (ms > 0 && access(release, F_OK) != 0)
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
    while (ms < 0 && access(release, F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
}

static int step(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    struct argosy_payloads inputs = argosy_activity_inputs(activity);
    int64_t number, ms;
    char release[PROBE_PATH_SIZE];
    if (inputs.count != 2)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "needs a number and a time");
    int code = argosy_payload_get_integer(&inputs.items[0], &number, err);
    if (code == 0)
        code = argosy_payload_get_integer(&inputs.items[1], &ms, err);
    if (code == 0)
        code = probe_path("release", release, err);
    if (code == 0)
        code = ledger_append(activity, "started", number, err);
    if (code != 0)
        return code;
    work(ms, release);
    return ledger_append(activity, "done", number, err);
}

/* A member of the input that is a number, 0 when it is not there. */
static int get_number(struct argosy_workflow *workflow, const char *key, int64_t *ret_value,
                      struct argosy_error *err)
{
    struct argosy_payload member;
    int code = argosy_payload_get_member(argosy_workflow_input(workflow), key,
                                         argosy_workflow_arena(workflow), &member, err);
    *ret_value = 0;
    return code == 0 && !argosy_payload_is_null(&member)
               ? argosy_payload_get_integer(&member, ret_value, err)
               : code;
}

static int get_text(struct argosy_workflow *workflow, const char *key, const char **text,
                    struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_workflow_arena(workflow);
    struct argosy_payload member;
    int code = argosy_payload_get_member(argosy_workflow_input(workflow), key, arena, &member, err);
    return code == 0 && !argosy_payload_is_null(&member)
               ? argosy_payload_get_string(&member, arena, text, err)
               : code;
}

static int fan(struct argosy_workflow *workflow, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    (void)user_data;
    struct argosy_activity_options options = {.type = "fan_step",
                                              .start_to_close_timeout_ms = 600000};
    struct argosy_arena *arena = argosy_workflow_arena(workflow);
    struct argosy_future *futures[COUNT_MAX];
    int64_t count, first, ms;
    int code = get_text(workflow, "type", &options.type, err);
    if (code == 0)
        code = get_text(workflow, "queue", &options.task_queue, err);
    if (code == 0)
        code = get_number(workflow, "count", &count, err);
    if (code == 0)
        code = get_number(workflow, "first", &first, err);
    if (code == 0)
        code = get_number(workflow, "ms", &ms, err);
    if (code == 0 && (count < 1 || count > COUNT_MAX))
        code = argosy_error_set(err, ARGOSY_ERR_INVALID, "count must be 1 to %d", COUNT_MAX);
    if (code != 0)
        return code;
    bool is_step = strcmp(options.type, "fan_step") == 0;
    for (int64_t i = 0; i < count; i++) {
        struct argosy_payload number = argosy_payload_integer(arena, first + i);
        struct argosy_payload duration = argosy_payload_integer(arena, ms);
        options.input = is_step ? ARGOSY_PAYLOADS(number, duration)
                                : ARGOSY_PAYLOADS(argosy_payload_json("\"text\""));
        futures[i] = argosy_activity_start(workflow, &options);
    }
    *ret_result = argosy_payload_integer(arena, count);
    return argosy_await_all(futures, (size_t)count, err);
}

int fan_register(struct argosy_registry *registry, struct argosy_error *err)
{
    int code = argosy_registry_add_activity(registry, "fan_step", step, NULL, err);
    return code == 0 ? argosy_registry_add_workflow(registry, "FanWorkflow", fan, NULL, err) : code;
}
