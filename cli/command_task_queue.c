/* SPDX-License-Identifier: Apache-2.0 */
/* command_task_queue: `argosy task-queue describe`: who polls a queue, and what waits in it. */
#include <inttypes.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/message_view.h"
#include "cli/output.h"
#include "cli/queue_name.h"
#include "cli/session.h"

static const char *const type_choices[] = {"workflow", "activity", NULL};

static const struct option describe_options[] = {
    {"task-queue", NULL, 't', OPTION_TEXT, "NAME", "the queue; also as the argument", NULL},
    {"task-queue-type", NULL, 0, OPTION_CHOICE, "workflow|activity", "one type of tasks (both)",
     type_choices},
    {0},
};

static int queue_fetch(struct session *session, const char *queue, const char *type,
                       json_t **ret_reply, struct error *err)
{
    return session_call(session, "DescribeTaskQueue",
                        json_pack("{s:{s:s}, s:s, s:b}", "taskQueue", "name", queue,
                                  "taskQueueType",
                                  strcmp(type, "workflow") == 0 ? "TASK_QUEUE_TYPE_WORKFLOW"
                                                                : "TASK_QUEUE_TYPE_ACTIVITY",
                                  "reportStats", 1),
                        ret_reply, err);
}

static double rate(const json_t *reply, const char *path)
{
    return json_number_value(view_get(reply, path));
}

static void queue_print_figures(const char *type, const json_t *reply)
{
    char age[OUTPUT_TIME_SIZE];
    int64_t waiting = view_number(reply, "stats.approximateBacklogCount");
    int64_t bound = view_number(reply, "maxInFlight");
    int64_t slots = view_number(reply, "slots");
    printf("%s tasks: %" PRId64 " waiting", type, waiting);
    if (waiting > 0)
        printf(" (oldest %s)",
               output_duration(view_duration_us(reply, "stats.approximateBacklogAge"), age));
    printf(", %" PRId64 " at workers", view_number(reply, "inFlight"));
    if (bound > 0)
        printf(" (at most %" PRId64 ")", bound);
    printf(", %.1f/s added, %.1f/s dispatched\n", rate(reply, "stats.tasksAddRate"),
           rate(reply, "stats.tasksDispatchRate"));
    if (json_is_true(json_object_get(reply, "paused")))
        puts("  paused: nothing is handed out until it is resumed");
    if (slots > 0)
        printf("  set to %" PRId64 " in each process\n", slots);
}

static int queue_print(const char *type, const json_t *reply, struct error *err)
{
    queue_print_figures(type, reply);
    const json_t *pollers = view_get(reply, "pollers");
    if (json_array_size(pollers) == 0) {
        puts("  no worker takes them");
        return 0;
    }
    struct table table;
    table_init(&table, (const char *const[]){"  POLLER", "TASKS", "LAST SEEN", "TYPES", NULL});
    size_t index, at;
    const json_t *poller, *name;
    json_array_foreach(pollers, index, poller)
    {
        char identity[256], tasks[32], time[OUTPUT_TIME_SIZE];
        struct buffer types = {0};
        json_array_foreach(json_object_get(poller, "registeredTypes"), at, name)
        {
            const char *text = json_string_value(name);
            buffer_printf(&types, "%s%s", at > 0 ? " " : "", text != NULL ? text : "?");
        }
        snprintf(identity, sizeof(identity), "  %s", view_text(poller, "identity"));
        snprintf(tasks, sizeof(tasks), "%" PRId64 "/%" PRId64, view_number(poller, "slotsUsed"),
                 view_number(poller, "slots"));
        table_add(&table, identity, tasks,
                  output_time(view_time_us(poller, "lastAccessTime"), time),
                  types.size > 0 ? buffer_text(&types) : "any");
        buffer_fini(&types);
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

static int task_queue_describe(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *queue = parsed_text(parsed, "task-queue");
    const char *only = parsed_text(parsed, "task-queue-type");
    if (queue == NULL && parsed->argument_count > 0)
        queue = parsed->arguments[0];
    if (queue == NULL)
        return command_usage(invocation, "--task-queue is missing");
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    code = queue_name_check(&session, queue, err);
    json_t *both = json_pack("{s:s}", "taskQueue", queue);
    for (const char *const *type = type_choices; code == 0 && *type != NULL; type++) {
        if (only != NULL && strcmp(only, *type) != 0)
            continue;
        json_t *reply;
        code = queue_fetch(&session, queue, *type, &reply, err);
        if (code != 0)
            break;
        if (!invocation->json)
            code = queue_print(*type, reply, err);
        json_object_set_new(both, *type, reply);
    }
    if (code == 0 && invocation->json)
        code = output_json(both, err);
    else
        json_decref(both);
    session_close(&session);
    return code;
}

const struct command command_task_queue_describe = {
    .name = "task-queue describe",
    .summary = "what waits in a queue, what is at workers, who polls it",
    .arguments = "[NAME]",
    .arguments_max = 1,
    .example = "argosy task-queue describe gpu-queue\n"
               "argosy task-queue describe --task-queue cpu-queue --task-queue-type workflow "
               "--output json",
    .options = {{describe_options, session_options, common_options}},
    .run = task_queue_describe,
};
