/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fine_tune: a classifier is trained on labelled texts and registered under a name; fine_tune.h
 * says what the steps hand on.
 *
 * The texts are embedded first, in chunks, by all GPU workers there are: the encoder is frozen, so
 * its vectors are computed once, are kept as artifacts, and are there again whatever dies later.
 * The query "progress" answers {"stage", "unit", "done", "total"}; while it trains, "activity"
 * names the one whose heartbeats have epoch, step and loss; from its end on the answer has them
 * itself. Cancellation ends it at the step under way, which learns of it by its heartbeats.
 */
#include "workflows/finetune/fine_tune.h"

#include <string.h>

#include "common/fleet_config.h"
#include "workflows/artifact_reference.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

/* Embedding much gives way to what people wait for. */
#define EMBED_PRIORITY 4

static const struct argosy_retry_policy cpu_retry = {
    .initial_interval_ms = 1000,
    .backoff_coefficient = 2,
    .maximum_attempts = 3,
};

/* Storage may be away for a restart or a full volume: about two minutes. */
static const struct argosy_retry_policy storage_retry = {
    .initial_interval_ms = 1000,
    .backoff_coefficient = 2,
    .maximum_attempts = 8,
};

static const struct argosy_retry_policy gpu_retry = {
    .initial_interval_ms = 2000,
    .backoff_coefficient = 2,
    .maximum_attempts = 2,
};

enum part { PART_TRAIN, PART_VALIDATION, PART_HELD_OUT, PART_COUNT };

static const char *const part_names[PART_COUNT] = {"train", "validation", "held_out"};

enum stage {
    STAGE_VALIDATE,
    STAGE_STORE,
    STAGE_EMBED,
    STAGE_TRAIN,
    STAGE_EVALUATE,
    STAGE_REGISTER,
    STAGE_DONE,
};

static const char *const stage_names[] = {
    [STAGE_VALIDATE] = "validate", [STAGE_STORE] = "store",       [STAGE_EMBED] = "embed",
    [STAGE_TRAIN] = "train",       [STAGE_EVALUATE] = "evaluate", [STAGE_REGISTER] = "register",
    [STAGE_DONE] = "done",
};

struct chunk {
    enum part part;
    uint64_t offset, count;
    struct argosy_future *future;
};

/* A run's variables; they live as long as the run, since queries look at them. */
struct fine_tune_run {
    struct argosy_workflow *workflow;
    struct fine_tune_request request;
    enum stage stage;
    struct artifact examples[PART_COUNT];
    struct chunk *chunks; /* of all parts, in their order */
    size_t chunk_count;
    uint64_t example_count;
    struct argosy_payload request_json, stored, vectors, trained, evaluated;
};

static int fail(struct fine_tune_run *run, const struct error *from, struct argosy_error *err)
{
    return failure_from(argosy_workflow_arena(run->workflow), FAILURE_INVALID_INPUT, from, err);
}

/* ---- the query "progress" ---- */

static void progress_trained(const struct fine_tune_run *run, json_t *answer)
{
    json_t *trained;
    if (run->trained.data == NULL || json_payload_read(&run->trained, &trained, NULL) != 0)
        return;
    json_object_set(answer, "epoch", json_object_get(trained, "epochs"));
    json_object_set(answer, "step", json_object_get(trained, "steps"));
    json_object_set(answer, "loss", json_object_get(trained, "loss"));
    json_decref(trained);
}

/* Texts embedded, in answer. */
static void progress_embedded(const struct fine_tune_run *run, json_t *answer)
{
    uint64_t done = 0;
    for (size_t i = 0; i < run->chunk_count; i++) {
        if (run->chunks[i].future != NULL && argosy_future_is_ready(run->chunks[i].future))
            done += run->chunks[i].count;
    }
    json_object_set_new(answer, "unit", json_string("texts"));
    json_object_set_new(answer, "done", json_integer((json_int_t)done));
    json_object_set_new(answer, "total", json_integer((json_int_t)run->example_count));
}

static int progress(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                    void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    (void)input;
    const struct fine_tune_run *run = user_data;
    json_t *answer = json_pack("{s:s, s:s, s:i, s:i}", "stage", stage_names[run->stage], "unit",
                               "stages", "done", (int)run->stage, "total", (int)STAGE_DONE);
    if (run->stage == STAGE_EMBED)
        progress_embedded(run, answer);
    if (run->stage == STAGE_TRAIN) {
        json_object_set_new(answer, "unit", json_string("steps"));
        json_object_set_new(answer, "activity", json_string(ACTIVITY_TRAIN_CLASSIFIER));
    }
    progress_trained(run, answer);
    return json_payload_make(answer, argosy_workflow_arena(workflow), ret_answer, err);
}

/* ---- steps ---- */

