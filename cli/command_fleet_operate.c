/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_fleet_operate: `argosy fleet set-concurrency`: bounds of a running fleet, from anywhere
 * that reaches its engine (docs/operations.md).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/message_view.h"
#include "cli/output.h"
#include "cli/queue_name.h"
#include "cli/session.h"

static const struct option concurrency_options[] = {
    {"per-process", NULL, 0, OPTION_FLAG, NULL,
     "N is for each worker process (its slots); without, over the whole fleet", NULL},
    {"keep", NULL, 0, OPTION_FLAG, NULL,
     "keep it over restarts of the engine, before what its config says", NULL},
    {"reset", NULL, 0, OPTION_FLAG, NULL, "instead of N: back to what configs say", NULL},
    {"new", NULL, 0, OPTION_FLAG, NULL, "the queue may be one that nobody has used yet", NULL},
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
    if (!parsed_has(parsed, "new"))
        code = queue_name_check(&session, parsed->arguments[0], err);
    if (code == 0)
        code = session_call(&session, "SetQueueLimit", json_incref(request), &reply, err);
    json_decref(request);
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
