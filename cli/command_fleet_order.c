/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_fleet_order: `argosy fleet drain|undrain|restart|scale|reload|upgrade`: changing a
 * running fleet without losing a task (docs/operations.md).
 */
#include <stdlib.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/fleet_order.h"
#include "cli/message_view.h"
#include "common/fleet_config.h"

static bool has_state(const json_t *process, const char *state)
{
    return strcmp(view_text(process, "state"), state) == 0;
}

/* Serves, in a process that was started since it was to be restarted. */
/* The plan no longer has it: it is there until it is gone, whatever its state. */
static bool is_retired(const json_t *process)
{
    return json_is_true(json_object_get(process, "retired"));
}

static enum fleet_arrival look_ready(const json_t *process)
{
    if (is_retired(process))
        return FLEET_UNDER_WAY;
    if (has_state(process, "failed"))
        return FLEET_LOST;
    bool is_stale = json_is_true(json_object_get(process, "stale"));
    if (!has_state(process, "ready"))
        return FLEET_UNDER_WAY;
    return is_stale ? FLEET_IN_LINE : FLEET_ARRIVED;
}

/* Whoever an operator wants down is where it is wanted, too. */
static enum fleet_arrival look_settled(const json_t *process)
{
    bool is_down = has_state(process, "drained") && !is_retired(process);
    return is_down ? FLEET_ARRIVED : look_ready(process);
}

static enum fleet_arrival look_drained(const json_t *process)
{
    if (has_state(process, "failed"))
        return FLEET_LOST;
    return has_state(process, "drained") ? FLEET_ARRIVED : FLEET_UNDER_WAY;
}

/* ---- drain, undrain ---- */

static const struct option keep_options[] = {
    {"keep", NULL, 0, OPTION_FLAG, NULL, "it holds when the node is started again, too", NULL},
    {0},
};

static int fleet_drain(const struct invocation *invocation, struct error *err)
{
    struct fleet_order order = {
        .operation = {.name = "DRAIN", .keep = parsed_has(&invocation->parsed, "keep")},
        .noun = "worker",
        .wanted = "drained",
        .look = look_drained};
    return fleet_order_run(invocation, &order, err);
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
    .options = {{keep_options, fleet_order_options, session_options, common_options}},
    .run = fleet_drain,
};

static int fleet_undrain(const struct invocation *invocation, struct error *err)
{
    struct fleet_order order = {
        .operation = {.name = "UNDRAIN"}, .noun = "worker", .wanted = "ready", .look = look_ready};
    return fleet_order_run(invocation, &order, err);
}

const struct command command_fleet_undrain = {
    .name = "fleet undrain",
    .summary = "start drained workers again",
    .arguments = "[GROUP[/INDEX]]",
    .arguments_max = 1,
    .example = "argosy fleet undrain gpu/0",
    .options = {{fleet_order_options, session_options, common_options}},
    .run = fleet_undrain,
};

/* ---- restart ---- */

static int fleet_restart(const struct invocation *invocation, struct error *err)
{
    struct fleet_order order = {.operation = {.name = "RESTART"},
                                .noun = "process",
                                .wanted = "ready",
                                .look = look_settled};
    return fleet_order_run(invocation, &order, err);
}

const struct command command_fleet_restart = {
    .name = "fleet restart",
    .summary = "replace processes one after the other, without losing a task or much capacity",
    .arguments = "[GROUP[/INDEX]|engine|storage|link]",
    .arguments_max = 1,
    .about =
        "Each drains and is started again from the program and configuration that are there now.\n"
        "Of a group no more than max_unavailable are away at once; a new process that does not\n"
        "become ready holds up the others. Without an argument: all workers.",
    .example = "argosy fleet restart gpu\n"
               "argosy fleet restart engine",
    .options = {{fleet_order_options, session_options, common_options}},
    .run = fleet_restart,
};

/* ---- reload ---- */

static int fleet_reload(const struct invocation *invocation, struct error *err)
{
    struct fleet_order order = {.operation = {.name = "RELOAD"},
                                .noun = "process",
                                .wanted = "ready",
                                .is_targetless = true,
                                .look = look_settled};
    return fleet_order_run(invocation, &order, err);
}

const struct command command_fleet_reload = {
    .name = "fleet reload",
    .summary = "have nodes read their configuration files again",
    .arguments = "",
    .about =
        "Says what changed, and waits until it is applied, with as few restarts as it takes. An\n"
        "error in a file, or a change that a running node cannot make, changes nothing there.",
    .example = "argosy fleet reload --node node-7",
    .options = {{fleet_order_options, session_options, common_options}},
    .run = fleet_reload,
};

/* ---- upgrade ---- */

static int fleet_upgrade(const struct invocation *invocation, struct error *err)
{
    struct fleet_order order = {.operation = {.name = "UPGRADE"},
                                .noun = "process",
                                .wanted = "ready",
                                .is_targetless = true,
                                .look = look_settled};
    return fleet_order_run(invocation, &order, err);
}

const struct command command_fleet_upgrade = {
    .name = "fleet upgrade",
    .summary = "replace supervisors in place by the program that is installed now",
    .arguments = "",
    .about =
        "Workers, the engine and storage go on running, and keep the program that they were\n"
        "started from: argosy fleet restart replaces them, too. A new program that cannot take\n"
        "over is not used, and nothing happens.",
    .example = "argosy fleet upgrade --node node-7\n"
               "argosy fleet restart",
    .options = {{fleet_order_options, session_options, common_options}},
    .run = fleet_upgrade,
};

/* ---- scale ---- */

static const struct option scale_options[] = {
    {"reset", NULL, 0, OPTION_FLAG, NULL, "instead of N: back to what the configuration says",
     NULL},
    {0},
};

static int fleet_scale(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    bool is_reset = parsed_has(parsed, "reset");
    long count = -1;
    if (parsed->argument_count != (is_reset ? 1 : 2))
        return command_usage(invocation, is_reset ? "needs a group, and no number beside --reset"
                                                  : "needs a group and a number of processes");
    if (is_reset && parsed_has(parsed, "keep"))
        return command_usage(invocation, "--reset stands alone");
    if (!is_reset) {
        char *end;
        count = strtol(parsed->arguments[1], &end, 10);
        if (end == parsed->arguments[1] || *end != '\0' || count < 0 || count > FLEET_PROCESSES_MAX)
            return command_usage(invocation, "\"%s\" is no number of processes from 0 to %d",
                                 parsed->arguments[1], FLEET_PROCESSES_MAX);
    }
    struct fleet_order order = {
        .operation = {.name = "SCALE", .count = (int)count, .keep = parsed_has(parsed, "keep")},
        .noun = "worker",
        .wanted = "ready",
        .look = look_settled};
    return fleet_order_run(invocation, &order, err);
}

const struct command command_fleet_scale = {
    .name = "fleet scale",
    .summary = "how many processes a group has on each of its nodes",
    .arguments = "GROUP [N]",
    .arguments_max = 2,
    .about = "Those that are too many drain. Without --keep it holds until the node is started\n"
             "again; a reload of the configuration leaves it as it is.",
    .example = "argosy fleet scale cpu 8\n"
               "argosy fleet scale cpu 8 --keep --node node-7\n"
               "argosy fleet scale cpu --reset",
    .options = {{scale_options, keep_options, fleet_order_options, session_options,
                 common_options}},
    .run = fleet_scale,
};
