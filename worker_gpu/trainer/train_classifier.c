/* SPDX-License-Identifier: Apache-2.0 */
/* train_classifier: the activity; see training_activities.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "models/file.h"
#include "models/model_config.h"
#include "models/model_store.h"
#include "worker_gpu/artifact_bytes.h"
#include "worker_gpu/trainer/head_trainer.h"
#include "worker_gpu/trainer/training_activity.h"
#include "worker_gpu/trainer/training_inputs.h"
#include "workflows/artifact_reference.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"

/* The first checkpoint comes soon: it is what the first heartbeat carries, and the SDK sends a
 * second one only after 0.8 heartbeat timeouts. A checkpoint of MiniLM with ten labels is 120 KB
 * and takes about 10 ms: every five seconds that is a five-hundredth of the time. */
#define CHECKPOINT_FIRST_NS (300 * NS_PER_MS)
#define CHECKPOINT_NS       (5000 * NS_PER_MS)
/* After one that could not be stored: storage is away, and each try may wait for half a minute. */
#define CHECKPOINT_PAUSE_NS (60000 * NS_PER_MS)
#define HEARTBEAT_NS        (500 * NS_PER_MS)

struct training {
    const struct training_context *context;
    struct argosy_activity *activity;
    const char *owner; /* of artifacts */
    struct training_inputs inputs;
    struct training_data train, validation;
    struct trainer *trainer;

    struct artifact checkpoint; /* the newest; id "" while there is none */
    uint64_t checkpoint_ns;     /* when the next one is due */
    bool is_checkpoint_failing;
    uint64_t heartbeat_ns; /* when the next one is due */
};

/* ---- heartbeats and checkpoints ---- */

static void heartbeat(struct training *training)
{
    const struct trainer_status *status = &training->trainer->status;
    json_t *checkpoint = training->checkpoint.id[0] != '\0'
                             ? artifact_reference_create(&training->checkpoint)
                             : json_null();
    json_t *json = json_pack("{s:I, s:I, s:I, s:f, s:f, s:o}", "epoch", (json_int_t)status->epoch,
                             "step", (json_int_t)status->step, "steps",
                             (json_int_t)status->step_count, "loss", status->loss,
                             "validation_loss", status->validation_loss, "checkpoint", checkpoint);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    training->heartbeat_ns = clock_monotonic_ns() + HEARTBEAT_NS;
    struct argosy_payload details = {.encoding = ARGOSY_ENCODING_JSON, .data = text};
    details.size = text != NULL ? strlen(text) : 0;
    argosy_activity_heartbeat(training->activity, text != NULL ? &details : NULL);
    free(text);
}

/* Storage that is away for a while stops no training: the log says so once, and the next checkpoint
 * is tried later. */
static void checkpoint(struct training *training)
{
    struct buffer state = {0};
    struct error why;
    int code = trainer_save(training->trainer, &state, &why);
    if (code == 0)
        code = artifact_put_bytes(training->context->storage, state.data, state.size,
                                  training->owner, &training->checkpoint, &why);
    if (code != 0 && !training->is_checkpoint_failing) {
        char text[2 * ERROR_TEXT_MAX];
        log_warn("checkpoint.failed", "text=%s", log_quote(why.text, text, sizeof text));
    }
    training->is_checkpoint_failing = code != 0;
    training->checkpoint_ns =
        clock_monotonic_ns() + (code == 0 ? CHECKPOINT_NS : CHECKPOINT_PAUSE_NS);
    buffer_fini(&state);
}

/* ---- resuming ---- */

/* The artifact that the last heartbeat names; ERR_NOT_FOUND where there is none. */
static int checkpoint_named(struct training *training, struct artifact *ret_checkpoint,
                            struct error *err)
{
    const struct argosy_payload *details = argosy_activity_last_heartbeat(training->activity);
    if (argosy_payload_is_null(details))
        return error_set(err, ERR_NOT_FOUND, "there is no heartbeat");
    json_t *json;
    int code = json_payload_read(details, &json, err);
    if (code != 0)
        return code;
    const json_t *reference = json_object_get(json, "checkpoint");
    code = json_is_null(reference) ? error_set(err, ERR_NOT_FOUND, "no checkpoint was made yet")
                                   : artifact_reference_read(reference, ret_checkpoint, err);
    json_decref(json);
    return code;
}

