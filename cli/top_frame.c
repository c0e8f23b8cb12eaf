/* SPDX-License-Identifier: Apache-2.0 */
/* top_frame: see top_frame.h. */
#include "cli/top_frame.h"

#include <stdbool.h>
#include <string.h>

#include "cli/fleet_tree.h"
#include "cli/message_view.h"
#include "common/time_unit.h"

struct interval {
    const json_t *before; /* NULL: none, or of another life of the engine */
    const json_t *after;
    double seconds;
};

/* The element of a list whose texts under two names are those of row; NULL: none. */
static const json_t *find_like(const json_t *list, const json_t *row, const char *name,
                               const char *other)
{
    size_t index;
    const json_t *at;
    json_array_foreach(list, index, at)
    {
        if (strcmp(view_text(at, name), view_text(row, name)) == 0 &&
            strcmp(view_text(at, other), view_text(row, other)) == 0)
            return at;
    }
    return NULL;
}

static int64_t change(const json_t *before, const json_t *after, const char *field)
{
    return view_number(after, field) - view_number(before, field);
}

static double not_negative(double value)
{
    return value > 0 ? value : 0;
}

/* --- queues --- */

static json_t *queue_row(const struct interval *interval, const json_t *queue)
{
    const json_t *before =
        find_like(json_object_get(interval->before, "queues"), queue, "queue", "kind");
    double added = json_number_value(json_object_get(queue, "addedRate"));
    double done = json_number_value(json_object_get(queue, "dispatchedRate"));
    if (interval->before != NULL) { /* a queue that was not there had zeros */
        added = (double)change(before, queue, "addedTotal") / interval->seconds;
        done =
            (double)(change(before, queue, "dispatchedTotal") - change(before, queue, "inFlight")) /
            interval->seconds;
    }
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:f, s:f}", "queue",
                     view_text(queue, "queue"), "kind", view_text(queue, "kind"), "waiting",
                     (json_int_t)view_number(queue, "backlog"), "oldestUs",
                     (json_int_t)view_number(queue, "backlogAgeUs"), "atWorkers",
                     (json_int_t)view_number(queue, "inFlight"), "atMost",
                     (json_int_t)view_number(queue, "maxInFlight"), "paused",
                     json_is_true(json_object_get(queue, "paused")), "pollers",
                     (json_int_t)view_number(queue, "pollers"), "slots",
                     (json_int_t)view_number(queue, "slots"), "slotsUsed",
                     (json_int_t)view_number(queue, "slotsUsed"), "addedPerSecond",
                     not_negative(added), "donePerSecond", not_negative(done));
}

static json_t *queue_rows(const struct interval *interval)
{
    json_t *rows = json_array();
    size_t index;
    const json_t *queue;
    json_array_foreach(json_object_get(interval->after, "queues"), index, queue)
        json_array_append_new(rows, queue_row(interval, queue));
    return rows;
}

static json_t *throughput(const json_t *queues)
{
    double added = 0, done = 0;
    size_t index;
    const json_t *queue;
    json_array_foreach(queues, index, queue)
    {
        if (strcmp(view_text(queue, "kind"), "activity") != 0)
            continue;
        added += json_number_value(json_object_get(queue, "addedPerSecond"));
        done += json_number_value(json_object_get(queue, "donePerSecond"));
    }
    return json_pack("{s:f, s:f}", "addedPerSecond", added, "donePerSecond", done);
}

/* --- nodes and workers --- */

/* Tasks that it has now, of all kinds. */
static int64_t held(const json_t *process)
{
    int64_t sum = 0;
    size_t index;
    const json_t *queue;
    json_array_foreach(json_object_get(process, "queues"), index, queue) sum +=
        view_number(queue, "slotsUsed");
    return sum;
}

static int64_t oldest_task_us(const json_t *process)
{
    int64_t oldest_us = 0;
    size_t index;
    const json_t *task;
    json_array_foreach(json_object_get(process, "tasks"), index, task)
    {
        int64_t running_us = view_number(task, "runningUs");
        oldest_us = running_us > oldest_us ? running_us : oldest_us;
    }
    return oldest_us;
}

