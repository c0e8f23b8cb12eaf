/* SPDX-License-Identifier: Apache-2.0 */
/* history_steps: see history_steps.h. */
#include "cli/history_steps.h"

#include <stdint.h>
#include <stdlib.h>

#include "cli/message_view.h"
#include "common/clock.h"

/* The step that an event with a scheduledEventId belongs to; NULL when unknown. */
static json_t *step_of(const json_t *steps, const json_t *attributes)
{
    size_t index;
    json_t *step;
    json_array_foreach(steps, index, step)
    {
        if (view_number(step, "scheduled") == view_number(attributes, "scheduledEventId"))
            return step;
    }
    return NULL;
}

static void step_started(json_t *step, const json_t *event, const json_t *started)
{
    const char *identity = view_text(started, "identity");
    json_object_set_new(step, "identity", json_string(identity));
    json_object_set_new(step, "pid", json_integer(strtol(identity, NULL, 10)));
    json_object_set_new(step, "attempt", json_integer(view_number(started, "attempt")));
    json_object_set_new(step, "startedUs", json_integer(view_time_us(event, "eventTime")));
}

static void step_closed(json_t *step, const json_t *event, const char *outcome)
{
    int64_t us = view_time_us(event, "eventTime") - view_number(step, "startedUs");
    json_object_set_new(step, "outcome", json_string(outcome));
    json_object_set_new(step, "ms", json_real((double)us / (double)US_PER_MS));
    json_object_del(step, "startedUs");
}

json_t *history_steps(const json_t *history)
{
    static const struct {
        const char *attributes, *outcome;
    } closings[] = {
        {"activityTaskCompletedEventAttributes", "completed"},
        {"activityTaskFailedEventAttributes", "failed"},
        {"activityTaskTimedOutEventAttributes", "timed out"},
        {"activityTaskCanceledEventAttributes", "canceled"},
    };
    json_t *steps = json_array();
    size_t index;
    const json_t *event, *attributes;
    json_array_foreach(json_object_get(history, "events"), index, event)
    {
        attributes = json_object_get(event, "activityTaskScheduledEventAttributes");
        if (attributes != NULL)
            json_array_append_new(steps,
                                  json_pack("{s:s, s:s, s:I}", "activity",
                                            view_text(attributes, "activityType.name"), "queue",
                                            view_text(attributes, "taskQueue.name"), "scheduled",
                                            (json_int_t)view_number(event, "eventId")));
        attributes = json_object_get(event, "activityTaskStartedEventAttributes");
        if (attributes != NULL)
            step_started(step_of(steps, attributes), event, attributes);
        for (size_t i = 0; i < sizeof(closings) / sizeof(closings[0]); i++) {
            attributes = json_object_get(event, closings[i].attributes);
            if (attributes != NULL)
                step_closed(step_of(steps, attributes), event, closings[i].outcome);
        }
    }
    json_t *step;
    json_array_foreach(steps, index, step) json_object_del(step, "scheduled");
    return steps;
}