static int checkpoint_load(struct training *training, const struct artifact *checkpoint,
                           struct error *err)
{
    struct buffer state = {0};
    int code = artifact_bytes_read(training->context->storage, checkpoint, TRAINING_ARTIFACT_MAX,
                                   &state, err);
    if (code == 0)
        code = trainer_load(training->trainer, state.data, state.size, err);
    buffer_fini(&state);
    return code;
}

/* Goes on where the dispatch before was. Storage that is away is an error to be tried again; a
 * checkpoint that cannot be used is none: training begins anew. */
static int resume(struct training *training, struct error *err)
{
    char workflow_id[2 * LIMIT_ID_LENGTH], text[2 * ERROR_TEXT_MAX];
    const struct argosy_activity_info *info = argosy_activity_info(training->activity);
    struct artifact checkpoint;
    struct error why;
    int code = checkpoint_named(training, &checkpoint, &why);
    if (code == ERR_NOT_FOUND)
        return 0;
    if (code == 0)
        code = checkpoint_load(training, &checkpoint, &why);
    if (code != 0 && error_disposition(code) == DISPOSITION_RETRY)
        return error_set(err, code, "%s", why.text);
    log_quote(info->workflow_id, workflow_id, sizeof workflow_id);
    if (code != 0) {
        log_warn("checkpoint.refused", "workflow_id=%s text=%s", workflow_id,
                 log_quote(why.text, text, sizeof text));
        return 0;
    }
    training->checkpoint = checkpoint;
    log_info("activity.resumed", "type=%s workflow_id=%s attempt=%d loss=%d epoch=%u step=%llu",
             info->activity_type, workflow_id, (int)info->attempt, (int)info->loss_count,
             training->trainer->status.epoch, (unsigned long long)training->trainer->status.step);
    return 0;
}

/* ---- training ---- */

/* What the loop does between steps and in long ones. */
static void turn(void *arg)
{
    struct training *training = arg;
    if (clock_monotonic_ns() >= training->heartbeat_ns)
        heartbeat(training);
}

/* 0 when the training is complete, ARGOSY_ACTIVITY_RELEASED, ERR_CANCELED, or what a step gave. */
static int run(struct training *training, struct error *err)
{
    struct trainer *trainer = training->trainer;
    training->checkpoint_ns = clock_monotonic_ns() + CHECKPOINT_FIRST_NS;
    training->heartbeat_ns = training->checkpoint_ns + HEARTBEAT_NS;
    while (!trainer->status.is_done) {
        if (argosy_activity_is_draining(training->activity)) {
            checkpoint(training);
            heartbeat(training);
            return ARGOSY_ACTIVITY_RELEASED;
        }
        if (argosy_activity_is_canceled(training->activity))
            return error_set(err, ERR_CANCELED, "the training was canceled");
        int code = trainer_step(trainer, err);
        if (code != 0)
            return code;
        if (clock_monotonic_ns() >= training->checkpoint_ns) {
            checkpoint(training);
            heartbeat(training);
        }
        turn(training);
    }
    return 0;
}

static int training_open(struct training *training, struct error *err)
{
    struct training_inputs *inputs = &training->inputs;
    struct storage_client *storage = training->context->storage;
    int code = training_inputs_read(training->activity, 3, inputs, err);
    if (code == 0)
        code = training_data_open(storage, inputs->stored, inputs->vectors, "train",
                                  &inputs->labels, &training->train, err);
    if (code == 0)
        code = training_data_open(storage, inputs->stored, inputs->vectors, "validation",
                                  &inputs->labels, &training->validation, err);
    if (code != 0)
        return code;
    struct head_trainer_options options = {
        .training = inputs->request.training,
        .label_count = inputs->labels.count,
        .train = &training->train.set,
        .validation = &training->validation.set,
        .on_turn = turn,
        .arg = training,
    };
    memcpy(options.job, inputs->job, sizeof options.job);
    code = head_trainer_create(&options, &training->trainer, err);
    return code == 0 ? resume(training, err) : code;
}