static json_t *cpu_percent(const struct interval *interval, const json_t *before,
                           const json_t *process)
{
    if (before == NULL || json_object_get(process, "cpuUs") == NULL)
        return json_null();
    double seconds = (double)change(before, process, "cpuUs") / (double)US_PER_S;
    return json_real(not_negative(100 * seconds / interval->seconds));
}

static json_t *tasks_rate(const struct interval *interval, const json_t *before,
                          const json_t *process)
{
    int64_t dispatched = change(before, process, "dispatchedTotal");
    /* A new session of the same process counts from 0. */
    if (before == NULL || dispatched < 0 || json_object_get(process, "dispatchedTotal") == NULL ||
        json_object_get(before, "dispatchedTotal") == NULL)
        return json_null();
    double done = (double)(dispatched - (held(process) - held(before)));
    return json_real(not_negative(done / interval->seconds));
}

static json_t *worker_row(const struct interval *interval, const char *node, const json_t *before,
                          const json_t *process)
{
    char pin[FLEET_PIN_SIZE];
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:i, s:o, s:I, s:I}", "node",
                     node, "name", view_text(process, "name"), "group", view_text(process, "group"),
                     "state", view_text(process, "state"), "pin", fleet_pin_text(process, pin),
                     "cpuPercent", cpu_percent(interval, before, process), "memoryBytes",
                     (json_int_t)view_number(process, "memoryBytes"), "slots",
                     (json_int_t)view_number(process, "slots"), "slotsUsed",
                     (json_int_t)view_number(process, "slotsUsed"), "tasks",
                     (int)json_array_size(json_object_get(process, "tasks")), "tasksPerSecond",
                     tasks_rate(interval, before, process), "oldestTaskUs",
                     (json_int_t)oldest_task_us(process), "restarts",
                     (json_int_t)view_number(process, "restarts"));
}

static void add_workers(json_t *rows, const struct interval *interval, const json_t *node)
{
    const char *name = view_text(node, "node");
    const json_t *known =
        find_like(json_object_get(interval->before, "nodes"), node, "node", "node");
    size_t index;
    const json_t *process;
    json_array_foreach(json_object_get(node, "processes"), index, process)
    {
        if (view_text(process, "group")[0] == '\0')
            continue;
        const json_t *before =
            find_like(json_object_get(known, "processes"), process, "name", "pid");
        json_array_append_new(rows, worker_row(interval, name, before, process));
    }
}

static void add_gpus(json_t *rows, const json_t *node)
{
    size_t index;
    json_t *gpu;
    json_array_foreach(json_object_get(node, "gpus"), index, gpu)
    {
        json_t *row = json_copy(gpu);
        json_object_set(row, "node", json_object_get(node, "node"));
        json_array_append_new(rows, row);
    }
}

static json_t *node_row(const json_t *node)
{
    return json_pack("{s:s, s:s*, s:s*}", "node", view_text(node, "node"), "phase",
                     json_string_value(json_object_get(node, "phase")), "error",
                     json_string_value(json_object_get(node, "error")));
}

/* Counters begin again with the engine. */
static bool is_same_engine(const json_t *before, const json_t *after)
{
    return strcmp(view_text(before, "engine.engineInstanceId"),
                  view_text(after, "engine.engineInstanceId")) == 0;
}

json_t *top_frame_create(const json_t *before, const json_t *after, int64_t interval_us,
                         int64_t utc_us)
{
    struct interval interval = {
        .after = after, .seconds = (double)(interval_us > 0 ? interval_us : 1) / (double)US_PER_S};
    if (before != NULL && is_same_engine(before, after))
        interval.before = before;
    json_t *nodes = json_array(), *workers = json_array(), *gpus = json_array();
    json_t *queues = queue_rows(&interval);
    size_t index;
    const json_t *node;
    json_array_foreach(json_object_get(after, "nodes"), index, node)
    {
        json_array_append_new(nodes, node_row(node));
        add_workers(workers, &interval, node);
        add_gpus(gpus, node);
    }
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "utcUs", (json_int_t)utc_us,
                     "intervalUs", (json_int_t)(before != NULL ? interval_us : 0), "openRuns",
                     (json_int_t)view_number(after, "engine.openRuns"), "throughput",
                     throughput(queues), "nodes", nodes, "queues", queues, "gpus", gpus, "workers",
                     workers);
}
