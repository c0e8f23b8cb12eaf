/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_order: see fleet_order.h. */
#include "cli/fleet_order.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/message_view.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "common/clock.h"
#include "common/nearest.h"

#define LOOK_AGAIN_NS (100 * NS_PER_MS)
#define TIMEOUT_MS    600000

/* The processes that were meant. */
struct tally {
    uint64_t total, in_line, arrived, lost;
};

const struct option fleet_order_options[] = {
    {"node", NULL, 0, OPTION_TEXT, "NODE", "on this node alone (on all)", NULL},
    {"timeout", NULL, 0, OPTION_DURATION, "TIME", "how long to wait for it (10m)", NULL},
    {0},
};

/* ---- which nodes and workers ---- */

/* Workers; the node's own processes only by name. */
static bool is_target(const json_t *process, const struct fleet_order *order)
{
    const char *target = order->operation.target;
    const char *group = view_text(process, "group");
    if (order->is_targetless)
        return true;
    if (target == NULL)
        return group[0] != '\0';
    return strcmp(group, target) == 0 || strcmp(view_text(process, "name"), target) == 0;
}

/* ERR_NOT_FOUND: there is no such thing among names, which are strings. */
static int say_unknown(const char *what, const char *name, const json_t *names, struct error *err)
{
    const char **known = calloc(json_array_size(names) + 1, sizeof known[0]);
    if (known == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < json_array_size(names); i++)
        known[i] = json_string_value(json_array_get(names, i));
    const char *nearest = nearest_name(name, known, json_array_size(names));
    int code = nearest != NULL
                   ? error_set(err, ERR_NOT_FOUND, "no %s \"%s\" (did you mean \"%s\"?)", what,
                               name, nearest)
                   : error_set(err, ERR_NOT_FOUND, "no %s \"%s\"", what, name);
    free(known);
    return code;
}

static bool has_name(const json_t *names, const char *name)
{
    size_t index;
    const json_t *row;
    json_array_foreach(names, index, row)
    {
        if (strcmp(json_string_value(row), name) == 0)
            return true;
    }
    return false;
}

/* The nodes that are meant; the caller releases the list. */
static int choose_nodes(struct session *session, const char *node, json_t **ret_nodes,
                        struct error *err)
{
    json_t *nodes;
    int code = fleet_nodes(session, &nodes, err);
    if (code != 0)
        return code;
    if (json_array_size(nodes) == 0)
        code = error_set(err, ERR_NOT_FOUND, "no node is connected");
    else if (node != NULL && !has_name(nodes, node))
        code = say_unknown("node", node, nodes, err);
    if (code == 0)
        *ret_nodes = node != NULL ? json_pack("[s]", node) : json_incref(nodes);
    json_decref(nodes);
    return code;
}

/* Adds the groups and processes of a node. */
static void add_names(json_t *names, const json_t *status)
{
    size_t index;
    const json_t *process;
    json_array_foreach(json_object_get(status, "processes"), index, process)
    {
        const char *group = view_text(process, "group");
        if (group[0] != '\0' && !has_name(names, group))
            json_array_append_new(names, json_string(group));
        json_array_append_new(names, json_string(view_text(process, "name")));
    }
}

/* The groups and processes that the nodes tell of; each of them answers. The caller releases the
 * list. */
static int collect_names(struct session *session, const json_t *nodes, json_t **ret_names,
                         struct error *err)
{
    size_t index;
    const json_t *node;
    json_t *names = json_array();
    json_array_foreach(nodes, index, node)
    {
        json_t *reply;
        int code = fleet_call(session, json_string_value(node),
                              &(struct fleet_operation){.name = "STATUS"}, &reply, err);
        if (code != 0) {
            json_decref(names);
            return code;
        }
        add_names(names, json_object_get(reply, "status"));
        json_decref(reply);
    }
    *ret_names = names;
    return 0;
}

/* ---- the order ---- */

/* Orders it on each node; texts is a list of what the nodes did. A target that one node does not
 * have is another's; ERR_NOT_FOUND: it is nobody's. */
static int tell_nodes(struct session *session, const json_t *nodes, const struct fleet_order *order,
                      json_t *texts, struct error *err)
{
    size_t index;
    const json_t *node;
    int code = 0;
    json_array_foreach(nodes, index, node)
    {
        const char *name = json_string_value(node);
        json_t *reply = NULL;
        code = fleet_call(session, name, &order->operation, &reply, err);
        if (code == 0)
            json_array_append_new(
                texts, json_pack("{s:s, s:s}", "node", name, "text", view_text(reply, "text")));
        json_decref(reply);
        if (code != 0 && code != ERR_NOT_FOUND)
            return code;
    }
    return json_array_size(texts) > 0 ? 0 : code;
}

/* Only the nodes know all targets: a group that was scaled to nothing has no process to tell of.
 * What is like the target is for the error. */
