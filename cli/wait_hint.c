/* SPDX-License-Identifier: Apache-2.0 */
/* wait_hint: see wait_hint.h. Tasks go only to workers that registered their type, so a misspelt
 * one would wait for ever in silence. */
#include "cli/wait_hint.h"

#include <string.h>

#include "cli/message_view.h"
#include "cli/output.h"
#include "common/nearest.h"

/* Enough to find the nearest of; a queue with more types is no worse off. */
#define TYPES_MAX 256

/* Most reasons that one description gives. */
#define TOLD_MAX 8

#define WORKFLOW  "TASK_QUEUE_TYPE_WORKFLOW"
#define ACTIVITY  "TASK_QUEUE_TYPE_ACTIVITY"
#define SCHEDULED "PENDING_ACTIVITY_STATE_SCHEDULED"

/* What the pollers of a queue say they know. */
struct known_types {
    const char *names[TYPES_MAX]; /* borrowed from the reply */
    size_t count;
    bool has_type; /* the one looked for, or some poller takes any */
};

static void collect_types(const json_t *pollers, const char *type, struct known_types *known)
{
    size_t index, at;
    const json_t *poller, *name;
    json_array_foreach(pollers, index, poller)
    {
        const json_t *types = json_object_get(poller, "registeredTypes");
        known->has_type = known->has_type || json_array_size(types) == 0;
        json_array_foreach(types, at, name)
        {
            const char *text = json_string_value(name);
            if (text == NULL)
                continue;
            known->has_type = known->has_type || strcmp(text, type) == 0;
            if (known->count < TYPES_MAX)
                known->names[known->count++] = text;
        }
    }
}

/* Appends what keeps a task of that type from being taken; nothing when nothing does. */
static void append_problem(struct session *session, const char *queue_type, const char *queue,
                           const char *type, struct buffer *out)
{
    json_t *reply;
    if (session_call(
            session, "DescribeTaskQueue",
            json_pack("{s:{s:s}, s:s}", "taskQueue", "name", queue, "taskQueueType", queue_type),
            &reply, NULL) != 0)
        return;
    const json_t *pollers = json_object_get(reply, "pollers");
    struct known_types known = {0};
    collect_types(pollers, type, &known);
    const char *kind = strcmp(queue_type, WORKFLOW) == 0 ? "workflow" : "activity";
    const char *nearest = nearest_name(type, known.names, known.count);
    if (json_array_size(pollers) == 0) {
        buffer_printf(out, "no worker serves queue \"%s\" now", queue);
    } else if (!known.has_type) {
        buffer_printf(out, "no worker of queue \"%s\" knows %s type \"%s\"", queue, kind, type);
        if (nearest != NULL)
            buffer_printf(out, " (did you mean \"%s\"?)", nearest);
    }
    json_decref(reply);
}

void wait_hint_start(struct session *session, const char *type, const char *queue)
{
    struct buffer problem = {0};
    append_problem(session, WORKFLOW, queue, type, &problem);
    if (problem.size > 0)
        fprintf(stderr, "note: %s: the run waits for one\n", buffer_text(&problem));
    buffer_fini(&problem);
}

/* A line for one task that nobody takes. */
static void describe_task(struct session *session, const char *queue_type, const char *queue,
                          const char *type)
{
    struct buffer problem = {0}, safe = {0};
    append_problem(session, queue_type, queue, type, &problem);
    output_safe(buffer_text(&problem), problem.size, &safe);
    if (safe.size > 0)
        printf("%-14s %s\n", "waits", buffer_text(&safe));
    buffer_fini(&problem);
    buffer_fini(&safe);
}

/* The event that scheduled the activity: pending activities do not tell their queue. */
static const json_t *find_scheduled(const json_t *history, const char *activity_id)
{
    size_t index;
    const json_t *event;
    json_array_foreach(json_object_get(history, "events"), index, event)
    {
        const json_t *attributes = view_get(event, "activityTaskScheduledEventAttributes");
        if (attributes != NULL && strcmp(view_text(attributes, "activityId"), activity_id) == 0)
            return attributes;
    }
    return NULL;
}

/* Each pair of queue and type once; activities in backoff wait for nobody. */
static void describe_activities(struct session *session, const json_t *pending,
                                const json_t *history)
{
    const json_t *told[TOLD_MAX];
    size_t count = 0, index;
    const json_t *activity;
    json_array_foreach(pending, index, activity)
    {
        if (strcmp(view_text(activity, "state"), SCHEDULED) != 0 ||
            view_get(activity, "nextAttemptScheduleTime") != NULL)
            continue;
        const json_t *task = find_scheduled(history, view_text(activity, "activityId"));
        bool waits = task != NULL;
        const char *queue = view_text(task, "taskQueue.name");
        const char *type = view_text(task, "activityType.name");
        for (size_t i = 0; i < count && waits; i++)
            waits = strcmp(view_text(told[i], "taskQueue.name"), queue) != 0 ||
                    strcmp(view_text(told[i], "activityType.name"), type) != 0;
        if (!waits || count == TOLD_MAX)
            continue;
        told[count++] = task;
        describe_task(session, ACTIVITY, queue, type);
    }
}

void wait_hint_describe(struct session *session, const json_t *description)
{
    const json_t *info = view_get(description, "workflowExecutionInfo");
    const json_t *pending = view_get(description, "pendingActivities");
    const char *state = view_text(description, "pendingWorkflowTask.state");
    if (strcmp(state, "PENDING_WORKFLOW_TASK_STATE_SCHEDULED") == 0)
        describe_task(session, WORKFLOW, view_text(info, "taskQueue"),
                      view_text(info, "type.name"));
    json_t *history;
    if (json_array_size(pending) == 0 ||
        session_history(session, view_text(info, "execution.workflowId"),
                        view_text(info, "execution.runId"), &history, NULL) != 0)
        return;
    describe_activities(session, pending, history);
    json_decref(history);
}
