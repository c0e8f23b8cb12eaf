/* SPDX-License-Identifier: Apache-2.0 */
/* eval_request: see eval_request.h. */
#include "cli/eval_request.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workflows/artifact_reference.h"
#include "workflows/evaluation/evaluate.h"

const struct option eval_options[] = {
    {"model", NULL, 'm', OPTION_TEXT, "NAME", "the model, NAME or NAME@VERSION", NULL},
    {"baseline", NULL, 0, OPTION_TEXT, "RUN",
     "compare with an earlier evaluation: a workflow id, or a report (*.json)", NULL},
    {"baseline-model", NULL, 0, OPTION_TEXT, "NAME",
     "compare with a model, which answers the same suite now", NULL},
    {"minimum", NULL, 0, OPTION_LIST, "METRIC=N", "fail below it; may be given again", NULL},
    {"maximum-drop", NULL, 0, OPTION_LIST, "METRIC=N",
     "fail this far below the baseline; may be given again", NULL},
    {"report", NULL, 0, OPTION_LIST, "FILE",
     "write the report: *.json, else a page of HTML; may be given again", NULL},
    {"check", NULL, 0, OPTION_FLAG, NULL, "only check the suite", NULL},
    {"workflow-id", "id", 'w', OPTION_TEXT, "ID", "the run's id (eval-SUITE-MODEL)", NULL},
    {0},
};

static bool is_json_file(const char *name)
{
    size_t size = strlen(name);
    return size > 5 && strcmp(name + size - 5, ".json") == 0;
}

static int suite_open(struct eval_request *request, struct error *err)
{
    struct stat about;
    int fd = open(request->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                               "cannot open %s", request->path);
    int code = fstat(fd, &about) == 0 && S_ISREG(about.st_mode)
                   ? suite_read(fd, NULL, NULL, &request->suite, err)
                   : error_set(err, ERR_INVALID, "%s is no file", request->path);
    close(fd);
    return code;
}

/* "accuracy=0.9" into limits. */
static int limit_read(const char *option, const char *text, json_t *limits, struct error *err)
{
    const char *equals = strchr(text, '=');
    char name[METRIC_NAME_SIZE], *end = NULL;
    double limit = equals != NULL ? strtod(equals + 1, &end) : 0;
    if (equals == NULL || end == equals + 1 || *end != '\0' ||
        (size_t)(equals - text) >= sizeof name)
        return error_set(err, ERR_INVALID, "--%s must be METRIC=NUMBER, not \"%s\"", option, text);
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    return json_object_set_new(limits, name, json_real(limit)) == 0
               ? 0
               : error_set(err, ERR_INVALID, "--%s: \"%s\" is no metric and number", option, text);
}

static int limits_read(const struct parsed *parsed, const char *option, json_t **ret_limits,
                       struct error *err)
{
    size_t cursor = 0;
    const char *text;
    int code = 0;
    *ret_limits = json_object();
    while (code == 0 && (text = parsed_next(parsed, option, &cursor)) != NULL)
        code = limit_read(option, text, *ret_limits, err);
    return code;
}

/* Names and numbers of thresholds, where the suite's metrics are known. */
static int limits_check(const struct eval_request *request, struct error *err)
{
    struct metric_list metrics = request->suite->metrics;
    if (request->suite->error_count > 0)
        return 0;
    int code = metric_list_limit(&metrics, true, request->minimum, err);
    return code == 0 ? metric_list_limit(&metrics, false, request->maximum_drop, err) : code;
}

/* Before the work, not after it. */
static int reports_check(const struct parsed *parsed, struct error *err)
{
    size_t cursor = 0;
    const char *path;
    int code = 0;
    while (code == 0 && (path = parsed_next(parsed, "report", &cursor)) != NULL) {
        char *copy = strdup(path);
        if (copy == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        const char *folder = dirname(copy);
        if (access(folder, W_OK) != 0)
            code = error_set(err, ERR_NOT_FOUND, "cannot write into the folder %s", folder);
        free(copy);
    }
    return code;
}

static int id_make(struct eval_request *request, const char *given, struct error *err)
{
    int length = given != NULL
                     ? asprintf(&request->workflow_id, "%s", given)
                     : asprintf(&request->workflow_id, EVALUATE_WORKFLOW_ID, request->suite->name,
                                request->model != NULL ? request->model : "");
    if (length < 0) {
        request->workflow_id = NULL;
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    return 0;
}

int eval_request_read(const struct invocation *invocation, struct eval_request *request,
                      struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *baseline = parsed_text(parsed, "baseline");
    *request = (struct eval_request){.model = parsed_text(parsed, "model"),
                                     .baseline_model = parsed_text(parsed, "baseline-model")};
    if (parsed->argument_count != 1)
        return command_usage(invocation, "the suite's file is needed");
    if (request->model == NULL && !parsed_has(parsed, "check"))
        return command_usage(invocation, "--model is needed");
    if (baseline != NULL && request->baseline_model != NULL)
        return command_usage(invocation, "--baseline and --baseline-model exclude each other");
    request->path = parsed->arguments[0];
    if (baseline != NULL)
        *(is_json_file(baseline) ? &request->baseline_path : &request->baseline_run) = baseline;
    int code = limits_read(parsed, "minimum", &request->minimum, err);
    if (code == 0)
        code = limits_read(parsed, "maximum-drop", &request->maximum_drop, err);
    if (code == 0)
        code = suite_open(request, err);
    if (code == 0)
        code = limits_check(request, err);
    if (code == 0)
        code = reports_check(parsed, err);
    return code == 0 ? id_make(request, parsed_text(parsed, "workflow-id"), err) : code;
}

void eval_request_fini(struct eval_request *request)
{
    suite_destroy(request->suite);
    json_decref(request->minimum);
    json_decref(request->maximum_drop);
    free(request->workflow_id);
    *request = (struct eval_request){0};
}

json_t *eval_request_json(const struct eval_request *request, const struct artifact *cases,
                          const struct artifact *baseline)
{
    json_t *json = json_pack("{s:s, s:s, s:o, s:O, s:O}", "suite", request->suite->name, "model",
                             request->model, "cases", artifact_reference_create(cases), "minimum",
                             request->minimum, "maximum_drop", request->maximum_drop);
    json_t *compared =
        baseline != NULL ? json_pack("{s:o}", "report", artifact_reference_create(baseline))
        : request->baseline_model != NULL ? json_pack("{s:s}", "model", request->baseline_model)
                                          : NULL;
    bool is_compared = baseline != NULL || request->baseline_model != NULL;
    if (json != NULL && is_compared && json_object_set_new(json, "baseline", compared) != 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}