static int give_order(struct session *session, const json_t *nodes, const struct fleet_order *order,
                      json_t *texts, struct error *err)
{
    const char *target = order->operation.target;
    json_t *names;
    int code = collect_names(session, nodes, &names, err);
    if (code != 0)
        return code;
    code = tell_nodes(session, nodes, order, texts, err);
    if (code == ERR_NOT_FOUND && target != NULL && !has_name(names, target))
        code = say_unknown("worker or group", target, names, err);
    json_decref(names);
    return code;
}

static void tally_node(const json_t *status, const struct fleet_order *order, struct tally *tally)
{
    size_t index;
    const json_t *process;
    json_array_foreach(json_object_get(status, "processes"), index, process)
    {
        if (!is_target(process, order))
            continue;
        enum fleet_arrival arrival = order->look(process);
        tally->total++;
        tally->in_line += arrival == FLEET_IN_LINE;
        tally->arrived += arrival == FLEET_ARRIVED;
        tally->lost += arrival == FLEET_LOST;
    }
}

/* Whether all are where they are wanted, or will never be. A node that is away for now is looked
 * at again. */
static int look(struct session *session, const json_t *nodes, const struct fleet_order *order,
                struct tally *ret_tally, bool *ret_is_over, struct error *err)
{
    size_t index;
    const json_t *node;
    struct tally tally = {0};
    *ret_is_over = false;
    json_array_foreach(nodes, index, node)
    {
        json_t *reply;
        int code = fleet_call(session, json_string_value(node),
                              &(struct fleet_operation){.name = "STATUS"}, &reply, err);
        if (code == ERR_NOT_FOUND || error_disposition(code) == DISPOSITION_RETRY)
            return 0;
        if (code != 0)
            return code;
        tally_node(json_object_get(reply, "status"), order, &tally);
        json_decref(reply);
    }
    *ret_tally = tally;
    /* Behind one that is lost the others stay in line. */
    uint64_t settled = tally.arrived + tally.lost;
    *ret_is_over =
        settled == tally.total || (tally.lost > 0 && settled + tally.in_line == tally.total);
    return 0;
}

static const char *plural(const struct fleet_order *order, uint64_t count)
{
    if (count == 1)
        return "";
    return strcmp(order->noun, "process") == 0 ? "es" : "s";
}

static int wait_for_it(struct session *session, const json_t *nodes,
                       const struct fleet_order *order, const struct invocation *invocation,
                       struct tally *ret_tally, struct error *err)
{
    int64_t timeout_ms = parsed_duration_ms(&invocation->parsed, "timeout", TIMEOUT_MS);
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    bool is_over = false;
    struct progress progress;
    progress_open(&progress, invocation->json);
    progress_stage(&progress, order->wanted, "workers");
    int code;
    while ((code = look(session, nodes, order, ret_tally, &is_over, err)) == 0 && !is_over) {
        progress_update(&progress, ret_tally->arrived, ret_tally->total);
        if (clock_monotonic_ns() >= end_ns) {
            code = error_set(err, ERR_TIMEOUT, "%" PRIu64 " of %" PRIu64 " %s%s are %s so far",
                             ret_tally->arrived, ret_tally->total, order->noun, plural(order, 2),
                             order->wanted);
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
    }
    progress_close(&progress);
    return code;
}

static int print_outcome(const struct invocation *invocation, const struct fleet_order *order,
                         const struct tally *tally, json_t *texts, struct error *err)
{
    size_t index;
    const json_t *row;
    if (invocation->json)
        return output_json(json_pack("{s:s, s:I, s:O}", "state", order->wanted, "processes",
                                     (json_int_t)tally->arrived, "nodes", texts),
                           err);
    json_array_foreach(texts, index, row)
    {
        if (view_text(row, "text")[0] != '\0')
            printf("%s: %s\n", view_text(row, "node"), view_text(row, "text"));
    }
    printf("%" PRIu64 " %s%s %s\n", tally->arrived, order->noun, plural(order, tally->arrived),
           order->wanted);
    return 0;
}

int fleet_order_run(const struct invocation *invocation, struct fleet_order *order,
                    struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    if (!order->is_targetless)
        order->operation.target = parsed->argument_count > 0 ? parsed->arguments[0] : NULL;
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *nodes = NULL;
    json_t *texts = json_array();
    struct tally tally = {0};
    code = choose_nodes(&session, parsed_text(parsed, "node"), &nodes, err);
    if (code == 0)
        code = give_order(&session, nodes, order, texts, err);
    if (code == 0)
        code = wait_for_it(&session, nodes, order, invocation, &tally, err);
    json_decref(nodes);
    session_close(&session);
    if (code == 0 && tally.lost > 0)
        code = error_set(err, ERR_STATE,
                         "%" PRIu64 " of %" PRIu64 " %s%s failed (see argosy fleet status)",
                         tally.lost, tally.total, order->noun, plural(order, 2));
    if (code == 0)
        code = print_outcome(invocation, order, &tally, texts, err);
    json_decref(texts);
    return code;
}
