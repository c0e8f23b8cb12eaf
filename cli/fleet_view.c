/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_view: see fleet_view.h. */
#include "cli/fleet_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/message_view.h"
#include "common/clock.h"
#include "common/nearest.h"

/* As long as a session is waited for. */
#define NODES_WAIT_NS (5 * NS_PER_S)
#define LOOK_AGAIN_NS (100 * NS_PER_MS)

int fleet_call(struct session *session, const char *node, const struct fleet_operation *operation,
               json_t **ret_reply, struct error *err)
{
    char word[64];
    snprintf(word, sizeof word, "NODE_OPERATION_%s", operation->name);
    json_t *reply;
    int code = session_call(session, "CallNode",
                            json_pack("{s:s, s:s, s:s*, s:b, s:i}", "node", node, "operation", word,
                                      "target", operation->target, "keep", operation->keep, "count",
                                      operation->count),
                            &reply, err);
    if (code != 0)
        return code;
    if (!json_is_object(json_object_get(reply, "status"))) {
        json_decref(reply);
        return error_set(err, ERR_PROTOCOL, "node %s answered without a status", node);
    }
    *ret_reply = reply;
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
static int describe(struct session *session, bool waits, json_t **ret_reply, struct error *err)
{
    uint64_t end_ns = clock_monotonic_ns() + (waits ? NODES_WAIT_NS : 0);
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
    int code = describe(session, true, &reply, err);
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
static int64_t sum_slots(const json_t *polls, const char *field)
{
    int64_t sum = 0;
    size_t index;
    const json_t *poll;
    json_array_foreach(polls, index, poll)
    {
        if (strcmp(view_text(poll, "kind"), "activity") == 0)
            sum += view_number(poll, field);
    }
    return sum;
}

/* What the engine knows of a session, at the place of its process. */
static void take_session(json_t *process, const json_t *session)
{
    json_t *polls = json_object_get(session, "polls");
    json_object_set_new(process, "slots", json_integer(sum_slots(polls, "slots")));
    json_object_set_new(process, "slotsUsed", json_integer(sum_slots(polls, "slotsUsed")));
    json_object_set_new(process, "dispatchedTotal",
                        json_integer(view_number(session, "dispatchedTotal")));
    if (polls != NULL)
        json_object_set(process, "queues", polls);
    if (json_object_get(session, "tasks") != NULL)
        json_object_set(process, "tasks", json_object_get(session, "tasks"));
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
        if (view_text(process, "group")[0] != '\0')
            take_session(process, session);
    }
}

static json_t *find_group(json_t *groups, const char *name)
{
    size_t index;
    json_t *group;
    json_array_foreach(groups, index, group)
    {
        if (strcmp(view_text(group, "group"), name) == 0)
            return group;
    }
    group = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "group", name, "workers", 0, "ready",
                      0, "slots", 0, "slotsUsed", 0, "restarts", 0, "memoryBytes", 0);
    json_array_append_new(groups, group);
    return group;
}

static void group_add(json_t *group, const char *field, int64_t number)
{
    json_object_set_new(group, field, json_integer(view_number(group, field) + number));
}

/* The totals of a node's groups, in the order of their processes. */
static json_t *sum_groups(const json_t *status)
{
    static const char *const fields[] = {"slots", "slotsUsed", "restarts", "memoryBytes"};
    json_t *groups = json_array();
    size_t index;
    const json_t *process;
    json_array_foreach(json_object_get(status, "processes"), index, process)
    {
        if (view_text(process, "group")[0] == '\0')
            continue;
        json_t *group = find_group(groups, view_text(process, "group"));
        group_add(group, "workers", 1);
        group_add(group, "ready", strcmp(view_text(process, "state"), "ready") == 0);
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
            group_add(group, fields[i], view_number(process, fields[i]));
    }
    return groups;
}

/* Sessions that take tasks and that no node tells of: workers that somebody runs by hand, or whose
 * node is silent. */
static json_t *others(const json_t *sessions)
{
    json_t *list = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(sessions, index, row)
    {
        bool takes_tasks = json_array_size(json_object_get(row, "polls")) > 0 ||
                           json_array_size(json_object_get(row, "tasks")) > 0;
        if (!takes_tasks || json_object_get(row, "joined") != NULL)
            continue;
        take_session(row, row);
        json_object_del(row, "polls"); /* they are its queues now */
        json_array_append(list, row);
    }
    return list;
}

