/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_view: see fleet_view.h. */
#include "cli/fleet_view.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/message_view.h"
#include "cli/output.h"
#include "common/clock.h"
#include "common/limits.h"

/* As long as a session is waited for. */
#define NODES_WAIT_NS (5 * NS_PER_S)
#define LOOK_AGAIN_NS (100 * NS_PER_MS)

/* --- fetching --- */

int fleet_call(struct session *session, const char *node, const struct fleet_operation *operation,
               json_t **ret_status, struct error *err)
{
    char word[64];
    snprintf(word, sizeof word, "NODE_OPERATION_%s", operation->name);
    json_t *reply;
    int code = session_call(session, "CallNode",
                            json_pack("{s:s, s:s, s:s*, s:b}", "node", node, "operation", word,
                                      "target", operation->target, "keep", operation->keep),
                            &reply, err);
    if (code != 0)
        return code;
    json_t *status = json_incref(json_object_get(reply, "status"));
    json_decref(reply);
    if (status == NULL)
        return error_set(err, ERR_PROTOCOL, "node %s answered without a status", node);
    *ret_status = status;
    return 0;
}

/* Adds name in its place, once. */
static void add_sorted(json_t *names, const char *name)
{
    size_t at = 0;
    while (at < json_array_size(names) &&
           strcmp(json_string_value(json_array_get(names, at)), name) < 0)
        at++;
    const char *there = json_string_value(json_array_get(names, at));
    if (there == NULL || strcmp(there, name) != 0)
        json_array_insert_new(names, at, json_string(name));
}

static bool has_node(const json_t *sessions)
{
    size_t index;
    const json_t *row;
    json_array_foreach(sessions, index, row)
    {
        if (json_is_true(json_object_get(row, "servesNode")))
            return true;
    }
    return false;
}

static json_t *node_names(const json_t *sessions)
{
    json_t *names = json_array();
    size_t index;
    const json_t *row;
    json_array_foreach(sessions, index, row)
    {
        if (json_is_true(json_object_get(row, "servesNode")))
            add_sorted(names, view_text(row, "node"));
    }
    return names;
}

/* Asks until a node is connected: an engine that has just started has none for a moment. */
static int describe(struct session *session, json_t **ret_reply, struct error *err)
{
    uint64_t end_ns = clock_monotonic_ns() + NODES_WAIT_NS;
    for (;;) {
        json_t *reply;
        int code = session_call(session, "DescribeFleet", json_object(), &reply, err);
        if (code != 0)
            return code;
        if (has_node(json_object_get(reply, "sessions")) || clock_monotonic_ns() >= end_ns) {
            *ret_reply = reply;
            return 0;
        }
        json_decref(reply);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
    }
}

int fleet_nodes(struct session *session, json_t **ret_names, struct error *err)
{
    json_t *reply;
    int code = describe(session, &reply, err);
    if (code != 0)
        return code;
    *ret_names = node_names(json_object_get(reply, "sessions"));
    json_decref(reply);
    return 0;
}

/* The session of a process; NULL when it has none. */
static json_t *find_session(const json_t *sessions, const char *node, int64_t pid)
{
    size_t index;
    json_t *row;
    json_array_foreach(sessions, index, row)
    {
        if (pid != 0 && view_number(row, "pid") == pid && strcmp(view_text(row, "node"), node) == 0)
            return row;
    }
    return NULL;
}

/* Slots of the session's activities. */
static int64_t sum_slots(const json_t *session, const char *field)
{
    int64_t sum = 0;
    size_t index;
    const json_t *poll;
    json_array_foreach(json_object_get(session, "polls"), index, poll)
    {
        if (strcmp(view_text(poll, "kind"), "activity") == 0)
            sum += view_number(poll, field);
    }
    return sum;
}

