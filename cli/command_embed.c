/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_embed: `argosy embed`: a file of texts becomes a file of vectors, as a durable job
 * (workflows/embed/embed_file.h).
 *
 * The job's id comes from its texts, model and format: the same command again is the same job,
 * under way or done, whatever became of the command before.
 */
#include <argosy/client.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command_table.h"
#include "cli/embed_input.h"
#include "cli/job.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/storage_session.h"
#include "workflows/artifact_reference.h"
#include "workflows/shipped.h"

static const char *const formats[] = {"npy", "safetensors", NULL};

static const struct option embed_options[] = {
    {"input", NULL, 'i', OPTION_TEXT, "FILE",
     "texts: on each line a JSON string, or an object with \"text\"; - reads standard input", NULL},
    {"output", NULL, 'o', OPTION_LIST, "FILE",
     "where the vectors go; given again, json or text is how the outcome is printed", NULL},
    {"text", NULL, 0, OPTION_FLAG, NULL, "the input is plain text: each line is a text", NULL},
    {"format", NULL, 0, OPTION_CHOICE, "FORMAT",
     "npy or safetensors (what --output's name ends in, else npy)", formats},
    {"model", NULL, 'm', OPTION_TEXT, "NAME", "the model (that of the GPU workers' group)", NULL},
    {"workflow-id", "id", 'w', OPTION_TEXT, "ID", "the job's id (made from texts and model)", NULL},
    {0},
};

struct embed_command {
    struct invocation invocation; /* json: --output says it beside the file */
    const char *output;
    const char *format;
    const char *model; /* NULL: the group's own */
    char job_id[EMBED_JOB_ID_SIZE];
    struct job job;
    struct embed_input input;
    struct session session;
    struct storage_session storage;
    struct progress progress;
    struct artifact texts;
};

/* ---- reading ---- */

static const char *format_of(const struct parsed *parsed, const char *output)
{
    static const char ending[] = ".safetensors";
    const char *format = parsed_text(parsed, "format");
    size_t size = strlen(output);
    if (format != NULL)
        return format;
    bool is_safetensors =
        size >= sizeof ending - 1 && strcmp(output + size - (sizeof ending - 1), ending) == 0;
    return is_safetensors ? "safetensors" : "npy";
}

/* --output is the file, and "json" or "text" as with all commands. Returns how many files. */
static size_t read_outputs(struct embed_command *command)
{
    size_t cursor = 0, files = 0;
    const char *value;
    command->invocation.json = false;
    while ((value = parsed_next(&command->invocation.parsed, "output", &cursor)) != NULL) {
        bool is_json = strcmp(value, "json") == 0;
        if (is_json || strcmp(value, "text") == 0) {
            command->invocation.json = is_json;
            continue;
        }
        command->output = value;
        files++;
    }
    return files;
}

/* Before an hour of work, not after it. */
static int check_output(const char *output, struct error *err)
{
    char path[PATH_MAX];
    struct stat status;
    if (snprintf(path, sizeof path, "%s", output) >= (int)sizeof path)
        return error_set(err, ERR_INVALID, "the path of --output is too long");
    if (stat(output, &status) == 0 && !S_ISREG(status.st_mode))
        return error_set(err, ERR_EXISTS, "cannot write %s: it is there, and no file", output);
    const char *folder = dirname(path);
    if (access(folder, W_OK | X_OK) != 0)
        return error_set_errno(err, ERR_NOT_FOUND, errno, "cannot write into the folder %s",
                               folder);
    return 0;
}

/* 0, EXIT_USAGE or a negative code. */
static int read_command(struct embed_command *command, struct error *err)
{
    const struct parsed *parsed = &command->invocation.parsed;
    const char *input = parsed_text(parsed, "input");
    size_t files = read_outputs(command);
    if (input == NULL || files == 0)
        return command_usage(&command->invocation, "--input and --output are needed");
    if (files > 1)
        return command_usage(&command->invocation, "--output names more than one file");
    command->format = format_of(parsed, command->output);
    command->model = parsed_text(parsed, "model");
    command->job.workflow_id = parsed_text(parsed, "workflow-id");
    int code = check_output(command->output, err);
    if (code == 0)
        code = embed_input_open(input, parsed_has(parsed, "text"), &command->input, err);
    if (code != 0)
        return code;
    if (command->job.workflow_id == NULL) {
        embed_job_id(&command->input, command->model, command->format, command->job_id);
        command->job.workflow_id = command->job_id;
    }
    return 0;
}

/* ---- the job ---- */

static int upload(struct embed_command *command, struct error *err)
{
    char owner[ARTIFACT_OWNER_MAX + 1];
    if ((size_t)snprintf(owner, sizeof owner, "workflow:%s", command->job.workflow_id) >=
        sizeof owner)
        return error_set(err, ERR_INVALID, "the workflow id is too long");
    progress_stage(&command->progress, "upload", "bytes");
    return artifact_put_file(command->storage.client, command->input.path, owner, progress_update,
                             &command->progress, &command->texts, err);
}

static int start(struct embed_command *command, enum argosy_id_reuse_policy reuse,
                 struct error *err)
{
    json_t *input =
        json_pack("{s:o, s:s, s:s*}", "input", artifact_reference_create(&command->texts), "format",
                  command->format, "model", command->model);
    return job_start(&command->session, &command->job, input, reuse, err);
}

