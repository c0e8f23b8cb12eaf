/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_fleet_report: `argosy fleet report`: what a bug report about this node needs, in one
 * file, without payloads and secrets (docs/operations.md, "Reporting a bug").
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/command_table.h"
#include "cli/fleet_view.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/session.h"

static const struct option report_options[] = {
    {"with-output", NULL, 0, OPTION_FLAG, NULL,
     "also what workflows, activities and plug-ins wrote into the log: it may be anybody's data",
     NULL},
    {"with-cores", NULL, 0, OPTION_FLAG, NULL,
     "also core dumps: they hold payloads, models and keys", NULL},
    {0},
};

/* What runs in the data folder that the options name; else what the file says would. */
static int load_config(const struct parsed *parsed, struct fleet_config **ret_config,
                       struct error *err)
{
    char path[SESSION_PATH_SIZE];
    struct fleet_config *config = NULL;
    int code = session_config_path(parsed, path, err);
    if (code == 0 && path[0] == '\0')
        return error_set(err, ERR_NOT_FOUND,
                         "no fleet has run here (name its data folder with --data-dir)");
    if (code == 0)
        code = fleet_config_load(path, &config, err);
    if (code != 0)
        return code;
    snprintf(path, sizeof path, "%s/" FLEET_EFFECTIVE, config->data_dir);
    if (access(path, F_OK) != 0) {
        *ret_config = config;
        return 0;
    }
    fleet_config_destroy(config);
    return fleet_config_load(path, ret_config, err);
}