static int step(struct fine_tune_run *run, enum stage stage,
                const struct argosy_activity_options *options, struct argosy_payload *ret_result,
                struct argosy_error *err)
{
    run->stage = stage;
    return argosy_activity_execute(run->workflow, options, ret_result, err);
}

static int validate(struct fine_tune_run *run, struct argosy_error *err)
{
    return step(run, STAGE_VALIDATE,
                &(struct argosy_activity_options){
                    .type = ACTIVITY_VALIDATE_DATASET,
                    .task_queue = FLEET_QUEUE_CPU,
                    .input = {&run->request_json, 1},
                    .start_to_close_timeout_ms = 600000,
                    .retry_policy = cpu_retry,
                },
                NULL, err);
}

static int store(struct fine_tune_run *run, struct argosy_error *err)
{
    return step(run, STAGE_STORE,
                &(struct argosy_activity_options){
                    .type = ACTIVITY_STORE_DATASET,
                    .task_queue = FLEET_QUEUE_STORAGE,
                    .input = {&run->request_json, 1},
                    .start_to_close_timeout_ms = 600000,
                    .retry_policy = storage_retry,
                },
                &run->stored, err);
}

static int train(struct fine_tune_run *run, struct argosy_error *err)
{
    return step(run, STAGE_TRAIN,
                &(struct argosy_activity_options){
                    .type = ACTIVITY_TRAIN_CLASSIFIER,
                    .task_queue = FLEET_QUEUE_GPU,
                    .input = ARGOSY_PAYLOADS(run->request_json, run->stored, run->vectors),
                    .start_to_close_timeout_ms = 3600000,
                    .heartbeat_timeout_ms = 30000,
                    .retry_policy = gpu_retry,
                },
                &run->trained, err);
}

static int evaluate(struct fine_tune_run *run, struct argosy_error *err)
{
    return step(
        run, STAGE_EVALUATE,
        &(struct argosy_activity_options){
            .type = ACTIVITY_EVALUATE_CLASSIFIER,
            .task_queue = FLEET_QUEUE_GPU,
            .input = ARGOSY_PAYLOADS(run->request_json, run->stored, run->vectors, run->trained),
            .start_to_close_timeout_ms = 3600000,
            .heartbeat_timeout_ms = 30000,
            .retry_policy = gpu_retry,
        },
        &run->evaluated, err);
}

static int add_to_registry(struct fine_tune_run *run, struct argosy_payload *ret_result,
                           struct argosy_error *err)
{
    return step(
        run, STAGE_REGISTER,
        &(struct argosy_activity_options){
            .type = ACTIVITY_REGISTER_MODEL,
            .task_queue = FLEET_QUEUE_STORAGE,
            .input = ARGOSY_PAYLOADS(run->request_json, run->stored, run->trained, run->evaluated),
            .start_to_close_timeout_ms = 60000,
            .retry_policy = storage_retry,
        },
        ret_result, err);
}

/* ---- embedding ---- */

static int chunk_take(struct fine_tune_run *run, enum part part, const json_t *from,
                      struct error *err)
{
    json_int_t offset = json_integer_value(json_array_get(from, 0));
    json_int_t count = json_integer_value(json_array_get(from, 1));
    if (offset < 0 || count < 1)
        return error_set(err, ERR_INVALID, "store_dataset gave a chunk that is none");
    run->chunks[run->chunk_count++] =
        (struct chunk){.part = part, .offset = (uint64_t)offset, .count = (uint64_t)count};
    run->example_count += (uint64_t)count;
    return 0;
}

/* What store_dataset gave, into examples and chunks. */
static int stored_take(struct fine_tune_run *run, const json_t *stored, struct error *err)
{
    const json_t *chunks[PART_COUNT];
    size_t count = 0, place;
    const json_t *from;
    for (int part = 0; part < PART_COUNT; part++) {
        const json_t *one = json_object_get(json_object_get(stored, "parts"), part_names[part]);
        int code =
            artifact_reference_read(json_object_get(one, "examples"), &run->examples[part], err);
        if (code != 0)
            return error_prefix(err, "store_dataset gave no part \"%s\"", part_names[part]);
        chunks[part] = json_object_get(one, "chunks");
        count += json_array_size(chunks[part]);
    }
    run->chunks = argosy_workflow_alloc(run->workflow, count * sizeof *run->chunks);
    for (int part = 0; part < PART_COUNT; part++) {
        json_array_foreach(chunks[part], place, from)
        {
            int code = chunk_take(run, (enum part)part, from, err);
            if (code != 0)
                return code;
        }
    }
    return 0;
}

