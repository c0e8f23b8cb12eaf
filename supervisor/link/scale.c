/* SPDX-License-Identifier: Apache-2.0 */
/* scale: see scale.h. */
#include "supervisor/link/scale.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Where a name has several kinds, the figures of all that are asked for. */
static void add(Api__QueueStats *sum, const Api__QueueStats *queue)
{
    sum->backlog += queue->backlog;
    sum->in_flight += queue->in_flight;
    sum->max_in_flight += queue->max_in_flight; /* activities alone have one */
    sum->paused = sum->paused || queue->paused;
    sum->pollers += queue->pollers;
    sum->slots += queue->slots;
    sum->slots_used += queue->slots_used;
    sum->added_rate += queue->added_rate;
    sum->dispatched_rate += queue->dispatched_rate;
    if (queue->backlog_age_us > sum->backlog_age_us)
        sum->backlog_age_us = queue->backlog_age_us;
}

static bool is_wanted(const Api__QueueStats *queue, const char *name, const char *kind)
{
    if (strcmp(queue->queue, name) != 0 || strcmp(queue->kind, "sticky") == 0)
        return false;
    return kind == NULL || strcmp(queue->kind, kind) == 0;
}

bool scale_print(const Api__GetEngineStatsResponse *engine, const char *queue, const char *kind,
                 struct buffer *out)
{
    Api__QueueStats sum = API__QUEUE_STATS__INIT;
    bool is_known = engine->queues_left_out == 0;
    for (size_t i = 0; i < engine->n_queues; i++) {
        if (!is_wanted(engine->queues[i], queue, kind))
            continue;
        add(&sum, engine->queues[i]);
        is_known = true;
    }
    if (!is_known)
        return false;
    json_t *object =
        json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:b, s:I, s:I, s:I}", "queue", queue,
                  "desired_work", (json_int_t)(sum.backlog + sum.in_flight), "backlog",
                  (json_int_t)sum.backlog, "in_flight", (json_int_t)sum.in_flight,
                  "backlog_age_seconds", (double)sum.backlog_age_us / 1e6, "added_per_second",
                  sum.added_rate, "dispatched_per_second", sum.dispatched_rate, "max_in_flight",
                  (json_int_t)sum.max_in_flight, "paused", (int)sum.paused, "pollers",
                  (json_int_t)sum.pollers, "slots", (json_int_t)sum.slots, "slots_used",
                  (json_int_t)sum.slots_used);
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    if (text != NULL)
        buffer_printf(out, "%s\n", text);
    else
        out->failed = true;
    free(text);
    json_decref(object);
    return true;
}
