/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_ingest: a document becomes searchable: its text is cut into chunks, the chunks that are
 * new become vectors on the GPU queue, and all of them replace the document in its collection at
 * once.
 *
 *     load_and_chunk -> select_new_chunks -> embed_artifact, several at a time -> index_chunks
 *       -> commit_document
 *
 * Input: ingest_request.h. Result: {"document_id", "collection", "model", "request", "chunks",
 * "embedded", "unchanged", "bytes"}; request is ingest_request_digest of the input. The query
 * "progress" answers {"stage", "done", "total", "unit", "request"}, in chunks. Until the commit
 * nothing of the run is visible; a run that fails or is canceled leaves the document as it was.
 * Payloads name artifacts and never hold texts or vectors, so that the history of a document of 100
 * MB is some thousand small events.
 */
#include <argosy/workflow.h>
#include <stdbool.h>
#include <string.h>

#include "common/fleet_config.h"
#include "storage/vectors.h"
#include "workflows/artifact_reference.h"
#include "workflows/failure.h"
#include "workflows/ingest/ingest_activity.h"
#include "workflows/ingest/ingest_request.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

/* Texts of one batch: 65,000 tokens at 254 a text, four full GPU batches. What a kill can cost is a
 * batch less its last heartbeat. */
#define BATCH_TEXTS 256
/* Larger documents have larger batches: 6 events a batch stay far below LIMIT_HISTORY_EVENTS. */
#define BATCHES_MAX 2000
/* Batches of one document at a time: enough for two to lie on each of four GPUs, and few enough
 * that a large document leaves the queue to others. */
#define FAN_OUT 8
/* Behind all that somebody waits for: a document is in no hurry. */
#define EMBED_PRIORITY 4

#define SECOND 1000
#define MINUTE (60 * SECOND)

/* Reading and cutting 100 MB of text takes some ten seconds, a large PDF some minutes. Tried again,
 * because storage may be restarting; what is wrong with a document fails for good at once. */
static const struct argosy_activity_options load_step = {
    .type = ACTIVITY_LOAD_AND_CHUNK,
    .task_queue = FLEET_QUEUE_CPU,
    .start_to_close_timeout_ms = 30 * MINUTE,
    .retry_policy = {.initial_interval_ms = SECOND, .maximum_attempts = 5},
};

/* Look-ups and uploads of some 100,000 chunks take seconds. Storage is one process: while it is
 * away (restarting, its disk full) there is no better place to go, so patience is long. */
static const struct argosy_retry_policy storage_retry = {
    .initial_interval_ms = SECOND,
    .maximum_interval_ms = 30 * SECOND,
    .maximum_attempts = 20,
};

/* A batch takes seconds on a CPU, a fraction of one on a GPU, and minutes where it shares them; a
 * worker that is stuck is noticed by its heartbeat. No bound on waiting in the queue: bulk work
 * stands behind all else. */
static const struct argosy_activity_options embed_step = {
    .type = ACTIVITY_EMBED_ARTIFACT,
    .task_queue = FLEET_QUEUE_GPU,
    .start_to_close_timeout_ms = 60 * MINUTE,
    .heartbeat_timeout_ms = 30 * SECOND,
    .retry_policy = {.initial_interval_ms = 2 * SECOND, .maximum_attempts = 5},
    .priority = EMBED_PRIORITY,
};

struct batch {
    json_int_t offset; /* of its first line in texts */
    json_int_t count;
    struct artifact vectors;
};

/* The run; lives in its arena. */
struct ingest {
    struct argosy_workflow *workflow;
    struct argosy_arena *arena;
    struct ingest_request request;
    char digest[INGEST_DIGEST_SIZE]; /* of the input */

    /* of load_and_chunk */
    struct artifact chunks;
    json_int_t chunk_count;
    json_int_t bytes;
    const char *model;
    int dimension;

    /* of select_new_chunks */
    struct artifact plan;
    struct artifact texts;
    json_int_t batch_size;
    json_int_t new_count;
    json_int_t unchanged_count;
    struct batch *batches;
    size_t batch_count;

    /* progress */
    const char *stage;
    json_int_t done;
};

static int answer_progress(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                           void *user_data, struct argosy_payload *ret_answer,
                           struct argosy_error *err)
{
    (void)workflow;
    (void)input;
    const struct ingest *ingest = user_data;
    return argosy_payload_pack(ingest->arena, ret_answer, err, "{s:s, s:I, s:I, s:s, s:s}", "stage",
                               ingest->stage, "done", ingest->done, "total",
                               strcmp(ingest->stage, "embed") == 0 ? ingest->new_count
                                                                   : ingest->chunk_count,
                               "unit", "chunks", "request", ingest->digest);
}

/* ---- steps ---- */