static void training_close(struct training *training)
{
    trainer_destroy(training->trainer);
    training_data_fini(&training->train);
    training_data_fini(&training->validation);
    training_inputs_fini(&training->inputs);
}

/* ---- the result ---- */

static const char *const pooling_names[] = {
    [MODEL_POOL_MEAN] = "mean", [MODEL_POOL_FIRST] = "first", [MODEL_POOL_MAX] = "max"};

/* What the base model is: name and hash of its weights, and how its vectors come about. */
static int base_describe(struct training *training, json_t *result, struct error *err)
{
    const char *base = training->inputs.request.base;
    char folder[MODEL_PATH_MAX], weights[MODEL_PATH_MAX + 32], digest[FILE_SHA256_TEXT];
    struct model_config config = {0};
    int code = model_store_path(training->context->models_dir, base, folder, err);
    if (code == 0)
        code = model_config_load(folder, &config, err);
    if (code != 0)
        return code;
    snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
    code = file_sha256(weights, digest, err);
    if (code == 0) {
        json_object_set_new(result, "base",
                            json_pack("{s:s, s:s}", "name", base, "sha256", digest));
        json_object_set_new(result, "pooling", json_string(pooling_names[config.pooling]));
        json_object_set_new(result, "normalize", json_boolean(config.normalise));
    }
    model_config_fini(&config);
    return code;
}

static int result_make(struct training *training, json_t **ret_result, struct error *err)
{
    const struct trainer_status *status = &training->trainer->status;
    struct buffer head = {0};
    struct artifact artifact;
    int code = trainer_export(training->trainer, &head, err);
    if (code == 0)
        code = artifact_put_bytes(training->context->storage, head.data, head.size, training->owner,
                                  &artifact, err);
    buffer_fini(&head);
    if (code != 0)
        return code;
    json_t *result = json_pack(
        "{s:o, s:I, s:I, s:I, s:f, s:f, s:f, s:s}", "head", artifact_reference_create(&artifact),
        "epochs", (json_int_t)status->epoch, "steps", (json_int_t)status->step, "best_epoch",
        (json_int_t)status->best_epoch, "loss", status->loss, "validation_loss", status->best_loss,
        "validation_accuracy", status->best_accuracy, "stopped",
        status->is_stopped_early ? "early" : "at the last epoch");
    if (result == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    code = base_describe(training, result, err);
    if (code != 0) {
        json_decref(result);
        return code;
    }
    *ret_result = result;
    return 0;
}

/* ---- the activity ---- */

static int fail(const struct error *why, struct argosy_arena *arena, struct argosy_error *err)
{
    if (why->code != ERR_RANGE)
        return failure_from(arena, FAILURE_INVALID_INPUT, why, err);
    return failure_final(arena, "TrainingDiverged", err, "%s", why->text);
}

int train_classifier(struct argosy_activity *activity, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct training training = {.context = user_data, .activity = activity};
    struct error why;
    json_t *result;
    training.owner =
        argosy_arena_printf(arena, "workflow:%s", argosy_activity_info(activity)->workflow_id);
    int code = training.owner == NULL ? error_set(&why, ERR_MEMORY, "out of memory")
                                      : training_open(&training, &why);
    if (code == 0)
        code = run(&training, &why);
    if (code == 0)
        code = result_make(&training, &result, &why);
    if (code == 0)
        code = json_payload_write(result, arena, ret_result, &why);
    training_close(&training);
    return code < 0 ? fail(&why, arena, err) : code;
}
