/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_fleet_operate: `argosy fleet status|set-concurrency|drain|resume`: a running fleet, from
 * anywhere that reaches its engine (docs/operations.md).
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

/* ---- status ---- */

static int fleet_status(const struct invocation *invocation, struct error *err)
{
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *fleet = NULL;
    code = fleet_fetch(&session, &fleet, err);
    if (code == 0 && invocation->json)
        code = output_json(json_incref(fleet), err);
    else if (code == 0)
        code = fleet_print(fleet, err);
    json_decref(fleet);
    session_close(&session);
    return code;
}

const struct command command_fleet_status = {
    .name = "fleet status",
    .summary = "nodes, their processes, and what workers are working on",
    .arguments = "",
    .example = "argosy fleet status\n"
               "argosy fleet status --output json | jq '.nodes[].processes[].state'",
    .options = {{session_options, common_options}},
    .run = fleet_status,
};

/* ---- set-concurrency ---- */

static const struct option concurrency_options[] = {
    {"per-process", NULL, 0, OPTION_FLAG, NULL,
     "N is for each worker process (its slots); without, over the whole fleet", NULL},
    {"keep", NULL, 0, OPTION_FLAG, NULL,
     "keep it over restarts of the engine, before what its config says", NULL},
    {"reset", NULL, 0, OPTION_FLAG, NULL, "instead of N: back to what configs say", NULL},
    {0},
};

static bool parse_bound(const char *text, int64_t *ret_bound)
{
    char *end;
    long bound = strtol(text, &end, 10);
    if (end == text || *end != '\0' || bound < 0 || bound > INT32_MAX)
        return false;
    *ret_bound = bound;
    return true;
}

static void concurrency_print(const char *queue, const json_t *reply)
{
    int64_t bound = view_number(reply, "maxInFlight");
    int64_t slots = view_number(reply, "slots");
    printf("%s: ", queue);
    if (bound > 0)
        printf("at most %" PRId64 " at once over the fleet", bound);
    else
        printf("no bound over the fleet");
    if (slots > 0)
        printf(", %" PRId64 " in each process\n", slots);
    else
        printf(", in each process as it was configured\n");
}

static int set_concurrency(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    bool is_reset = parsed_has(parsed, "reset");
    bool is_kept = parsed_has(parsed, "keep");
    int64_t bound = 0;
    if (parsed->argument_count != (is_reset ? 1 : 2))
        return command_usage(invocation, is_reset ? "needs a queue, and no number beside --reset"
                                                  : "needs a queue and a number");
    if (!is_reset && !parse_bound(parsed->arguments[1], &bound))
        return command_usage(invocation, "\"%s\" is no number of tasks", parsed->arguments[1]);
    if (is_reset && (is_kept || parsed_has(parsed, "per-process")))
        return command_usage(invocation, "--reset stands alone");
    const char *field = parsed_has(parsed, "per-process") ? "slots" : "maxInFlight";
    json_t *request = json_pack("{s:s}", "taskQueue", parsed->arguments[0]);
    if (is_reset)
        json_object_set_new(request, "reset", json_true());
    else
        json_object_set_new(request, field, json_integer(bound));
    if (is_kept)
        json_object_set_new(request, "keep", json_true());

    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0) {
        json_decref(request);
        return code;
    }
    json_t *reply;
    code = session_call(&session, "SetQueueLimit", request, &reply, err);
    if (code == 0 && invocation->json)
        code = output_json(reply, err);
    else if (code == 0) {
        concurrency_print(parsed->arguments[0], reply);
        json_decref(reply);
    }
    session_close(&session);
    return code;
}

const struct command command_fleet_set_concurrency = {
    .name = "fleet set-concurrency",
    .summary = "how many activities of a queue run at once",
    .arguments = "QUEUE [N]",
    .arguments_max = 2,
    .about = "Holds at once; what runs is left alone. 0 is no bound over the fleet, and with\n"
             "--per-process what each process was configured with.",
    .example = "argosy fleet set-concurrency gpu-queue 32\n"
               "argosy fleet set-concurrency cpu-queue 4 --per-process --keep\n"
               "argosy fleet set-concurrency gpu-queue --reset",
    .options = {{concurrency_options, session_options, common_options}},
    .run = set_concurrency,
};

/* ---- drain, resume ---- */

#define LOOK_AGAIN_NS (100 * NS_PER_MS)
#define TIMEOUT_MS    600000

static const struct option drain_options[] = {
    {"node", NULL, 0, OPTION_TEXT, "NODE", "on this node alone (on all)", NULL},
    {"timeout", NULL, 0, OPTION_DURATION, "TIME", "how long to wait for it (10m)", NULL},
    {0},
};

struct order {
    const char *operation; /* "DRAIN", "RESUME" */
    const char *target;    /* NULL: all workers */
    const char *wanted;    /* the state that it leads to */
};

static bool is_target(const json_t *process, const char *target)
{
    const char *group = view_text(process, "group");
    if (group[0] == '\0')
        return false;
    return target == NULL || strcmp(group, target) == 0 ||
           strcmp(view_text(process, "name"), target) == 0;
}

