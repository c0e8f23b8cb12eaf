/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_fleet_status: `argosy fleet status`: a running fleet, from anywhere that reaches its
 * engine (docs/operations.md).
 */
#include "cli/command_table.h"
#include "cli/drawing.h"
#include "cli/fleet_tree.h"
#include "cli/fleet_view.h"
#include "cli/output.h"
#include "cli/session.h"

#define TASKS_SHOWN 10

static const struct option status_options[] = {
    {"node", NULL, 0, OPTION_TEXT, "NAME", "one node only", NULL},
    {"tasks", NULL, 0, OPTION_NUMBER, "N", "tasks shown of each worker, the longest first (10)",
     NULL},
    {0},
};

static int status_print(const json_t *fleet, size_t tasks_max, struct error *err)
{
    struct style style;
    style_detect(stdout, &style);
    struct drawing drawing = {.style = &style};
    fleet_tree_draw(fleet, tasks_max, &drawing);
    int code = 0;
    if (drawing.text.failed)
        code = error_set(err, ERR_MEMORY, "could not print the fleet: out of memory");
    else
        fputs(buffer_text(&drawing.text), stdout);
    drawing_fini(&drawing);
    return code;
}

static int fleet_status(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *fleet = NULL;
    struct fleet_question question = {.node = parsed_text(parsed, "node"), .waits = true};
    code = fleet_fetch(&session, &question, &fleet, err);
    if (code == 0 && invocation->json)
        code = output_json(json_incref(fleet), err);
    else if (code == 0)
        code = status_print(fleet, (size_t)parsed_number(parsed, "tasks", TASKS_SHOWN), err);
    json_decref(fleet);
    session_close(&session);
    return code;
}

const struct command command_fleet_status = {
    .name = "fleet status",
    .summary = "nodes, their groups and workers, and what these work on",
    .arguments = "",
    .about =
        "A tree: of each node its own processes, its GPUs, then its groups and their workers with\n"
        "state, restarts, memory, slots used and where they are pinned; below each worker how\n"
        "its last process died and what it works on, with the progress of the last heartbeat;\n"
        "then the queues. argosy top shows the same live.",
    .example = "argosy fleet status\n"
               "argosy fleet status --node node-1 --tasks 0\n"
               "argosy fleet status --output json | jq '.nodes[].processes[].state'",
    .options = {{status_options, session_options, common_options}},
    .run = fleet_status,
};