/* Puts what the engine knows of a node's processes beside what the node says. */
static void join(json_t *status, const json_t *sessions)
{
    size_t index;
    json_t *process;
    json_array_foreach(json_object_get(status, "processes"), index, process)
    {
        json_t *session =
            find_session(sessions, view_text(status, "node"), view_number(process, "pid"));
        if (session == NULL)
            continue;
        json_object_set_new(session, "joined", json_true());
        if (view_text(process, "group")[0] == '\0')
            continue;
        json_object_set_new(process, "slots", json_integer(sum_slots(session, "slots")));
        json_object_set_new(process, "slotsUsed", json_integer(sum_slots(session, "slotsUsed")));
        if (json_object_get(session, "tasks") != NULL)
            json_object_set(process, "tasks", json_object_get(session, "tasks"));
    }
}

/* Sessions that take tasks and are no node's: workers that somebody runs by hand. */
static json_t *others(const json_t *sessions)
{
    json_t *list = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(sessions, index, row)
    {
        bool takes_tasks = json_array_size(json_object_get(row, "polls")) > 0 ||
                           json_array_size(json_object_get(row, "tasks")) > 0;
        if (takes_tasks && json_object_get(row, "joined") == NULL)
            json_array_append(list, row);
    }
    return list;
}

int fleet_fetch(struct session *session, json_t **ret_fleet, struct error *err)
{
    json_t *reply;
    int code = describe(session, &reply, err);
    if (code != 0)
        return code;
    json_t *sessions = json_object_get(reply, "sessions");
    json_t *names = node_names(sessions);
    json_t *nodes = json_array();
    size_t index;
    json_t *name;
    json_array_foreach(names, index, name)
    {
        struct error why = {0};
        json_t *status;
        if (fleet_call(session, json_string_value(name),
                       &(struct fleet_operation){.name = "STATUS"}, &status, &why) == 0)
            join(status, sessions);
        else /* one node that is silent hides no other */
            status = json_pack("{s:O, s:s}", "node", name, "error", why.text);
        json_array_append_new(nodes, status);
    }
    json_t *paused = json_object_get(reply, "pausedQueues");
    *ret_fleet = json_pack("{s:o, s:o, s:o, s:I}", "nodes", nodes, "others", others(sessions),
                           "pausedQueues", paused != NULL ? json_incref(paused) : json_array(),
                           "tasksLeftOut", (json_int_t)view_number(reply, "tasksLeftOut"));
    json_decref(names);
    json_decref(reply);
    return *ret_fleet != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

/* --- printing --- */

static void format_memory(int64_t bytes, char text[32])
{
    if (bytes > 0)
        snprintf(text, 32, "%.1f MiB", (double)bytes / (double)LIMIT_MIB);
    else
        strcpy(text, "-");
}

static void add_process(struct table *table, const json_t *process)
{
    char name[128], pid[24], up[OUTPUT_TIME_SIZE], restarts[24], memory[32], tasks[48], death[192];
    bool is_worker = view_text(process, "group")[0] != '\0';
    bool has_pid = view_number(process, "pid") != 0;
    snprintf(name, sizeof name, "  %s", view_text(process, "name"));
    snprintf(pid, sizeof pid, "%" PRId64, view_number(process, "pid"));
    snprintf(restarts, sizeof restarts, "%" PRId64, view_number(process, "restarts"));
    snprintf(tasks, sizeof tasks, "%" PRId64 "/%" PRId64, view_number(process, "slotsUsed"),
             view_number(process, "slots"));
    format_memory(view_number(process, "memoryBytes"), memory);
    if (has_pid)
        output_duration(view_number(process, "uptimeUs"), up);
    snprintf(death, sizeof death, "%s", view_text(process, "death"));
    table_add(table, name, has_pid ? pid : NULL, view_text(process, "state"), has_pid ? up : NULL,
              restarts, memory, is_worker && has_pid ? tasks : NULL,
              death[0] != '\0' ? death : NULL);
}

static void add_tasks(struct table *table, const char *worker, const json_t *tasks)
{
    size_t index;
    const json_t *task;
    json_array_foreach(tasks, index, task)
    {
        char name[128], attempt[16], running[OUTPUT_TIME_SIZE], type[256];
        snprintf(name, sizeof name, "  %s", worker);
        snprintf(type, sizeof type, "%s%s", view_text(task, "type"),
                 strcmp(view_text(task, "kind"), "activity") == 0 ? "" : " (workflow)");
        snprintf(attempt, sizeof attempt, "%" PRId64, view_number(task, "attempt"));
        output_duration(view_number(task, "runningUs"), running);
        const char *progress = view_text(task, "progress");
        table_add(table, name, type, view_text(task, "queue"), view_text(task, "workflowId"),
                  view_number(task, "attempt") > 0 ? attempt : NULL, running,
                  progress[0] != '\0' ? progress : NULL);
    }
}

static void print_head(const json_t *node)
{
    char up[OUTPUT_TIME_SIZE];
    const char *failure = view_text(node, "error");
    if (failure[0] != '\0') {
        printf("node %s: %s\n", view_text(node, "node"), failure);
        return;
    }
    int64_t silence_us = view_number(node, "heartbeatAgeUs");
    printf("node %s: %s, up %s", view_text(node, "node"), view_text(node, "phase"),
           output_duration(view_number(node, "uptimeUs"), up));
    if (view_text(node, "http")[0] != '\0')
        printf(", http %s", view_text(node, "http"));
    if (silence_us > 10 * US_PER_S)
        printf(", its supervisor has been silent for %s", output_duration(silence_us, up));
    puts("");
}

static const char *const process_heads[] = {"  PROCESS", "PID",   "STATE",      "UP", "RESTARTS",
                                            "MEMORY",    "TASKS", "LAST DEATH", NULL};
static const char *const task_heads[] = {"  WORKER", "TASK",    "QUEUE",    "WORKFLOW",
                                         "ATTEMPT",  "RUNNING", "PROGRESS", NULL};

static int print_node(const json_t *node, struct table *tasks, struct error *err)
{
    struct table table;
    size_t index;
    const json_t *process;
    print_head(node);
    table_init(&table, process_heads);
    json_array_foreach(json_object_get(node, "processes"), index, process)
    {
        add_process(&table, process);
        add_tasks(tasks, view_text(process, "name"), json_object_get(process, "tasks"));
    }
    int code = table.rows > 0 ? table_print(&table, stdout, err) : 0;
    table_fini(&table);
    return code;
}

static void print_others(const json_t *list, struct table *tasks)
{
    size_t index;
    const json_t *row;
    if (json_array_size(list) > 0)
        puts("workers that belong to no node");
    json_array_foreach(list, index, row)
    {
        printf("  %s: %" PRId64 "/%" PRId64 " tasks\n", view_text(row, "identity"),
               sum_slots(row, "slotsUsed"), sum_slots(row, "slots"));
        add_tasks(tasks, view_text(row, "identity"), json_object_get(row, "tasks"));
    }
}

int fleet_print(const json_t *fleet, struct error *err)
{
    struct table tasks;
    size_t index;
    const json_t *node, *queue;
    int code = 0;
    table_init(&tasks, task_heads);
    if (json_array_size(json_object_get(fleet, "nodes")) == 0)
        puts("no node is connected");
    json_array_foreach(json_object_get(fleet, "nodes"), index, node)
    {
        if (code == 0)
            code = print_node(node, &tasks, err);
    }
    print_others(json_object_get(fleet, "others"), &tasks);
    if (code == 0 && tasks.rows > 0) {
        puts("tasks");
        code = table_print(&tasks, stdout, err);
    }
    json_array_foreach(json_object_get(fleet, "pausedQueues"), index, queue)
        printf("queue %s is paused\n", json_string_value(queue));
    if (view_number(fleet, "tasksLeftOut") > 0)
        printf("and %" PRId64 " more tasks\n", view_number(fleet, "tasksLeftOut"));
    table_fini(&tasks);
    return code;
}