/* Counts the node's workers that were meant, and those that have arrived. One that failed for good
 * will not. */
static void count_workers(const json_t *status, const struct order *order, uint64_t *total,
                          uint64_t *done)
{
    size_t index;
    const json_t *process;
    json_array_foreach(json_object_get(status, "processes"), index, process)
    {
        if (!is_target(process, order->target))
            continue;
        const char *state = view_text(process, "state");
        *total += 1;
        *done += strcmp(state, order->wanted) == 0 || strcmp(state, "failed") == 0;
    }
}

/* Orders it on each node. A worker or group that one node does not have may be another's. */
static int give_order(struct session *session, const json_t *nodes, const struct order *order,
                      struct error *err)
{
    size_t index;
    const json_t *name;
    size_t taken = 0;
    int code = 0;
    json_array_foreach(nodes, index, name)
    {
        json_t *status;
        code = fleet_call(session, json_string_value(name), order->operation, order->target,
                          &status, err);
        if (code == 0) {
            json_decref(status);
            taken++;
        } else if (code != ERR_NOT_FOUND) {
            return code;
        }
    }
    if (json_array_size(nodes) == 0)
        return error_set(err, ERR_NOT_FOUND, "no node is connected");
    return taken > 0 ? 0 : code;
}

static int look(struct session *session, const json_t *nodes, const struct order *order,
                uint64_t *ret_total, uint64_t *ret_done, struct error *err)
{
    size_t index;
    const json_t *name;
    *ret_total = *ret_done = 0;
    json_array_foreach(nodes, index, name)
    {
        json_t *status;
        int code = fleet_call(session, json_string_value(name), "STATUS", NULL, &status, err);
        if (code != 0)
            return code;
        count_workers(status, order, ret_total, ret_done);
        json_decref(status);
    }
    return 0;
}

static int wait_for_it(struct session *session, const json_t *nodes, const struct order *order,
                       const struct invocation *invocation, uint64_t *ret_total, struct error *err)
{
    int64_t timeout_ms = parsed_duration_ms(&invocation->parsed, "timeout", TIMEOUT_MS);
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    uint64_t done = 0;
    struct progress progress;
    progress_open(&progress, invocation->json);
    progress_stage(&progress, order->wanted, "workers");
    int code;
    while ((code = look(session, nodes, order, ret_total, &done, err)) == 0) {
        progress_update(&progress, done, *ret_total);
        if (done == *ret_total)
            break;
        if (clock_monotonic_ns() >= end_ns) {
            code = error_set(err, ERR_TIMEOUT, "%" PRIu64 " of %" PRIu64 " workers are %s so far",
                             done, *ret_total, order->wanted);
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
    }
    progress_close(&progress);
    return code;
}

static int chosen_nodes(struct session *session, const struct parsed *parsed, json_t **ret_nodes,
                        struct error *err)
{
    const char *node = parsed_text(parsed, "node");
    if (node == NULL)
        return fleet_nodes(session, ret_nodes, err);
    *ret_nodes = json_pack("[s]", node);
    return *ret_nodes != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
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
    uint64_t total = 0;
    code = chosen_nodes(&session, parsed, &nodes, err);
    if (code == 0)
        code = give_order(&session, nodes, order, err);
    if (code == 0)
        code = wait_for_it(&session, nodes, order, invocation, &total, err);
    json_decref(nodes);
    session_close(&session);
    if (code != 0)
        return code;
    if (invocation->json)
        return output_json(
            json_pack("{s:s, s:I}", "state", order->wanted, "workers", (json_int_t)total), err);
    printf("%" PRIu64 " worker%s %s\n", total, total == 1 ? "" : "s", order->wanted);
    return 0;
}

static int fleet_drain(const struct invocation *invocation, struct error *err)
{
    return carry_out(invocation, &(struct order){.operation = "DRAIN", .wanted = "drained"}, err);
}

static int fleet_resume(const struct invocation *invocation, struct error *err)
{
    return carry_out(invocation, &(struct order){.operation = "RESUME", .wanted = "ready"}, err);
}

const struct command command_fleet_drain = {
    .name = "fleet drain",
    .summary = "end workers without losing a task; they stay down until resumed",
    .arguments = "[GROUP[/INDEX]]",
    .arguments_max = 1,
    .about =
        "They stop taking tasks, finish what fits their grace period, and hand the rest back,\n"
        "with its last checkpoint, to other workers at once. A drained worker stays down until\n"
        "argosy fleet resume, or until its node is started again.",
    .example = "argosy fleet drain gpu/0\n"
               "argosy fleet drain cpu --node node-7",
    .options = {{drain_options, session_options, common_options}},
    .run = fleet_drain,
};

const struct command command_fleet_resume = {
    .name = "fleet resume",
    .summary = "start drained workers again",
    .arguments = "[GROUP[/INDEX]]",
    .arguments_max = 1,
    .example = "argosy fleet resume gpu/0",
    .options = {{drain_options, session_options, common_options}},
    .run = fleet_resume,
};
