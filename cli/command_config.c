/* SPDX-License-Identifier: Apache-2.0 */
/* command_config: `argosy config check` and `show`. */
#include <string.h>

#include "cli/command_table.h"
#include "cli/fleet_files.h"
#include "cli/output.h"
#include "common/fleet_config.h"
#include "common/hardware.h"

static const struct option config_options[] = {
    {"config", NULL, 'c', OPTION_TEXT, "FILE", "the config file; also as the argument", NULL},
    {0},
};

static const char *file_of(const struct parsed *parsed)
{
    const char *file = parsed_text(parsed, "config");
    return file == NULL && parsed->argument_count > 0 ? parsed->arguments[0] : file;
}

static int config_check(const struct invocation *invocation, struct error *err)
{
    const char *file = file_of(&invocation->parsed);
    if (file == NULL)
        return command_usage(invocation, "--config is missing");
    struct fleet_config *config;
    int code = fleet_config_load(file, &config, err);
    if (code != 0)
        return code;
    code = fleet_plugins_check(config, err);
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:s, s:b, s:I}", "config", file, "valid", 1, "groups",
                                     (json_int_t)config->group_count),
                           err);
    else if (code == 0)
        printf("%s: valid, %zu worker group%s\n", file, config->group_count,
               config->group_count == 1 ? "" : "s");
    fleet_config_destroy(config);
    return code;
}

static int config_show(const struct invocation *invocation, struct error *err)
{
    const char *file = file_of(&invocation->parsed);
    struct fleet_config *config;
    struct hardware hardware;
    int code;
    if (file != NULL) {
        code = fleet_config_load(file, &config, err);
    } else {
        hardware_detect("", &hardware);
        code = fleet_config_default(NULL, &hardware, &config, err);
    }
    if (code != 0)
        return code;
    struct buffer out = {0};
    fleet_config_print(config, &out);
    if (out.failed)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if (invocation->json)
        code = output_json(
            json_pack("{s:s, s:s}", "source", config->source, "yaml", buffer_text(&out)), err);
    else
        fputs(buffer_text(&out), stdout);
    buffer_fini(&out);
    fleet_config_destroy(config);
    return code;
}

const struct command command_config_check = {
    .name = "config check",
    .summary = "say whether a config file is right, without starting anything",
    .arguments = "[FILE]",
    .arguments_max = 1,
    .about =
        "An error names the file, the line, the key and the nearest known key (exit status 78).",
    .example = "argosy config check fleet.yaml",
    .options = {{config_options, common_options}},
    .run = config_check,
};

const struct command command_config_show = {
    .name = "config show",
    .summary =
        "the effective config: a file, or this machine's defaults, with every value filled in",
    .arguments = "[FILE]",
    .arguments_max = 1,
    .example = "argosy config show > fleet.yaml\n"
               "argosy config show fleet.yaml",
    .options = {{config_options, common_options}},
    .run = config_show,
};