/* A step with one JSON argument, which is released. */
static struct argosy_future *step_start(struct ingest *ingest,
                                        const struct argosy_activity_options *step, json_t *input)
{
    struct argosy_activity_options options = *step;
    struct argosy_payload payload = {0};
    /* Out of memory, the step gets no input and says so. */
    json_payload_make(input, ingest->arena, &payload, NULL);
    options.input = (struct argosy_payloads){&payload, 1};
    return argosy_activity_start(ingest->workflow, &options);
}

/* A step's result, a JSON object that the caller releases before it waits again. */
static int step_await(struct ingest *ingest, struct argosy_future *future, json_t **ret_result,
                      struct argosy_error *err)
{
    struct argosy_payload payload;
    int code = argosy_await(future, &payload, err);
    return code == 0 ? json_payload_read_object(&payload, ingest->arena, ret_result, err) : code;
}

static int result_wrong(struct ingest *ingest, const char *activity, struct argosy_error *err)
{
    return failure_final(ingest->arena, "UnexpectedResult", err,
                         "the result of %s is not what this workflow expects", activity);
}

static int load(struct ingest *ingest, struct argosy_error *err)
{
    struct argosy_activity_options step = load_step;
    step.input = (struct argosy_payloads){argosy_workflow_input(ingest->workflow), 1};
    json_t *result;
    int code = step_await(ingest, argosy_activity_start(ingest->workflow, &step), &result, err);
    if (code != 0)
        return code;
    const char *model;
    bool is_right =
        json_unpack(result, "{s:I, s:I, s:s, s:i}", "count", &ingest->chunk_count, "bytes",
                    &ingest->bytes, "model", &model, "dimension", &ingest->dimension) == 0 &&
        artifact_reference_read(json_object_get(result, "chunks"), &ingest->chunks, NULL) == 0;
    if (is_right)
        ingest->model = argosy_arena_printf(ingest->arena, "%s", model);
    json_decref(result);
    return is_right ? 0 : result_wrong(ingest, ACTIVITY_LOAD_AND_CHUNK, err);
}

static bool batches_read(struct ingest *ingest, const json_t *batches)
{
    ingest->batch_count = json_array_size(batches);
    ingest->batches =
        argosy_workflow_alloc(ingest->workflow, ingest->batch_count * sizeof *ingest->batches);
    size_t index;
    json_t *batch;
    json_array_foreach((json_t *)batches, index, batch)
    {
        if (json_unpack(batch, "{s:I, s:I}", "offset", &ingest->batches[index].offset, "count",
                        &ingest->batches[index].count) != 0)
            return false;
    }
    return true;
}

/* A storage step: its timeouts are those of all of them. */
static struct argosy_activity_options storage_step(const char *type)
{
    return (struct argosy_activity_options){
        .type = type,
        .task_queue = FLEET_QUEUE_STORAGE,
        .start_to_close_timeout_ms = 30 * MINUTE,
        .retry_policy = storage_retry,
    };
}

static int select_new(struct ingest *ingest, struct argosy_error *err)
{
    ingest->stage = "select";
    ingest->batch_size = (ingest->chunk_count + BATCHES_MAX - 1) / BATCHES_MAX;
    if (ingest->batch_size < BATCH_TEXTS)
        ingest->batch_size = BATCH_TEXTS;
    struct argosy_activity_options step = storage_step(ACTIVITY_SELECT_NEW_CHUNKS);
    json_t *result;
    int code = step_await(
        ingest,
        step_start(ingest, &step,
                   json_pack("{s:s, s:s, s:o, s:I}", "document_id", ingest->request.document_id,
                             "collection", ingest->request.collection, "chunks",
                             artifact_reference_create(&ingest->chunks), "batch_size",
                             ingest->batch_size)),
        &result, err);
    if (code != 0)
        return code;
    bool is_right =
        json_unpack(result, "{s:I, s:I}", "new", &ingest->new_count, "unchanged",
                    &ingest->unchanged_count) == 0 &&
        artifact_reference_read(json_object_get(result, "plan"), &ingest->plan, NULL) == 0 &&
        (ingest->new_count == 0 ||
         artifact_reference_read(json_object_get(result, "texts"), &ingest->texts, NULL) == 0) &&
        batches_read(ingest, json_object_get(result, "batches"));
    json_decref(result);
    return is_right ? 0 : result_wrong(ingest, ACTIVITY_SELECT_NEW_CHUNKS, err);
}

/* ---- embedding ---- */

static struct argosy_future *batch_start(struct ingest *ingest, const struct batch *batch)
{
    return step_start(ingest, &embed_step,
                      json_pack("{s:o, s:I, s:I, s:s, s:s}", "texts",
                                artifact_reference_create(&ingest->texts), "offset", batch->offset,
                                "count", batch->count, "model", ingest->model, "format", "f32"));
}

