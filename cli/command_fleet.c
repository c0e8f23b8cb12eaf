/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_fleet: `argosy dev` and `argosy up`.
 *
 * dev and up become argosy-supervisor: signals, exit status and output are its own. What a user can
 * get wrong before that (the config, a model that is not there) is said here at once.
 */
#include <string.h>

#include "cli/command_table.h"
#include "cli/fleet_files.h"
#include "cli/fleet_plan.h"
#include "cli/program.h"
#include "common/fleet_config.h"
#include "common/hardware.h"

#define SUPERVISOR        "argosy-supervisor"
#define LOG_FORMAT_OPTION "--log-format=json" /* what --output json means for a fleet */

/* ---- dev ---- */

static const char *const device_choices[] = {"auto", "cuda", "cpu", NULL};

static const struct option dev_options[] = {
    {"data-dir", NULL, 0, OPTION_TEXT, "FOLDER",
     "where the store, sockets and models live (./.argosy)", NULL},
    {"model", NULL, 0, OPTION_TEXT, "NAME", "model of the GPU workers (" FLEET_MODEL_DEFAULT ")",
     NULL},
    {"device", NULL, 0, OPTION_CHOICE, "auto|cuda|cpu",
     "what GPU workers compute on (auto: CUDA where there is a GPU, else the CPU)", device_choices},
    {"cpu-workers", NULL, 0, OPTION_NUMBER, "N", "CPU worker processes (one per two processors)",
     NULL},
    {0},
};

static int dev_config(const struct parsed *parsed, struct fleet_config **ret_config,
                      struct error *err)
{
    struct hardware hardware;
    struct fleet_dev_options options = {
        .data_dir = parsed_text(parsed, "data-dir"),
        .model = parsed_text(parsed, "model"),
        .cpu_workers = (int)parsed_number(parsed, "cpu-workers", 0),
    };
    const char *device = parsed_text(parsed, "device");
    for (int i = 0; device != NULL && device_choices[i] != NULL; i++)
        if (strcmp(device, fleet_device_name((enum fleet_device)i)) == 0)
            options.device = (enum fleet_device)i;
    hardware_detect("", &hardware);
    return fleet_config_default(&options, &hardware, ret_config, err);
}

static int dev(const struct invocation *invocation, struct error *err)
{
    static const char *const passed_on[] = {"data-dir", "model", "device", "cpu-workers"};
    static const char *const names[] = {"--data-dir", "--model", "--device", "--cpu-workers"};
    const struct parsed *parsed = &invocation->parsed;
    if (parsed_has(parsed, "cpu-workers") && parsed_number(parsed, "cpu-workers", 0) == 0)
        return command_usage(invocation, "--cpu-workers must be at least 1");
    struct fleet_config *config;
    int code = dev_config(parsed, &config, err);
    if (code != 0)
        return code;
    code = fleet_models_check(config, err);
    fleet_config_destroy(config);
    if (code != 0)
        return code;
    const char *arguments[2 + 2 * 4 + 1 + 1] = {SUPERVISOR, "--dev"};
    size_t count = 2;
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
        if (!parsed_has(parsed, passed_on[i]))
            continue;
        arguments[count++] = names[i];
        arguments[count++] = parsed_text(parsed, passed_on[i]);
    }
    if (invocation->json)
        arguments[count++] = LOG_FORMAT_OPTION;
    return program_exec(SUPERVISOR, arguments, err);
}

/* ---- up ---- */

static const struct option up_options[] = {
    {"config", NULL, 'c', OPTION_TEXT, "FILE", "the node's config; also as the argument", NULL},
    {"dry-run", NULL, 0, OPTION_FLAG, NULL, "print which process would run where, and end", NULL},
    {0},
};

static int up(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *file = parsed_text(parsed, "config");
    if (file == NULL && parsed->argument_count > 0)
        file = parsed->arguments[0];
    if (file == NULL)
        return command_usage(invocation, "--config is missing");
    if (parsed_has(parsed, "dry-run"))
        return fleet_plan_run(invocation, file, err);
    if (fleet_plan_is_asked(invocation))
        return command_usage(invocation, "--xml, --synthetic and --svg go with --dry-run");
    struct fleet_config *config;
    int code = fleet_config_load(file, &config, err);
    if (code != 0)
        return code;
    code = fleet_plugins_check(config, err);
    if (code == 0)
        code = fleet_models_check(config, err);
    fleet_config_destroy(config);
    if (code != 0)
        return code;
    return program_exec(SUPERVISOR,
                        (const char *const[]){SUPERVISOR, "--config", file,
                                              invocation->json ? LOG_FORMAT_OPTION : NULL, NULL},
                        err);
}

const struct command command_dev = {
    .name = "dev",
    .summary = "run everything in this terminal: engine, CPU and GPU workers",
    .arguments = "",
    .about =
        "Needs no config. Prints where each process runs, then what happens; \"fleet ready\" says\n"
        "that it serves. Ctrl-C drains and ends it. With --output json the log on standard error\n"
        "is JSON, one record on each line, and nothing else is printed.",
    .example = "argosy dev\n"
               "argosy dev --data-dir /tmp/argosy --cpu-workers 4 --device cpu",
    .options = {{dev_options, common_options}},
    .run = dev,
};

const struct command command_up = {
    .name = "up",
    .summary = "run the node of a config file",
    .arguments = "[FILE]",
    .arguments_max = 1,
    .about =
        "Prints and ends as argosy dev does. With --output json the log on standard error is JSON.",
    .example = "argosy up -c fleet.yaml\n"
               "argosy up -c fleet.yaml --dry-run --xml machine.xml",
    .options = {{up_options, fleet_plan_options, common_options}},
    .run = up,
};
