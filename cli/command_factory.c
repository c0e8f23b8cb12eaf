/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_factory: `argosy run`, `argosy start`, `argosy factory list` and `show`: workflows by a
 * name of the config's section factory:. Input and name are checked before a connection is made.
 */
#include <argosy/factory.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run_watch.h"
#include "cli/session.h"
#include "cli/wait_hint.h"

/* The registry of the config that the command line points at, else the built-in one. */
static int factory_open(const struct invocation *invocation, struct argosy_factory **ret_factory,
                        struct error *err)
{
    char path[SESSION_PATH_SIZE];
    struct argosy_error why = {0};
    int code = session_config_path(&invocation->parsed, path, err);
    if (code != 0)
        return code;
    code = argosy_factory_open(path[0] != '\0' ? path : NULL, ret_factory, &why);
    return code == 0 ? 0 : session_error(&why, err);
}

static int json_load(const char *text, json_t **ret_json, struct error *err)
{
    *ret_json = json_loads(text, 0, NULL);
    return *ret_json != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* --- run and start ---------------------------------------------------------------------------- */

/* A start by name, from the command line to the engine's answer. */
struct named_start {
    const char *name;
    struct inputs inputs;
    struct argosy_factory *factory;
    json_t *entry;
    struct argosy_factory_run run;
};

static void start_fini(struct named_start *start)
{
    json_decref(start->entry);
    argosy_factory_close(start->factory);
    inputs_fini(&start->inputs);
}

/* 0, EXIT_USAGE or a negative code; start_fini either way. */
static int start_read(const struct invocation *invocation, struct named_start *start,
                      struct argosy_arena *arena, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    if (parsed->argument_count == 0)
        return command_usage(invocation, "the name is missing: \"argosy factory list\" shows them");
    start->name = parsed->arguments[0];
    int code = inputs_read(parsed, &start->inputs, err);
    if (code == 0 && start->inputs.count != 1)
        return command_usage(invocation, "--input is needed once: one JSON value");
    if (code == 0)
        code = factory_open(invocation, &start->factory, err);
    if (code != 0)
        return code;
    struct argosy_error why = {0};
    struct argosy_start_options options;
    const char *entry;
    code = argosy_factory_show(start->factory, start->name, arena, &entry, &why);
    if (code == 0)
        code =
            argosy_factory_prepare(start->factory, start->name,
                                   buffer_text(&start->inputs.documents[0]), arena, &options, &why);
    return code == 0 ? json_load(entry, &start->entry, err) : session_error(&why, err);
}

static int start_send(struct session *session, struct named_start *start, struct error *err)
{
    struct argosy_error why = {0};
    int code = argosy_factory_start(start->factory, session->client, start->name,
                                    buffer_text(&start->inputs.documents[0]), &start->run, &why);
    if (code != 0)
        return session_error(&why, err);
    wait_hint_start(session, member(start->entry, "type"), member(start->entry, "task_queue"));
    return 0;
}

static int start_print(const struct invocation *invocation, const struct named_start *start,
                       struct error *err)
{
    const char *type = member(start->entry, "type");
    const char *queue = member(start->entry, "task_queue");
    if (invocation->json)
        return output_json(json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", start->name, "workflowId",
                                     start->run.workflow_id, "runId", start->run.run_id, "type",
                                     type, "taskQueue", queue),
                           err);
    printf("%s: %s\n  workflow id  %s\n  run id       %s\n  task queue   %s\n", start->name, type,
           start->run.workflow_id, start->run.run_id, queue);
    return 0;
}

