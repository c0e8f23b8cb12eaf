/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_fleet_drain: `argosy fleet drain|undrain`: workers of any node are taken out of a running
 * fleet, and put back (docs/operations.md). The order goes to each node; then the nodes' status is
 * looked at until all workers are where they are wanted. What goes away meanwhile (a link, the
 * engine) comes back: it is looked at again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command_table.h"
#include "cli/fleet_view.h"
#include "cli/message_view.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "common/clock.h"
#include "common/nearest.h"

#define LOOK_AGAIN_NS (100 * NS_PER_MS)
#define TIMEOUT_MS    600000

struct order {
    const char *operation; /* "DRAIN", "RESUME" */
    const char *target;    /* NULL: all workers */
    const char *wanted;    /* the state that it leads to */
    bool keep;
};

/* The workers that were meant. */
struct tally {
    uint64_t total, done, failed;
};

/* ---- which nodes and workers ---- */

static bool is_target(const json_t *process, const char *target)
{
    const char *group = view_text(process, "group");
    if (group[0] == '\0')
        return false;
    return target == NULL || strcmp(group, target) == 0 ||
           strcmp(view_text(process, "name"), target) == 0;
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

/* Adds the groups and workers of a node. */
static void add_names(json_t *names, const json_t *status)
{
    size_t index;
    const json_t *process;
    json_array_foreach(json_object_get(status, "processes"), index, process)
    {
        const char *group = view_text(process, "group");
        if (group[0] == '\0')
            continue;
        if (!has_name(names, group))
            json_array_append_new(names, json_string(group));
        json_array_append_new(names, json_string(view_text(process, "name")));
    }
}

/* Whether any of the nodes has such a group or worker. */
static int check_target(struct session *session, const json_t *nodes, const char *target,
                        struct error *err)
{
    size_t index;
    const json_t *node;
    json_t *names = json_array();
    int code = 0;
    json_array_foreach(nodes, index, node)
    {
        json_t *status;
        if (code == 0)
            code = fleet_call(session, json_string_value(node),
                              &(struct fleet_operation){.name = "STATUS"}, &status, err);
        if (code != 0)
            break;
        add_names(names, status);
        json_decref(status);
    }
    if (code == 0 && target != NULL && !has_name(names, target))
        code = say_unknown("worker or group", target, names, err);
    json_decref(names);
    return code;
}

/* ---- the order ---- */

/* Orders it on each node. A worker or group that one node does not have is another's. */
static int give_order(struct session *session, const json_t *nodes, const struct order *order,
                      struct error *err)
{
    size_t index;
    const json_t *node;
    const struct fleet_operation operation = {
        .name = order->operation, .target = order->target, .keep = order->keep};
    json_array_foreach(nodes, index, node)
    {
        json_t *status;
        int code = fleet_call(session, json_string_value(node), &operation, &status, err);
        if (code == 0)
            json_decref(status);
        else if (code != ERR_NOT_FOUND)
            return code;
    }
    return 0;
}

static void count_workers(const json_t *status, const struct order *order, struct tally *tally)
{
    size_t index;
    const json_t *process;
    json_array_foreach(json_object_get(status, "processes"), index, process)
    {
        if (!is_target(process, order->target))
            continue;
        const char *state = view_text(process, "state");
        tally->total++;
        tally->done += strcmp(state, order->wanted) == 0;
        tally->failed += strcmp(state, "failed") == 0; /* for good: it will not arrive */
    }
}

/* Whether all are where they are wanted, or will never be. A node that is away for now is looked
 * at again. */
static int look(struct session *session, const json_t *nodes, const struct order *order,
                struct tally *ret_tally, bool *ret_is_over, struct error *err)
{
    size_t index;
    const json_t *node;
    struct tally tally = {0};
    *ret_is_over = false;
    json_array_foreach(nodes, index, node)
    {
        json_t *status;
        int code = fleet_call(session, json_string_value(node),
                              &(struct fleet_operation){.name = "STATUS"}, &status, err);
        if (code == ERR_NOT_FOUND || error_disposition(code) == DISPOSITION_RETRY)
            return 0;
        if (code != 0)
            return code;
        count_workers(status, order, &tally);
        json_decref(status);
    }
    *ret_tally = tally;
    *ret_is_over = tally.done + tally.failed == tally.total;
    return 0;
}

static int wait_for_it(struct session *session, const json_t *nodes, const struct order *order,
                       const struct invocation *invocation, struct tally *ret_tally,
                       struct error *err)
{
    int64_t timeout_ms = parsed_duration_ms(&invocation->parsed, "timeout", TIMEOUT_MS);
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    bool is_over = false;
    struct progress progress;
    progress_open(&progress, invocation->json);
    progress_stage(&progress, order->wanted, "workers");
    int code;
    while ((code = look(session, nodes, order, ret_tally, &is_over, err)) == 0 && !is_over) {
        progress_update(&progress, ret_tally->done, ret_tally->total);
        if (clock_monotonic_ns() >= end_ns) {
            code = error_set(err, ERR_TIMEOUT, "%" PRIu64 " of %" PRIu64 " workers are %s so far",
                             ret_tally->done, ret_tally->total, order->wanted);
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
    }
    progress_close(&progress);
    return code;
}

static int carry_out(const struct invocation *invocation, struct order *order, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    order->target = parsed->argument_count > 0 ? parsed->arguments[0] : NULL;
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *nodes = NULL;
    struct tally tally = {0};
    code = choose_nodes(&session, parsed_text(parsed, "node"), &nodes, err);
    if (code == 0)
        code = check_target(&session, nodes, order->target, err);
    if (code == 0)
        code = give_order(&session, nodes, order, err);
    if (code == 0)
        code = wait_for_it(&session, nodes, order, invocation, &tally, err);
    json_decref(nodes);
    session_close(&session);
    if (code == 0 && tally.failed > 0)
        code = error_set(err, ERR_STATE,
                         "%" PRIu64 " of %" PRIu64 " workers failed (see argosy fleet status)",
                         tally.failed, tally.total);
    if (code != 0)
        return code;
    if (invocation->json)
        return output_json(
            json_pack("{s:s, s:I}", "state", order->wanted, "workers", (json_int_t)tally.done),
            err);
    printf("%" PRIu64 " worker%s %s\n", tally.done, tally.done == 1 ? "" : "s", order->wanted);
    return 0;
}

/* ---- commands ---- */

static const struct option keep_options[] = {
    {"keep", NULL, 0, OPTION_FLAG, NULL,
     "they stay down when their node is started again, until they are undrained", NULL},
    {0},
};

static const struct option where_options[] = {
    {"node", NULL, 0, OPTION_TEXT, "NODE", "on this node alone (on all)", NULL},
    {"timeout", NULL, 0, OPTION_DURATION, "TIME", "how long to wait for it (10m)", NULL},
    {0},
};

static int fleet_drain(const struct invocation *invocation, struct error *err)
{
    return carry_out(invocation,
                     &(struct order){.operation = "DRAIN",
                                     .wanted = "drained",
                                     .keep = parsed_has(&invocation->parsed, "keep")},
                     err);
}

static int fleet_undrain(const struct invocation *invocation, struct error *err)
{
    return carry_out(invocation, &(struct order){.operation = "RESUME", .wanted = "ready"}, err);
}

const struct command command_fleet_drain = {
    .name = "fleet drain",
    .summary = "end workers without losing a task; they stay down until undrained",
    .arguments = "[GROUP[/INDEX]]",
    .arguments_max = 1,
    .about =
        "They stop taking tasks, finish what fits their grace period, and hand the rest back,\n"
        "with its last checkpoint, to other workers at once. A drained worker stays down until\n"
        "argosy fleet undrain, or, without --keep, until its node is started again.",
    .example = "argosy fleet drain gpu/0\n"
               "argosy fleet drain gpu --keep\n"
               "argosy fleet drain cpu --node node-7",
    .options = {{keep_options, where_options, session_options, common_options}},
    .run = fleet_drain,
};

const struct command command_fleet_undrain = {
    .name = "fleet undrain",
    .summary = "start drained workers again",
    .arguments = "[GROUP[/INDEX]]",
    .arguments_max = 1,
    .example = "argosy fleet undrain gpu/0",
    .options = {{where_options, session_options, common_options}},
    .run = fleet_undrain,
};
