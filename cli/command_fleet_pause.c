/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_fleet_pause: `argosy fleet pause|resume`: nothing of a queue is handed to workers until
 * it is resumed (docs/operations.md).
 */
#include <inttypes.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/message_view.h"
#include "cli/output.h"
#include "cli/queue_name.h"
#include "cli/session.h"

static const struct option pause_options[] = {
    {"keep", NULL, 0, OPTION_FLAG, NULL, "keep it over restarts of the engine", NULL},
    {"new", NULL, 0, OPTION_FLAG, NULL, "the queue may be one that nobody has used yet", NULL},
    {0},
};

struct wish {
    bool is_paused, is_kept;
    bool is_any_name; /* also of a queue that nobody has used */
};

static int carry_out(const struct invocation *invocation, const struct wish *wish,
                     struct error *err)
{
    if (invocation->parsed.argument_count != 1)
        return command_usage(invocation, "needs a queue");
    const char *queue = invocation->parsed.arguments[0];
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *reply;
    if (!wish->is_any_name)
        code = queue_name_check(&session, queue, err);
    if (code == 0)
        code = session_call(&session, "SetQueueLimit",
                            json_pack("{s:s, s:b, s:b}", "taskQueue", queue, "paused",
                                      wish->is_paused, "keep", wish->is_kept),
                            &reply, err);
    if (code == 0 && invocation->json)
        code = output_json(reply, err);
    else if (code == 0) {
        printf("%s: %s\n", queue, wish->is_paused ? "paused" : "resumed");
        json_decref(reply);
    }
    session_close(&session);
    return code;
}

static int fleet_pause(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    return carry_out(invocation,
                     &(struct wish){.is_paused = true,
                                    .is_kept = parsed_has(parsed, "keep"),
                                    .is_any_name = parsed_has(parsed, "new")},
                     err);
}

static int fleet_resume(const struct invocation *invocation, struct error *err)
{
    return carry_out(invocation, &(struct wish){.is_paused = false}, err);
}

const struct command command_fleet_pause = {
    .name = "fleet pause",
    .summary = "hand nothing of a queue to workers until it is resumed",
    .arguments = "QUEUE",
    .arguments_max = 1,
    .about =
        "Holds at once, for activities and workflow tasks. What runs goes on and completes;\n"
        "what comes waits, and its timeouts run on, as without workers. Ends with the engine,\n"
        "or, with --keep, with argosy fleet resume alone.",
    .example = "argosy fleet pause gpu-queue\n"
               "argosy fleet pause gpu-queue --keep",
    .options = {{pause_options, session_options, common_options}},
    .run = fleet_pause,
};

const struct command command_fleet_resume = {
    .name = "fleet resume",
    .summary = "hand out again what waits in a paused queue",
    .arguments = "QUEUE",
    .arguments_max = 1,
    .example = "argosy fleet resume gpu-queue",
    .options = {{session_options, common_options}},
    .run = fleet_resume,
};