static int learn_secrets(struct report *report, struct fleet_config *config, struct error *err)
{
    char path[64];
    struct buffer environment = {0};
    snprintf(path, sizeof path, "/proc/%d/environ", (int)report->supervisor_pid);
    if (report->supervisor_pid != 0 && !report_read(path, &environment))
        report_miss(report, "the supervisor's environment, to take its values out",
                    strerror(errno));
    bool is_done =
        report_scrub_config(&report->scrub, config) &&
        report_scrub_environment(&report->scrub, (const char *)environment.data, environment.size);
    buffer_fini(&environment);
    return is_done ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

/* fleet.json: what `argosy fleet status` shows, from the engine. */
static int add_status(const struct invocation *invocation, struct report *report, struct error *err)
{
    struct session session;
    struct error why = {0};
    json_t *fleet = NULL;
    if (session_open(invocation, &session, &why) != 0) {
        report_miss(report, "fleet.json", why.text);
        return 0;
    }
    int code = fleet_fetch(&session, &(struct fleet_question){.waits = true}, &fleet, &why);
    session_close(&session);
    if (code != 0) {
        report_miss(report, "fleet.json", why.text);
        return 0;
    }
    report_scrub_status(fleet);
    char *dumped = json_dumps(fleet, JSON_INDENT(2));
    json_decref(fleet);
    struct buffer text = {.failed = dumped == NULL};
    buffer_append_text(&text, dumped != NULL ? dumped : "");
    free(dumped);
    return report_add(report, "fleet.json", &text, err);
}

/* report.txt: what is in it, and what is not. */
static int add_contents(struct report *report, struct error *err)
{
    struct buffer text = {0};
    size_t index;
    const json_t *row;
    buffer_printf(&text, "argosy fleet report of node %s, and of no other\n\n",
                  report->config->node);
    json_array_foreach(report->contents, index, row)
    {
        buffer_printf(&text, "%10lld  %s\n",
                      (long long)json_integer_value(json_object_get(row, "bytes")),
                      json_string_value(json_object_get(row, "file")));
    }
    buffer_append_text(&text, "\nnot in it\n");
    buffer_append_text(&text, "  payloads, results, heartbeats, values of environment variables\n");
    if (!report->with_output)
        buffer_append_text(&text,
                           "  what workflows, activities and plug-ins wrote (--with-output)\n");
    json_array_foreach(report->missing, index, row)
    {
        buffer_printf(&text, "  %s: %s\n", json_string_value(json_object_get(row, "what")),
                      json_string_value(json_object_get(row, "why")));
    }
    return report_add(report, "report.txt", &text, err);
}

static int add_parts(const struct invocation *invocation, struct report *report, struct error *err)
{
    char http[128];
    int code = report_machine(report, err);
    if (code == 0)
        code = report_config(report, err);
    if (code == 0)
        code = report_log(report, http, err);
    if (code == 0)
        code = report_metrics(report, http, err);
    if (code == 0)
        code = report_crashes(report, err);
    if (code == 0)
        code = add_status(invocation, report, err);
    return code == 0 ? add_contents(report, err) : code;
}

static int print_result(const struct invocation *invocation, const struct report *report,
                        const char *path, struct error *err)
{
    struct stat info;
    char bytes[OUTPUT_BYTES_SIZE];
    size_t index;
    const json_t *row;
    if (stat(path, &info) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    if (invocation->json)
        return output_json(json_pack("{s:s, s:I, s:O, s:O}", "file", path, "bytes",
                                     (json_int_t)info.st_size, "contents", report->contents,
                                     "missing", report->missing),
                           err);
    json_array_foreach(report->contents, index, row)
    {
        printf("%10s  %s\n",
               output_bytes((double)json_integer_value(json_object_get(row, "bytes")), bytes),
               json_string_value(json_object_get(row, "file")));
    }
    json_array_foreach(report->missing, index, row)
    {
        printf("%10s  %s: %s\n", "-", json_string_value(json_object_get(row, "what")),
               json_string_value(json_object_get(row, "why")));
    }
    printf("%s: %s. Look through it before you send it; other nodes have their own.\n", path,
           output_bytes((double)info.st_size, bytes));
    return 0;
}

static int write_report(const struct invocation *invocation, struct report *report,
                        struct error *err)
{
    char folder[TAR_FOLDER_MAX + 1];
    char when[32];
    char path[sizeof folder + 16];
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    snprintf(folder, sizeof folder, "argosy-report-%s-%s", report->config->node, when);
    snprintf(path, sizeof path, "%s.tar.gz", folder);
    const struct parsed *parsed = &invocation->parsed;
    const char *chosen = parsed->argument_count > 0 ? parsed->arguments[0] : path;
    int code = tar_file_create(chosen, folder, &report->tar, err);
    if (code != 0)
        return code;
    code = add_parts(invocation, report, err);
    if (code == 0)
        code = tar_file_finish(report->tar, err);
    else
        tar_file_discard(report->tar);
    return code == 0 ? print_result(invocation, report, chosen, err) : code;
}

static int fleet_report(const struct invocation *invocation, struct error *err)
{
    struct fleet_config *config = NULL;
    int code = load_config(&invocation->parsed, &config, err);
    if (code != 0)
        return code;
    struct report report = {
        .config = config,
        .with_output = parsed_has(&invocation->parsed, "with-output"),
        .with_cores = parsed_has(&invocation->parsed, "with-cores"),
        .supervisor_pid = report_supervisor(config->data_dir),
        .contents = json_array(),
        .missing = json_array(),
    };
    code = learn_secrets(&report, config, err);
    if (code == 0)
        code = write_report(invocation, &report, err);
    json_decref(report.contents);
    json_decref(report.missing);
    report_scrub_fini(&report.scrub);
    fleet_config_destroy(config);
    return code;
}

const struct command command_fleet_report = {
    .name = "fleet report",
    .summary = "pack what a bug report about this node needs, without payloads",
    .arguments = "[FILE]",
    .arguments_max = 1,
    .about = "Versions, machine, limits, config without secrets, placement, status, metrics, "
             "deaths and\n"
             "last log lines, as a .tar.gz. What cannot be had (the engine is down) is said in it. "
             "Run it\n"
             "on each node that is concerned: it packs the node of its data folder.",
    .example = "argosy fleet report\n"
               "argosy fleet report node-7.tar.gz --config fleet.yaml",
    .options = {{report_options, session_options, common_options}},
    .run = fleet_report,
};