static int chunk_start(struct fine_tune_run *run, struct chunk *chunk, struct error *err)
{
    struct argosy_payload input;
    int code = json_payload_write(json_pack("{s:o, s:I, s:I, s:s, s:s}", "texts",
                                            artifact_reference_create(&run->examples[chunk->part]),
                                            "offset", (json_int_t)chunk->offset, "count",
                                            (json_int_t)chunk->count, "model", run->request.base,
                                            "format", "f32"),
                                  argosy_workflow_arena(run->workflow), &input, err);
    if (code != 0)
        return code;
    chunk->future = argosy_activity_start(run->workflow, &(struct argosy_activity_options){
                                                             .type = ACTIVITY_EMBED_ARTIFACT,
                                                             .task_queue = FLEET_QUEUE_GPU,
                                                             .input = {&input, 1},
                                                             .start_to_close_timeout_ms = 3600000,
                                                             .heartbeat_timeout_ms = 30000,
                                                             .retry_policy = gpu_retry,
                                                             .priority = EMBED_PRIORITY,
                                                         });
    return 0;
}

static int chunks_start(struct fine_tune_run *run, struct error *err)
{
    json_t *stored;
    int code = json_payload_read(&run->stored, &stored, err);
    if (code != 0)
        return code;
    code = stored_take(run, stored, err);
    json_decref(stored);
    for (size_t i = 0; code == 0 && i < run->chunk_count; i++)
        code = chunk_start(run, &run->chunks[i], err);
    return code;
}

/* A chunk's vectors into its part's list; all chunks have one dimension. */
static int vectors_add(json_t *vectors, const struct chunk *chunk,
                       const struct argosy_payload *result, struct error *err)
{
    json_t *value;
    int code = json_payload_read(result, &value, err);
    if (code != 0)
        return code;
    json_t *dimension = json_object_get(vectors, "dimension");
    if (dimension == NULL)
        json_object_set(vectors, "dimension", json_object_get(value, "dimension"));
    else if (!json_equal(dimension, json_object_get(value, "dimension")))
        code = error_set(err, ERR_INVALID, "embedding gave vectors of different dimensions");
    if (code == 0 && json_array_append(json_object_get(vectors, part_names[chunk->part]),
                                       json_object_get(value, "vectors")) != 0)
        code = error_set(err, ERR_INVALID, "embedding gave no vectors");
    json_decref(value);
    return code;
}

/* Waits for nothing: every chunk is embedded. */
static int vectors_gather(struct fine_tune_run *run, struct error *err)
{
    json_t *vectors = json_pack("{s:[], s:[], s:[]}", part_names[PART_TRAIN],
                                part_names[PART_VALIDATION], part_names[PART_HELD_OUT]);
    int code = vectors == NULL ? error_set(err, ERR_MEMORY, "out of memory") : 0;
    for (size_t i = 0; code == 0 && i < run->chunk_count; i++) {
        struct argosy_payload result;
        code = argosy_await(run->chunks[i].future, &result, NULL);
        if (code == 0)
            code = vectors_add(vectors, &run->chunks[i], &result, err);
    }
    if (code != 0) {
        json_decref(vectors);
        return code;
    }
    return json_payload_write(vectors, argosy_workflow_arena(run->workflow), &run->vectors, err);
}

static int embed(struct fine_tune_run *run, struct argosy_error *err)
{
    struct error why;
    run->stage = STAGE_EMBED;
    if (chunks_start(run, &why) != 0)
        return fail(run, &why, err);
    struct argosy_future **futures =
        argosy_workflow_alloc(run->workflow, run->chunk_count * sizeof *futures);
    for (size_t i = 0; i < run->chunk_count; i++)
        futures[i] = run->chunks[i].future;
    int code = argosy_await_all(futures, run->chunk_count, err);
    if (code == 0 && vectors_gather(run, &why) != 0)
        code = fail(run, &why, err);
    return code;
}

/* ---- the whole ---- */

int fine_tune(struct argosy_workflow *workflow, void *user_data, struct argosy_payload *ret_result,
              struct argosy_error *err)
{
    (void)user_data;
    struct fine_tune_run *run = argosy_workflow_alloc(workflow, sizeof *run);
    *run = (struct fine_tune_run){.workflow = workflow,
                                  .request_json = *argosy_workflow_input(workflow)};
    argosy_query_handle(workflow, "progress", progress, run);
    struct error why;
    if (fine_tune_request_read(&run->request_json, argosy_workflow_arena(workflow), &run->request,
                               &why) != 0)
        return fail(run, &why, err);
    int code = validate(run, err);
    if (code == 0)
        code = store(run, err);
    if (code == 0)
        code = embed(run, err);
    if (code == 0)
        code = train(run, err);
    if (code == 0)
        code = evaluate(run, err);
    if (code == 0)
        code = add_to_registry(run, ret_result, err);
    if (code == 0)
        run->stage = STAGE_DONE;
    return code;
}