static int queue_order(const json_t *a, const json_t *b)
{
    int order = strcmp(view_text(a, "queue"), view_text(b, "queue"));
    return order != 0 ? order : strcmp(view_text(a, "kind"), view_text(b, "kind"));
}

/* Queues in the order of their names, without what belongs to no queue. */
static int fetch_queues(struct session *session, json_t **ret_queues, json_t **ret_stats,
                        struct error *err)
{
    json_t *stats;
    int code = session_call(session, "GetEngineStats", json_object(), &stats, err);
    if (code != 0)
        return code;
    json_t *queues = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(stats, "queues"), index, row)
    {
        size_t at = 0;
        if (view_text(row, "queue")[0] == '\0')
            continue;
        while (at < json_array_size(queues) && queue_order(json_array_get(queues, at), row) < 0)
            at++;
        json_array_insert(queues, at, row);
    }
    json_object_del(stats, "queues");
    *ret_queues = queues;
    *ret_stats = stats;
    return 0;
}

/* One node that is silent hides no other: it has "error". */
static json_t *fetch_node(struct session *session, const char *name, const json_t *sessions)
{
    struct error why = {0};
    json_t *reply;
    if (fleet_call(session, name, &(struct fleet_operation){.name = "STATUS"}, &reply, &why) != 0)
        return json_pack("{s:s, s:s}", "node", name, "error", why.text);
    json_t *status = json_incref(json_object_get(reply, "status"));
    json_decref(reply);
    join(status, sessions);
    json_object_set_new(status, "groups", sum_groups(status));
    return status;
}

static json_t *fetch_nodes(struct session *session, const json_t *names,
                           const struct fleet_question *question, const json_t *sessions)
{
    const char *only = question->node;
    json_t *nodes = json_array();
    size_t index;
    const json_t *name;
    json_array_foreach(names, index, name)
    {
        if (question->is_over != NULL && atomic_load(question->is_over))
            break;
        if (only == NULL || strcmp(only, json_string_value(name)) == 0)
            json_array_append_new(nodes, fetch_node(session, json_string_value(name), sessions));
    }
    return nodes;
}

/* ERR_NOT_FOUND names the nearest of the names. */
static int check_name(const char *node, const json_t *names, struct error *err)
{
    size_t index, count = json_array_size(names);
    const char **known = calloc(count + 1, sizeof known[0]);
    const json_t *name;
    bool is_known = node == NULL;
    if (known == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    json_array_foreach(names, index, name)
    {
        known[index] = json_string_value(name);
        is_known = is_known || strcmp(known[index], node) == 0;
    }
    const char *nearest = is_known ? NULL : nearest_name(node, known, count);
    int code = is_known ? 0 : error_set(err, ERR_NOT_FOUND, "no node \"%s\"", node);
    if (nearest != NULL)
        error_set(err, ERR_NOT_FOUND, "no node \"%s\" (did you mean \"%s\"?)", node, nearest);
    free(known);
    return code;
}

static int assemble(struct session *session, const json_t *reply, const json_t *names,
                    const struct fleet_question *question, json_t **ret_fleet, struct error *err)
{
    json_t *queues, *stats;
    json_t *sessions = json_object_get(reply, "sessions");
    json_t *paused = json_object_get(reply, "pausedQueues");
    int code = fetch_queues(session, &queues, &stats, err);
    if (code != 0)
        return code;
    json_t *nodes = fetch_nodes(session, names, question, sessions);
    /* A worker of a node that was not asked is not nobody's. */
    json_t *strangers = question->node == NULL ? others(sessions) : json_array();
    *ret_fleet =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "nodes", nodes, "others", strangers, "queues",
                  queues, "pausedQueues", paused != NULL ? json_incref(paused) : json_array(),
                  "engine", stats, "tasksLeftOut", (json_int_t)view_number(reply, "tasksLeftOut"));
    return *ret_fleet != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

int fleet_fetch(struct session *session, const struct fleet_question *question, json_t **ret_fleet,
                struct error *err)
{
    json_t *reply;
    int code = describe(session, question->waits, &reply, err);
    if (code != 0)
        return code;
    json_t *names = node_names(json_object_get(reply, "sessions"));
    code = check_name(question->node, names, err);
    if (code == 0)
        code = assemble(session, reply, names, question, ret_fleet, err);
    json_decref(names);
    json_decref(reply);
    return code;
}