static int run_by_name(const struct invocation *invocation, bool waits, struct error *err)
{
    struct named_start start = {0};
    struct argosy_arena *arena = argosy_arena_create();
    if (arena == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    struct session session;
    int code = start_read(invocation, &start, arena, err);
    if (code == 0)
        code = session_open(invocation, &session, err);
    if (code == 0) {
        code = start_send(&session, &start, err);
        if (code == 0 && waits && !invocation->json)
            fprintf(stderr, "workflow id %s, run id %s\n", start.run.workflow_id, start.run.run_id);
        if (code == 0)
            code = waits ? run_watch(invocation, &session, start.run.workflow_id, start.run.run_id,
                                     err)
                         : start_print(invocation, &start, err);
        session_close(&session);
    }
    start_fini(&start);
    argosy_arena_destroy(arena);
    return code;
}

static int run_and_wait(const struct invocation *invocation, struct error *err)
{
    return run_by_name(invocation, true, err);
}

static int start_only(const struct invocation *invocation, struct error *err)
{
    return run_by_name(invocation, false, err);
}

/* --- looking ---------------------------------------------------------------------------------- */

static int list_print(const json_t *workflows, struct error *err)
{
    struct table table;
    table_init(&table,
               (const char *const[]){"NAME", "TYPE", "TASK QUEUE", "ID", "DESCRIPTION", NULL});
    size_t index;
    const json_t *entry;
    json_array_foreach(workflows, index, entry)
        table_add(&table, member(entry, "name"), member(entry, "type"), member(entry, "task_queue"),
                  member(entry, "id"), member(entry, "description"));
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

/* Text of the registry as a document: all of it, or the entry called name. */
static int factory_load(const struct invocation *invocation, const char *name, json_t **ret_json,
                        struct error *err)
{
    struct argosy_factory *factory;
    int code = factory_open(invocation, &factory, err);
    if (code != 0)
        return code;
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_error why = {0};
    const char *text;
    if (arena == NULL)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if ((code = name != NULL ? argosy_factory_show(factory, name, arena, &text, &why)
                                  : argosy_factory_list(factory, arena, &text, &why)) != 0)
        session_error(&why, err);
    else
        code = json_load(text, ret_json, err);
    argosy_arena_destroy(arena);
    argosy_factory_close(factory);
    return code;
}

static int factory_list(const struct invocation *invocation, struct error *err)
{
    json_t *list;
    int code = factory_load(invocation, NULL, &list, err);
    if (code != 0)
        return code;
    if (invocation->json)
        return output_json(list, err);
    code = list_print(json_object_get(list, "workflows"), err);
    json_decref(list);
    return code;
}

static int show_print(const json_t *entry, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)entry, name, value)
    {
        char *text = json_is_string(value)
                         ? NULL
                         : json_dumps(value, JSON_ENCODE_ANY |
                                                 (strcmp(name, "input") == 0 ? JSON_INDENT(2) : 0));
        if (!json_is_string(value) && text == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        printf("%-20s %s\n", name, text != NULL ? text : json_string_value(value));
        free(text);
    }
    return 0;
}

static int factory_show(const struct invocation *invocation, struct error *err)
{
    if (invocation->parsed.argument_count == 0)
        return command_usage(invocation, "the name is missing");
    json_t *entry;
    int code = factory_load(invocation, invocation->parsed.arguments[0], &entry, err);
    if (code != 0)
        return code;
    if (invocation->json)
        return output_json(entry, err);
    code = show_print(entry, err);
    json_decref(entry);
    return code;
}

const struct command command_factory_run = {
    .name = "run",
    .summary = "start a workflow by its name in the config, wait, print its result",
    .arguments = "NAME",
    .arguments_max = 1,
    .about = "The config says type, queue, policies and how the workflow id is made of the input. "
             "An\n"
             "input that does not fit the schema is refused before anything starts. A repeated\n"
             "request with the same id joins the run that is under way. Progress is shown where "
             "the\n"
             "workflow tells it.",
    .example = "argosy run infer --input '\"Hello world\"'\n"
               "argosy run ingest -c fleet.yaml --input-file document.json",
    .options = {{input_options, session_options, common_options}},
    .run = run_and_wait,
};

const struct command command_factory_start = {
    .name = "start",
    .summary = "start a workflow by its name in the config, without waiting",
    .arguments = "NAME",
    .arguments_max = 1,
    .about = "As \"argosy run\", but returns when the engine has the run on disk.",
    .example = "argosy start infer --input '{\"text\": \"Hello world\"}'",
    .options = {{input_options, session_options, common_options}},
    .run = start_only,
};

const struct command command_factory_list = {
    .name = "factory list",
    .summary = "the names that \"argosy run\" knows",
    .arguments = "",
    .about = "Without --config: the registry of the fleet that last used the data folder, else "
             "the\n"
             "built-in one.",
    .example = "argosy factory list\n"
               "argosy factory list -c fleet.yaml --output json",
    .options = {{session_options, common_options}},
    .run = factory_list,
};

const struct command command_factory_show = {
    .name = "factory show",
    .summary = "one entry: type, queue, policies and the schema of its input",
    .arguments = "NAME",
    .arguments_max = 1,
    .example = "argosy factory show infer\n"
               "argosy factory show infer --output json",
    .options = {{session_options, common_options}},
    .run = factory_show,
};