/* Waits for the job; 0 with its result, which the caller releases, or with NULL and the exit status
 * of a job that did not complete, which is reported then. */
static int wait_for_result(struct embed_command *command, json_t **ret_result, int *ret_status,
                           struct error *err)
{
    struct session *session = &command->session;
    struct argosy_payload payload;
    struct argosy_error why = {0};
    if (!command->job.was_done)
        job_watch(&command->invocation, session, &command->job);
    *ret_result = NULL;
    int code = argosy_client_result(session->client, command->job.workflow_id, command->job.run_id,
                                    -1, session->arena, &payload, &why);
    if (code == ARGOSY_ERR_UNAVAILABLE)
        return session_error(&why, err);
    if (code != 0) {
        *ret_status = outcome_report(&command->invocation, session, command->job.workflow_id,
                                     command->job.run_id, -1, err);
        return *ret_status < 0 ? *ret_status : 0;
    }
    *ret_result = outcome_value(&payload, session->arena);
    return 0;
}

/* An id that was given may belong to another job. */
static int check_result(const struct embed_command *command, const json_t *result,
                        struct artifact *ret_output, struct error *err)
{
    struct artifact input;
    const char *format = json_string_value(json_object_get(result, "format"));
    int code = artifact_reference_read(json_object_get(result, "input"), &input, err);
    if (code == 0)
        code = artifact_reference_read(json_object_get(result, "output"), ret_output, err);
    if (code != 0)
        return error_set(err, ERR_PROTOCOL, "the run's result is not one of " WORKFLOW_EMBED_FILE);
    if (strcmp(input.id, command->texts.id) != 0 || format == NULL ||
        strcmp(format, command->format) != 0)
        return error_set(err, ERR_EXISTS,
                         "workflow id %s belongs to a job with other texts or another format",
                         command->job.workflow_id);
    return 0;
}

static int report(const struct embed_command *command, const json_t *result, struct error *err)
{
    int64_t truncated = json_integer_value(json_object_get(result, "truncated"));
    const char *model = json_string_value(json_object_get(result, "model"));
    if (command->invocation.json)
        return output_json(json_pack("{s:s, s:s, s:s, s:O}", "workflowId", command->job.workflow_id,
                                     "status", "COMPLETED", "output", command->output, "result",
                                     result),
                           err);
    printf("%s: %" PRId64 " vectors of %" PRId64 " numbers, by %s\n", command->output,
           (int64_t)json_integer_value(json_object_get(result, "count")),
           (int64_t)json_integer_value(json_object_get(result, "dimension")),
           model != NULL ? model : "?");
    if (truncated > 0)
        printf("  %" PRId64 " texts are longer than the model reads: their ends are not in it\n",
               truncated);
    return 0;
}

static int download(struct embed_command *command, const json_t *result, struct error *err)
{
    struct artifact output;
    int code = check_result(command, result, &output, err);
    if (code != 0)
        return code;
    progress_stage(&command->progress, "download", "bytes");
    return artifact_get_file(command->storage.client, output.id, command->output, progress_update,
                             &command->progress, err);
}

/* One job from its start to its file. ERR_NOT_FOUND: it is done, and its vectors are gone. */
static int run_job(struct embed_command *command, enum argosy_id_reuse_policy reuse,
                   struct error *err)
{
    json_t *result = NULL;
    int status = EXIT_OK;
    int code = start(command, reuse, err);
    if (code == 0)
        code = wait_for_result(command, &result, &status, err);
    if (code != 0 || result == NULL)
        return code != 0 ? code : status;
    code = download(command, result, err);
    progress_close(&command->progress);
    if (code == 0)
        code = report(command, result, err);
    json_decref(result);
    return code;
}

static int run_command(struct embed_command *command, struct error *err)
{
    int code = upload(command, err);
    progress_close(&command->progress);
    if (code == 0)
        code = run_job(command, ARGOSY_REUSE_ALLOW_FAILED_ONLY, err);
    if (code == ERR_NOT_FOUND && command->job.was_done)
        code = run_job(command, ARGOSY_REUSE_ALLOW, err);
    return code;
}

static int embed(const struct invocation *invocation, struct error *err)
{
    struct embed_command command = {.invocation = *invocation,
                                    .job = {.workflow_type = WORKFLOW_EMBED_FILE}};
    int code = read_command(&command, err);
    if (code != 0)
        return code;
    progress_open(&command.progress, command.invocation.json);
    code = session_open(invocation, &command.session, err);
    if (code == 0) {
        code = storage_session_open(invocation, &command.storage, err);
        if (code == 0)
            code = run_command(&command, err);
        storage_session_close(&command.storage);
        session_close(&command.session);
    }
    progress_close(&command.progress);
    embed_input_close(&command.input);
    return code;
}

const struct command command_embed = {
    .name = "embed",
    .summary = "turn a file of texts into a file of vectors",
    .arguments = "",
    .about =
        "Runs as a job of its own: interrupting the command leaves it going, and the same command\n"
        "waits for it again, or fetches what it made. The file of vectors appears whole, one row\n"
        "per text, in their order. docs/embedding.md tells more.",
    .example = "argosy embed --input texts.jsonl --output vectors.npy\n"
               "argosy embed --input texts.jsonl --output vectors.npy --output json\n"
               "cat notes.txt | argosy embed --text --input - --output notes.safetensors",
    .options = {{embed_options, session_options, common_options}},
    .run = embed,
};
