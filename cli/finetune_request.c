/* SPDX-License-Identifier: Apache-2.0 */
/* finetune_request: see finetune_request.h. */
#include "cli/finetune_request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fleet_config.h"
#include "models/file.h"
#include "models/sha256.h"
#include "workflows/artifact_reference.h"
#include "workflows/finetune/fine_tune.h"

/* Hexadecimal digits of a job id that is made up: no two of a million jobs share them. */
#define JOB_HASH_DIGITS 16

static const char *const schedules[] = {"cosine", "linear", "constant", NULL};

const struct option finetune_options[] = {
    {"dataset", NULL, 'd', OPTION_TEXT, "FILE", "labelled texts, JSONL of {\"text\", \"label\"}",
     NULL},
    {"held-out", NULL, 0, OPTION_TEXT, "FILE", "examples to evaluate on (a part of the dataset)",
     NULL},
    {"name", NULL, 0, OPTION_TEXT, "NAME", "the model's name; each training is a new version",
     NULL},
    {"base", NULL, 0, OPTION_TEXT, "MODEL", "the encoder (" FLEET_MODEL_DEFAULT ")", NULL},
    {"job-id", NULL, 0, OPTION_TEXT, "ID",
     "names the job: the same again is the same run (made of name, data and options)", NULL},
    {"check", NULL, 0, OPTION_FLAG, NULL, "only check the dataset", NULL},
    {"epochs", NULL, 0, OPTION_NUMBER, "N", "passes over the data at most (200)", NULL},
    {"patience", NULL, 0, OPTION_NUMBER, "N",
     "epochs without a better one until it stops; 0: never (10)", NULL},
    {"batch-size", NULL, 0, OPTION_NUMBER, "N", "examples of one step (32)", NULL},
    {"learning-rate", NULL, 0, OPTION_TEXT, "X", "the largest (0.02)", NULL},
    {"weight-decay", NULL, 0, OPTION_TEXT, "X", "AdamW's (0.01)", NULL},
    {"warmup", NULL, 0, OPTION_TEXT, "X", "share of steps in which the rate rises (0.05)", NULL},
    {"schedule", NULL, 0, OPTION_CHOICE, "NAME",
     "of the rate: cosine (the default), linear, constant", schedules},
    {"validation-share", NULL, 0, OPTION_TEXT, "X", "of the texts, for early stopping (0.1)", NULL},
    {"held-out-share", NULL, 0, OPTION_TEXT, "X", "of the texts, without --held-out (0.2)", NULL},
    {"seed", NULL, 0, OPTION_NUMBER, "N", "of split, first weights and order (42)", NULL},
    {0},
};

/* Options of "training" that are numbers, by their member's name. */
static const struct {
    const char *option, *member;
    bool is_integer;
} numbers[] = {
    {"epochs", "epochs", true},
    {"patience", "patience", true},
    {"batch-size", "batch_size", true},
    {"seed", "seed", true},
    {"learning-rate", "learning_rate", false},
    {"weight-decay", "weight_decay", false},
    {"warmup", "warmup", false},
    {"validation-share", "validation_share", false},
    {"held-out-share", "held_out_share", false},
};

static int number_take(const struct parsed *parsed, size_t place, json_t *training,
                       struct error *err)
{
    const char *text = parsed_text(parsed, numbers[place].option);
    if (text == NULL)
        return 0;
    char *end;
    double real = strtod(text, &end);
    if (*end != '\0')
        return error_set(err, ERR_INVALID, "--%s must be a number, not \"%s\"",
                         numbers[place].option, text);
    json_t *value = numbers[place].is_integer
                        ? json_integer(parsed_number(parsed, numbers[place].option, 0))
                        : json_real(real);
    if (json_object_set_new(training, numbers[place].member, value) != 0)
        return error_set(err, ERR_INVALID, "--%s must be a finite number", numbers[place].option);
    return 0;
}

static int training_take(const struct parsed *parsed, struct finetune_request *request,
                         struct error *err)
{
    json_t *given = json_object();
    const char *schedule = parsed_text(parsed, "schedule");
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof numbers / sizeof numbers[0]; i++)
        code = number_take(parsed, i, given, err);
    if (schedule != NULL)
        json_object_set_new(given, "schedule", json_string(schedule));
    struct training_options options;
    if (code == 0)
        code = training_options_read(given, &options, err);
    json_decref(given);
    if (code != 0)
        return code;
    request->training = training_options_json(&options);
    return request->training != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

