/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_select: the activity select_new_chunks (ingest_activity.h). One pass over the chunks: each
 * hash is looked up among those the document has and those met before.
 */
#include "workflows/ingest/ingest_activity.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "common/arena.h"
#include "workflows/artifact_reference.h"
#include "workflows/ingest/chunk_file.h"
#include "workflows/ingest/digest_table.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/scratch_file.h"
#include "workflows/shipped.h"

/* Hashes of INGEST_CHUNKS_MAX chunks, twice over: as they came and as they are kept. */
#define KNOWN_SIZE_MAX ((size_t)INGEST_CHUNKS_MAX * VECTOR_HASH_SIZE * 2)

struct selection {
    struct argosy_activity *activity;
    const struct shipped_context *context;
    json_t *input;

    struct digest_table table;
    uint32_t known;     /* numbers below it are hashes the document has */
    uint32_t unchanged; /* chunks of these hashes */
    uint32_t batch_size;
    FILE *texts, *plan;
    uint64_t texts_size;
    json_t *batches;
};

static int known_add(struct selection *selection, const char *collection, const char *document,
                     struct error *err)
{
    struct arena arena;
    arena_init(&arena, KNOWN_SIZE_MAX);
    const uint8_t(*hashes)[VECTOR_HASH_SIZE];
    size_t count = 0;
    int code = vectors_document_hashes(selection->context->storage, collection, document, &arena,
                                       &hashes, &count, err);
    for (size_t i = 0; code == 0 && i < count; i++) {
        uint32_t number;
        code = digest_table_add(&selection->table, hashes[i], &number, err);
    }
    selection->known = selection->table.count;
    arena_fini(&arena);
    return code;
}

/* The number of the batch's texts so far is raised; a new batch begins where one is full. */
static int batch_count(struct selection *selection, struct error *err)
{
    json_t *last = json_array_get(selection->batches, json_array_size(selection->batches) - 1);
    json_int_t count = json_integer_value(json_object_get(last, "count"));
    if (last == NULL || count == selection->batch_size) {
        last = json_pack("{s:I, s:I}", "offset", (json_int_t)selection->texts_size, "count",
                         (json_int_t)0);
        if (json_array_append_new(selection->batches, last) != 0)
            return error_set(err, ERR_MEMORY, "out of memory");
        count = 0;
    }
    if (json_object_set_new(last, "count", json_integer(count + 1)) != 0)
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static int text_add(struct selection *selection, const struct chunk_line *line, struct error *err)
{
    int code = batch_count(selection, err);
    if (code != 0)
        return code;
    if (fwrite(line->line, 1, line->line_size, selection->texts) != line->line_size)
        return error_set_errno(err, ERR_IO, errno, "could not write the texts");
    selection->texts_size += line->line_size;
    return 0;
}

static int line_select(struct selection *selection, const struct chunk_line *line,
                       struct error *err)
{
    uint32_t count = selection->table.count, number;
    int code = digest_table_add(&selection->table, line->hash, &number, err);
    if (code == 0 && number == count)
        code = text_add(selection, line, err);
    if (code != 0)
        return code;
    bool is_known = number < selection->known;
    selection->unchanged += is_known;
    int32_t place = is_known ? -1 : (int32_t)(number - selection->known);
    uint32_t stored = htole32((uint32_t)place);
    if (fwrite(&stored, sizeof stored, 1, selection->plan) != 1)
        return error_set_errno(err, ERR_IO, errno, "could not write the plan");
    return 0;
}

static int chunks_select(struct selection *selection, const struct artifact *chunks,
                         struct error *err)
{
    int fd;
    uint64_t size;
    struct chunk_reader *reader;
    int code = artifact_open(selection->context->storage, chunks->id, NULL, NULL, &fd, &size, err);
    if (code == 0)
        code = chunk_reader_open(fd, &reader, err);
    if (code != 0)
        return code;
    struct chunk_line line;
    while (code == 0) {
        code = chunk_reader_next(reader, &line, err);
        if (code != 0 || line.text == NULL)
            break;
        code = line_select(selection, &line, err);
        if (line.ordinal % 1024 == 0)
            argosy_activity_heartbeat(selection->activity, NULL);
    }
    chunk_reader_close(reader);
    return code;
}

static int result_make(struct selection *selection, json_t **ret_result, struct error *err)
{
    struct artifact plan, texts;
    uint32_t count = selection->table.count - selection->known;
    const struct shipped_context *context = selection->context;
    int code = scratch_file_put(selection->plan, context->storage, selection->activity, &plan, err);
    if (code == 0 && count > 0)
        code =
            scratch_file_put(selection->texts, context->storage, selection->activity, &texts, err);
    if (code != 0)
        return code;
    json_t *result = json_pack("{s:I, s:I, s:o, s:O}", "new", (json_int_t)count, "unchanged",
                               (json_int_t)selection->unchanged, "plan",
                               artifact_reference_create(&plan), "batches", selection->batches);
    if (result != NULL && count > 0)
        json_object_set_new(result, "texts", artifact_reference_create(&texts));
    *ret_result = result;
    return 0;
}

static int selection_run(struct selection *selection, json_t **ret_result, struct error *err)
{
    const char *collection, *document;
    struct artifact chunks;
    int batch_size;
    if (json_unpack(selection->input, "{s:s, s:s, s:i}", "collection", &collection, "document_id",
                    &document, "batch_size", &batch_size) != 0 ||
        batch_size < 1)
        return error_set(err, ERR_INVALID,
                         "\"collection\", \"document_id\" or \"batch_size\" is missing or wrong");
    selection->batch_size = (uint32_t)batch_size;
    int code = artifact_reference_read(json_object_get(selection->input, "chunks"), &chunks, err);
    if (code == 0)
        code = known_add(selection, collection, document, err);
    if (code == 0)
        code = scratch_file_open(selection->context->config, &selection->texts, err);
    if (code == 0)
        code = scratch_file_open(selection->context->config, &selection->plan, err);
    if (code == 0)
        code = chunks_select(selection, &chunks, err);
    return code == 0 ? result_make(selection, ret_result, err) : code;
}

int select_new_chunks(struct argosy_activity *activity, void *user_data,
                      struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct selection selection = {
        .activity = activity, .context = user_data, .batches = json_array()};
    int code =
        json_payload_read_object(argosy_activity_input(activity), arena, &selection.input, err);
    if (code == 0) {
        json_t *result = NULL;
        struct error why = {0};
        code = selection_run(&selection, &result, &why) == 0
                   ? json_payload_make(result, arena, ret_result, err)
                   : failure_from(arena, FAILURE_ARTIFACT, &why, err);
    }
    if (selection.texts != NULL)
        fclose(selection.texts);
    if (selection.plan != NULL)
        fclose(selection.plan);
    digest_table_fini(&selection.table);
    json_decref(selection.batches);
    json_decref(selection.input);
    return code;
}