static int batch_finish(struct ingest *ingest, struct batch *batch, struct argosy_future *future,
                        struct argosy_error *err)
{
    json_t *result;
    int code = step_await(ingest, future, &result, err);
    if (code != 0)
        return code;
    json_int_t count = 0;
    int dimension = 0;
    bool is_right =
        json_unpack(result, "{s:I, s:i}", "count", &count, "dimension", &dimension) == 0 &&
        count == batch->count && dimension == ingest->dimension &&
        artifact_reference_read(json_object_get(result, "vectors"), &batch->vectors, NULL) == 0;
    json_decref(result);
    ingest->done += batch->count;
    return is_right ? 0 : result_wrong(ingest, ACTIVITY_EMBED_ARTIFACT, err);
}

/* All batches, FAN_OUT at a time: as one ends, the next begins. */
static int embed(struct ingest *ingest, struct argosy_error *err)
{
    ingest->stage = "embed";
    struct argosy_future *futures[FAN_OUT];
    struct batch *batches[FAN_OUT];
    size_t open = 0, next = 0;
    while (next < ingest->batch_count || open > 0) {
        while (open < FAN_OUT && next < ingest->batch_count) {
            batches[open] = &ingest->batches[next++];
            futures[open] = batch_start(ingest, batches[open]);
            open++;
        }
        size_t ready;
        int code = argosy_await_any(futures, open, &ready, err);
        if (code == 0)
            code = batch_finish(ingest, batches[ready], futures[ready], err);
        if (code != 0)
            return code; /* the run's end cancels the others */
        open--;
        futures[ready] = futures[open];
        batches[ready] = batches[open];
    }
    return 0;
}

/* ---- index ---- */

static json_t *vectors_list(const struct ingest *ingest)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ingest->batch_count; i++)
        json_array_append_new(list, artifact_reference_create(&ingest->batches[i].vectors));
    return list;
}

/* What both storage steps are told, and a further member of each. */
static json_t *document_input(const struct ingest *ingest)
{
    return json_pack("{s:s, s:s, s:s, s:i}", "document_id", ingest->request.document_id,
                     "collection", ingest->request.collection, "model", ingest->model, "dimension",
                     ingest->dimension);
}

static int index_all(struct ingest *ingest, struct argosy_error *err)
{
    ingest->stage = "index";
    struct argosy_activity_options step = storage_step(ACTIVITY_INDEX_CHUNKS);
    json_t *input = document_input(ingest);
    json_object_set_new(input, "chunks", artifact_reference_create(&ingest->chunks));
    json_object_set_new(input, "plan", artifact_reference_create(&ingest->plan));
    json_object_set_new(input, "batch_size", json_integer(ingest->batch_size));
    json_object_set_new(input, "vectors", vectors_list(ingest));
    json_t *result;
    int code = step_await(ingest, step_start(ingest, &step, input), &result, err);
    if (code != 0)
        return code;
    json_int_t count = json_integer_value(json_object_get(result, "chunks"));
    json_decref(result);
    return count == ingest->chunk_count ? 0 : result_wrong(ingest, ACTIVITY_INDEX_CHUNKS, err);
}

static int commit(struct ingest *ingest, struct argosy_error *err)
{
    ingest->stage = "commit";
    struct argosy_activity_options step = storage_step(ACTIVITY_COMMIT_DOCUMENT);
    json_t *input = document_input(ingest);
    json_object_set_new(input, "chunks", json_integer(ingest->chunk_count));
    if (ingest->request.metadata != NULL)
        json_object_set_new(input, "metadata", json_loads(ingest->request.metadata, 0, NULL));
    return argosy_await(step_start(ingest, &step, input), NULL, err);
}

int document_ingest(struct argosy_workflow *workflow, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct ingest *ingest = argosy_workflow_alloc(workflow, sizeof *ingest);
    *ingest = (struct ingest){
        .workflow = workflow, .arena = argosy_workflow_arena(workflow), .stage = "load"};
    ingest_request_digest(argosy_workflow_input(workflow), ingest->digest);
    argosy_query_handle(workflow, "progress", answer_progress, ingest);
    int code =
        ingest_request_read(argosy_workflow_input(workflow), ingest->arena, &ingest->request, err);
    if (code == 0)
        code = load(ingest, err);
    if (code == 0)
        code = select_new(ingest, err);
    if (code == 0)
        code = embed(ingest, err);
    if (code == 0)
        code = index_all(ingest, err);
    if (code == 0)
        code = commit(ingest, err);
    if (code != 0)
        return code;
    ingest->stage = "done";
    ingest->done = ingest->chunk_count;
    return argosy_payload_pack(
        ingest->arena, ret_result, err, "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "document_id",
        ingest->request.document_id, "collection", ingest->request.collection, "model",
        ingest->model, "request", ingest->digest, "chunks", ingest->chunk_count, "embedded",
        ingest->new_count, "unchanged", ingest->unchanged_count, "bytes", ingest->bytes);
}
