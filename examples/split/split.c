/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split: workflows on one node, activities on another. SumWorkflow has the numbers of a file summed
 * by an activity and, as long as that takes, is reminded of it every second; the query "reminders"
 * tells how often. The activity reads a file or named pipe, one integer on each line.
 *
 *     input: "/path/of/numbers"       result: {"sum": 55, "pid": 1234}
 *
 * Killing the activity's process costs nothing but time: it runs again elsewhere, and the workflow
 * does not notice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <argosy/plugin.h>

#define REMINDER_MS 1000

static int sum_numbers(struct argosy_activity *activity, void *user_data,
                       struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    const char *path;
    int code = argosy_payload_get_string(argosy_activity_input(activity), arena, &path, err);
    if (code != 0)
        return code;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return argosy_error_set(err, ARGOSY_ERR_IO, "cannot open \"%s\"", path);
    int64_t sum = 0;
    int64_t number;
    while (fscanf(file, "%" SCNd64, &number) == 1)
        sum += number;
    bool complete = feof(file) != 0;
    fclose(file);
    if (!complete)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "\"%s\" holds more than numbers", path);
    return argosy_payload_pack(arena, ret_result, err, "{s:I, s:i}", "sum", sum, "pid",
                               (int)getpid());
}

static int answer_reminders(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                            void *user_data, struct argosy_payload *ret_answer,
                            struct argosy_error *err)
{
    (void)input;
    (void)err;
    const int64_t *reminders = user_data;
    *ret_answer = argosy_payload_integer(argosy_workflow_arena(workflow), *reminders);
    return 0;
}

static int sum(struct argosy_workflow *workflow, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    (void)user_data;
    int64_t *reminders = argosy_workflow_alloc(workflow, sizeof *reminders);
    *reminders = 0;
    argosy_query_handle(workflow, "reminders", answer_reminders, reminders);

    struct argosy_future *work = argosy_activity_start(
        workflow, &(struct argosy_activity_options){.type = "sum_numbers",
                                                    .input = argosy_workflow_inputs(workflow),
                                                    .start_to_close_timeout_ms = 60 * 60 * 1000});
    for (;;) {
        struct argosy_future *timer = argosy_timer_start(workflow, REMINDER_MS);
        size_t first;
        int code = argosy_await_any((struct argosy_future *[]){work, timer}, 2, &first, err);
        if (code != 0)
            return code;
        if (first == 0) {
            argosy_future_cancel(timer);
            return argosy_await(work, ret_result, err);
        }
        (*reminders)++;
        argosy_workflow_log(workflow, "still summing after %" PRId64 " s", *reminders);
    }
}

ARGOSY_PLUGIN(registry, err)
{
    int code = argosy_registry_add_workflow(registry, "SumWorkflow", sum, NULL, err);
    if (code == 0)
        code = argosy_registry_add_activity(registry, "sum_numbers", sum_numbers, NULL, err);
    return code;
}
