/* SPDX-License-Identifier: Apache-2.0 */
/* command_config: `argosy config check` and `show`. */
#include <string.h>

#include "cli/command_table.h"
#include "cli/fleet_files.h"
#include "cli/output.h"
#include "common/fleet_config.h"
#include "common/hardware.h"
#include "common/yaml_schema.h"

static const struct option check_options[] = {
    {"config", NULL, 'c', OPTION_TEXT, "FILE", "the config file; also as the argument", NULL},
    {0},
};

static const struct option show_options[] = {
    {"config", NULL, 'c', OPTION_TEXT, "FILE", "the config file; also as the argument", NULL},
    {"effective", NULL, 0, OPTION_FLAG, NULL, "every key, with its default where no file has it",
     NULL},
    {"secrets", NULL, 0, OPTION_FLAG, NULL, "with --effective: the values of environment, too",
     NULL},
    {0},
};

static const char *file_of(const struct parsed *parsed)
{
    const char *file = parsed_text(parsed, "config");
    return file == NULL && parsed->argument_count > 0 ? parsed->arguments[0] : file;
}

static json_t *files_view(const struct fleet_config *config)
{
    json_t *files = json_array();
    for (size_t i = 0; i < config->file_count; i++)
        json_array_append_new(files, json_string(config->files[i]));
    return files;
}

/* Check */

static json_t *lines_view(struct buffer *text)
{
    json_t *lines = json_array();
    const char *at = buffer_text(text);
    for (const char *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
        json_array_append_new(lines, json_stringn(at, (size_t)(end - at)));
    return lines;
}

/* Several errors are printed here, and err becomes their number. */
static int report_problems(const struct invocation *invocation, const char *file,
                           struct yaml_problems *problems, struct error *err)
{
    int code = err->code;
    struct error ignored; /* the command fails anyway */
    if (problems->text.failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (invocation->json)
        output_json(json_pack("{s:s, s:b, s:o}", "config", file, "valid", 0, "problems",
                              lines_view(&problems->text)),
                    &ignored);
    else if (problems->count > 1)
        fputs(buffer_text(&problems->text), stderr);
    return problems->count > 1 ? error_set(err, code, "%s: %zu errors", file, problems->count)
                               : code;
}

static int report_valid(const struct invocation *invocation, const char *file,
                        const struct fleet_config *config, struct error *err)
{
    if (invocation->json)
        return output_json(json_pack("{s:s, s:b, s:o, s:I}", "config", file, "valid", 1, "files",
                                     files_view(config), "groups", (json_int_t)config->group_count),
                           err);
    printf("%s: valid, %zu worker group%s", file, config->group_count,
           config->group_count == 1 ? "" : "s");
    if (config->file_count > 1)
        printf(", from %zu files", config->file_count);
    printf("\n");
    return 0;
}

static int config_check(const struct invocation *invocation, struct error *err)
{
    const char *file = file_of(&invocation->parsed);
    if (file == NULL)
        return command_usage(invocation, "--config is missing");
    struct hardware hardware;
    struct yaml_problems problems = {0};
    const struct fleet_config_request request = {
        .path = file, .hardware = &hardware, .problems = &problems};
    struct fleet_config *config = NULL;
    hardware_detect("", &hardware);
    int code = fleet_config_read(&request, &config, err);
    if (code == 0)
        code = fleet_plugins_check(config, err);
    if (code == 0)
        code = report_valid(invocation, file, config, err);
    else if (problems.count > 0)
        code = report_problems(invocation, file, &problems, err);
    yaml_problems_fini(&problems);
    fleet_config_destroy(config);
    return code;
}

/* Show */

/* is_written: with variables' names, not their values. */
static json_t *text_view(const struct yaml_node *node, bool is_written)
{
    if (node->is_null)
        return json_null();
    const char *text = is_written ? node->written : node->text;
    bool is_text = strcmp(text, node->text) != 0 || yaml_scalar(node) == YAML_SCALAR_TEXT;
    /* What looks like a JSON number is one, but for those that jansson cannot hold. */
    json_t *value = is_text ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);
    return value != NULL ? value : json_string(text);
}

static json_t *tree_view(const struct yaml_node *node, bool is_written)
{
    if (node->kind == YAML_TEXT)
        return text_view(node, is_written);
    json_t *view = node->kind == YAML_MAP ? json_object() : json_array();
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next) {
        if (node->kind == YAML_MAP)
            json_object_set_new(view, at->key, tree_view(at, is_written));
        else
            json_array_append_new(view, tree_view(at, is_written));
    }
    return view;
}