/* Opens a file and names its content. */
static int file_take(const char *path, struct finetune_request *request, struct error *err)
{
    char digest[FILE_SHA256_TEXT];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                               "could not open %s", path);
    request->fds[request->file_count] = fd;
    request->paths[request->file_count] = path;
    struct artifact *artifact = &request->artifacts[request->file_count++];
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return error_set(err, ERR_INVALID, "%s is no regular file", path);
    int code = file_sha256(path, digest, err);
    if (code != 0)
        return code;
    snprintf(artifact->id, sizeof artifact->id, "sha256:%s", digest);
    artifact->size = (uint64_t)st.st_size;
    return 0;
}

static int dataset_take(struct finetune_request *request, struct error *err)
{
    struct dataset_source sources[2];
    for (uint32_t i = 0; i < request->file_count; i++)
        sources[i] = (struct dataset_source){request->fds[i], request->paths[i]};
    return dataset_read(sources, request->file_count, &request->dataset, err);
}

/* What stands for "the same again": everything but the job id. */
static int job_name(const char *given, struct finetune_request *request, struct error *err)
{
    char hash[JOB_HASH_DIGITS + 1] = "";
    if (given == NULL) {
        uint8_t digest[SHA256_SIZE];
        json_t *json = finetune_request_json(request);
        char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(json);
        int code = text == NULL ? -1 : sha256_of_bytes(text, strlen(text), digest);
        free(text);
        if (code != 0)
            return error_set(err, ERR_MEMORY, "out of memory");
        for (size_t i = 0; i < JOB_HASH_DIGITS / 2; i++)
            snprintf(hash + 2 * i, 3, "%02x", digest[i]);
    } else if (strlen(given) > FINE_TUNE_JOB_ID_MAX) {
        return error_set(err, ERR_INVALID, "--job-id has more than %d bytes", FINE_TUNE_JOB_ID_MAX);
    }
    if (given != NULL)
        snprintf(request->job_id, sizeof request->job_id, "%s", given);
    else
        snprintf(request->job_id, sizeof request->job_id, "%s-%s", request->name, hash);
    snprintf(request->workflow_id, sizeof request->workflow_id, FINE_TUNE_WORKFLOW_ID,
             request->job_id);
    return 0;
}

/* The workflow's own reader says what is wrong with names. */
static int request_check(const struct finetune_request *request, struct error *err)
{
    json_t *json = finetune_request_json(request);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    struct argosy_arena *arena = argosy_arena_create();
    int code = ERR_MEMORY;
    if (text == NULL || arena == NULL) {
        error_set(err, ERR_MEMORY, "out of memory");
    } else {
        struct argosy_payload payload = argosy_payload_json(text);
        struct fine_tune_request checked;
        code = fine_tune_request_read(&payload, arena, &checked, err);
    }
    argosy_arena_destroy(arena);
    free(text);
    return code;
}

int finetune_request_read(const struct invocation *invocation, struct finetune_request *request,
                          struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *dataset = parsed_text(parsed, "dataset");
    const char *held_out = parsed_text(parsed, "held-out");
    const char *base = parsed_text(parsed, "base");
    *request = (struct finetune_request){
        .name = parsed_text(parsed, "name"),
        .base = base != NULL ? base : FLEET_MODEL_DEFAULT,
    };
    if (dataset == NULL)
        return command_usage(invocation, "--dataset is missing");
    if (request->name == NULL && !parsed_has(parsed, "check"))
        return command_usage(invocation, "--name is missing");
    if (request->name == NULL)
        request->name = "unnamed"; /* is only checked */
    int code = training_take(parsed, request, err);
    if (code == 0)
        code = file_take(dataset, request, err);
    if (code == 0 && held_out != NULL)
        code = file_take(held_out, request, err);
    if (code == 0)
        code = job_name(parsed_text(parsed, "job-id"), request, err);
    if (code == 0)
        code = request_check(request, err);
    return code == 0 ? dataset_take(request, err) : code;
}

void finetune_request_fini(struct finetune_request *request)
{
    dataset_destroy(request->dataset);
    json_decref(request->training);
    for (uint32_t i = 0; i < request->file_count; i++)
        close(request->fds[i]);
}

json_t *finetune_request_json(const struct finetune_request *request)
{
    json_t *dataset = artifact_reference_create(&request->artifacts[0]);
    if (request->file_count == 2)
        dataset = json_pack("{s:o, s:o}", "train", dataset, "held_out",
                            artifact_reference_create(&request->artifacts[1]));
    return json_pack("{s:s, s:s, s:s, s:o, s:O}", "job_id",
                     request->job_id[0] != '\0' ? request->job_id : "-", "name", request->name,
                     "base", request->base, "dataset", dataset, "training", request->training);
}
