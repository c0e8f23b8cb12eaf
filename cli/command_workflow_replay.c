/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_workflow_replay: `argosy workflow replay`: saved histories against the code of plug-ins,
 * to know before a rollout whether it fits the runs that are under way. Needs no engine.
 */
#include <argosy/registry.h>
#include <argosy/replay.h>
#include <stdio.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/input.h"
#include "cli/output.h"
#include "common/limits.h"
#include "workflows/shipped.h"

#define HISTORIES_MAX 1000
/* As JSON: payloads are base64, events have names. */
#define HISTORY_TEXT_MAX (2 * LIMIT_HISTORY_SIZE)

static const struct option replay_options[] = {
    {"plugin", NULL, 'p', OPTION_LIST, "FILE", "a plug-in with workflows; repeatable", NULL},
    {0},
};

/* What a worker has: the shipped workflows, then those of the plug-ins. Nothing of it is called but
 * workflow functions, so that activities need nothing to work with. */
static int registry_fill(const struct parsed *parsed, struct argosy_registry *registry,
                         struct error *err)
{
    static struct shipped_context nothing;
    struct argosy_error why = {0};
    int code = shipped_register(registry, &nothing, &why);
    if (code != 0)
        return error_set(err, code, "%s", why.text);
    size_t cursor = 0;
    for (const char *plugin; (plugin = parsed_next(parsed, "plugin", &cursor)) != NULL;) {
        code = argosy_registry_load_plugin(registry, plugin, &why);
        if (code != 0)
            return error_set(err, code, "cannot load plug-in %s: %s", plugin, why.text);
    }
    return 0;
}

/* 0 with what does not fit, code 0 when all does, in ret_why; negative when the file is no history
 * of a workflow that is registered. */
static int replay_file(const struct argosy_registry *registry, const char *path,
                       struct argosy_error *ret_why, struct error *err)
{
    struct buffer text = {0};
    *ret_why = (struct argosy_error){0};
    int code = input_read_file(path, HISTORY_TEXT_MAX, &text, err);
    if (code == 0) {
        code = argosy_replay_history(registry, buffer_text(&text), ret_why);
        if (code == ARGOSY_ERR_NONDETERMINISM || code == ARGOSY_ERR_LIMIT)
            code = 0;
        else if (code != 0)
            error_set(err, code, "%s: %s", path, ret_why->text);
    }
    buffer_fini(&text);
    return code;
}

/* Prints, or appends to histories where that is not NULL. */
static void tell(const char *path, const struct argosy_error *why, json_t *histories)
{
    const char *mismatch = why->code == 0 ? NULL : why->text;
    if (histories != NULL) {
        json_array_append_new(histories, json_pack("{s:s, s:b, s:s*}", "file", path, "fits",
                                                   mismatch == NULL, "mismatch", mismatch));
        return;
    }
    struct buffer line = {0};
    buffer_printf(&line, "%s: ", path);
    if (mismatch == NULL)
        buffer_append_text(&line, "fits");
    else /* names in it are those of a file */
        output_safe(mismatch, strlen(mismatch), &line);
    puts(buffer_text(&line));
    buffer_fini(&line);
}

static int replay_all(const struct invocation *invocation, const struct argosy_registry *registry,
                      struct error *err)
{
    json_t *histories = invocation->json ? json_array() : NULL;
    if (invocation->json && histories == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = 0;
    bool all_fit = true;
    for (size_t i = 0; code == 0 && i < invocation->parsed.argument_count; i++) {
        const char *path = invocation->parsed.arguments[i];
        struct argosy_error why;
        code = replay_file(registry, path, &why, err);
        if (code == 0)
            tell(path, &why, histories);
        all_fit = all_fit && why.code == 0;
    }
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:O}", "histories", histories), err);
    json_decref(histories);
    return code != 0 ? code : all_fit ? EXIT_OK : EXIT_FAILED;
}

static int workflow_replay(const struct invocation *invocation, struct error *err)
{
    if (invocation->parsed.argument_count == 0)
        return command_usage(invocation, "a history is missing");
    struct argosy_registry *registry = argosy_registry_create();
    if (registry == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = registry_fill(&invocation->parsed, registry, err);
    if (code == 0)
        code = replay_all(invocation, registry, err);
    argosy_registry_destroy(registry);
    return code;
}

const struct command command_workflow_replay = {
    .name = "workflow replay",
    .summary = "do saved histories fit the code of a plug-in?",
    .arguments = "HISTORY...",
    .arguments_max = HISTORIES_MAX,
    .about = "HISTORY is what `argosy workflow show --output json` printed; - is standard input.\n"
             "Workflow code is run over it as a worker would, and nothing else happens: before a\n"
             "rollout it tells whether the new code fits the runs that are under way. Where it\n"
             "does not, the event, the expected and the actual command are named and the status\n"
             "is 1. The shipped workflows need no plug-in.",
    .example = "argosy workflow show order-1 --output json > order-1.json\n"
               "argosy workflow replay --plugin order.so order-1.json",
    .options = {{replay_options, common_options}},
    .run = workflow_replay,
};