/* Takes view. */
static int show_json(const struct fleet_config *config, json_t *view, struct error *err)
{
    return output_json(json_pack("{s:s, s:o, s:o}", "source", config->source, "files",
                                 files_view(config), "config", view),
                       err);
}

/* The effective YAML as a value: read, so that it says what the text says. Dollar signs, which
 * stand double in it, stay as they are. */
static int show_effective_json(const struct fleet_config *config, struct buffer *yaml,
                               struct error *err)
{
    static const struct yaml_source source = {.name = "effective"};
    struct arena arena;
    struct yaml_node *root;
    arena_init(&arena, ARENA_NO_LIMIT);
    int code = yaml_parse(buffer_text(yaml), yaml->size, &source, &arena, &root, err);
    if (code == 0)
        code = show_json(config, tree_view(root, false), err);
    arena_fini(&arena);
    return code;
}

/* Which files it comes from, where they are several. */
static void print_files(const struct fleet_config *config, struct buffer *out)
{
    for (size_t i = 0; i < config->file_count && config->file_count > 1; i++)
        buffer_printf(out, "# %s %s\n", i == 0 ? "file" : "includes", config->files[i]);
}

static int show(const struct invocation *invocation, const struct fleet_config *config,
                struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    /* Of defaults there is nothing else to show. */
    bool is_effective = parsed_has(parsed, "effective") || config->file_count == 0;
    struct buffer out = {0};
    int code = 0;
    if (!invocation->json)
        print_files(config, &out);
    if (!is_effective)
        yaml_print_tree(config->tree, config->file_count > 1, &out);
    else if (parsed_has(parsed, "secrets"))
        fleet_config_print(config, &out);
    else
        fleet_config_print_public(config, &out);
    if (out.failed)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if (invocation->json && is_effective)
        code = show_effective_json(config, &out, err);
    else if (invocation->json)
        code = show_json(config, tree_view(config->tree, true), err);
    else
        fputs(buffer_text(&out), stdout);
    buffer_fini(&out);
    return code;
}

static int config_show(const struct invocation *invocation, struct error *err)
{
    const char *file = file_of(&invocation->parsed);
    struct fleet_config *config;
    struct hardware hardware;
    hardware_detect("", &hardware);
    int code = file != NULL ? fleet_config_load_for(file, &hardware, &config, err)
                            : fleet_config_default(NULL, &hardware, &config, err);
    if (code != 0)
        return code;
    code = show(invocation, config, err);
    fleet_config_destroy(config);
    return code;
}

const struct command command_config_check = {
    .name = "config check",
    .summary = "say whether a config file is right, without starting anything",
    .arguments = "[FILE]",
    .arguments_max = 1,
    .about =
        "An error names the file, the line, the key and the nearest known key (exit status 78).\n"
        "Wrong keys and values are all named, in the files that it includes, too; what concerns\n"
        "several keys is looked at when each is right.",
    .example = "argosy config check fleet.yaml",
    .options = {{check_options, common_options}},
    .run = config_check,
};

const struct command command_config_show = {
    .name = "config show",
    .summary = "a config file with what it includes as one, or this machine's defaults",
    .arguments = "[FILE]",
    .arguments_max = 1,
    .about =
        "As it is written: a variable's name stands, not its value. --effective fills in every\n"
        "key; values of environment, which may be secrets, read \"(hidden)\" without --secrets.\n"
        "Without a file the defaults are shown, which is --effective.",
    .example = "argosy config show > fleet.yaml\n"
               "argosy config show --effective fleet.yaml",
    .options = {{show_options, common_options}},
    .run = config_show,
};
