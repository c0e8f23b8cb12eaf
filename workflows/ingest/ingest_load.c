/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_load: the activity load_and_chunk (ingest_activity.h). Source artifact -> loader ->
 * chunker
 * -> lines of a scratch file -> artifact; nothing of it is whole in memory.
 */
#include "workflows/ingest/ingest_activity.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "models/chunker.h"
#include "models/model_config.h"
#include "models/model_store.h"
#include "models/sha256.h"
#include "workflows/artifact_reference.h"
#include "workflows/ingest/chunk_file.h"
#include "workflows/ingest/document_text.h"
#include "workflows/failure.h"
#include "workflows/ingest/ingest_request.h"
#include "workflows/json_payload.h"
#include "workflows/scratch_file.h"
#include "workflows/ingest/section_list.h"
#include "workflows/shipped.h"

/* Bytes a token may take: English has 4 to 5, so that only what is hardly text meets this bound. */
#define BYTES_PER_TOKEN_MAX 16
/* Chunks between two heartbeats: some milliseconds of work. */
#define HEARTBEAT_CHUNKS 256

/* A chunker of the request's model. */
struct cutter {
    char model[MODEL_NAME_MAX + 1];
    struct model_config config;
    struct tokenizer *tokenizer;
    struct chunker *chunker;
};

struct load {
    struct argosy_activity *activity;
    const struct shipped_context *context;
    struct ingest_request request;
    struct cutter cutter;
    struct section_list sections;
    FILE *file;           /* the chunks' lines */
    struct buffer hashed; /* model, NUL, text */
    uint32_t count;
    uint64_t bytes;
};

/* ---- model ---- */

/* The model that is meant by none: that of the node's first gpu group, else the default one. */
static const char *model_default(const struct fleet_config *config)
{
    for (size_t i = 0; i < config->group_count; i++)
        if (config->groups[i].kind == FLEET_GROUP_GPU)
            return config->groups[i].model;
    return FLEET_MODEL_DEFAULT;
}

/* What a chunk may be, by the request and by what the model reads. */
static int options_make(const struct ingest_request *request, uint32_t model_tokens,
                        struct chunker_options *ret_options, struct error *err)
{
    int64_t tokens = request->chunk_tokens > 0 ? request->chunk_tokens : model_tokens;
    if (tokens > model_tokens)
        return error_set(err, ERR_INVALID,
                         "\"chunk_tokens\" is %lld, but the model reads at most %u tokens",
                         (long long)tokens, model_tokens);
    int64_t overlap = request->chunk_overlap >= 0 ? request->chunk_overlap : tokens / 8;
    if (overlap > tokens / 2)
        return error_set(err, ERR_INVALID,
                         "\"chunk_overlap\" is %lld, which is more than half of a chunk's %lld "
                         "tokens",
                         (long long)overlap, (long long)tokens);
    size_t size = (size_t)tokens * BYTES_PER_TOKEN_MAX;
    *ret_options = (struct chunker_options){
        .token_max = (uint32_t)tokens,
        .overlap_max = (uint32_t)overlap,
        .size_max = size < VECTOR_TEXT_SIZE_MAX ? size : VECTOR_TEXT_SIZE_MAX,
    };
    return 0;
}

static int tokenizer_load(struct cutter *cutter, const char *models_dir, struct error *err)
{
    char folder[MODEL_PATH_MAX], path[MODEL_PATH_MAX + 16];
    int code = model_store_path(models_dir, cutter->model, folder, err);
    if (code == 0)
        code = model_config_load(folder, &cutter->config, err);
    if (code != 0)
        return code;
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    return tokenizer_open(path, &cutter->config.tokenizer, &cutter->tokenizer, err);
}

static int cutter_open(struct load *load, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(load->activity);
    struct cutter *cutter = &load->cutter;
    const struct fleet_config *config = load->context->config;
    const char *model = load->request.model != NULL ? load->request.model : model_default(config);
    struct error why = {0};
    if ((size_t)snprintf(cutter->model, sizeof cutter->model, "%s", model) >= sizeof cutter->model)
        return failure_final(arena, FAILURE_INVALID_INPUT, err, "\"model\" is too long");
    if (tokenizer_load(cutter, config->models_dir, &why) != 0)
        return failure_from(arena, FAILURE_INVALID_MODEL, &why, err);
    struct chunker_options options;
    /* [CLS] and [SEP] are the model's own. */
    if (options_make(&load->request, cutter->config.max_seq_length - 2, &options, &why) != 0 ||
        chunker_create(cutter->tokenizer, &options, &cutter->chunker, &why) != 0)
        return failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
    return 0;
}

static void cutter_close(struct cutter *cutter)
{
    chunker_destroy(cutter->chunker);
    tokenizer_destroy(cutter->tokenizer);
    model_config_fini(&cutter->config);
}

/* ---- chunks ---- */

/* The words of a chunk, without the white space at its ends. */
static struct chunk chunk_trim(struct chunk chunk)
{
    static const char white[] = " \t\r\n\f\v";
    while (chunk.size > 0 && memchr(white, chunk.text[0], sizeof white - 1) != NULL) {
        chunk.text++;
        chunk.offset++;
        chunk.size--;
    }
    while (chunk.size > 0 && memchr(white, chunk.text[chunk.size - 1], sizeof white - 1) != NULL)
        chunk.size--;
    return chunk;
}

static int chunk_hash(struct load *load, const struct chunk *chunk,
                      uint8_t ret_hash[VECTOR_HASH_SIZE], struct error *err)
{
    buffer_clear(&load->hashed);
    buffer_append(&load->hashed, load->cutter.model, strlen(load->cutter.model) + 1);
    buffer_append(&load->hashed, chunk->text, chunk->size);
    if (load->hashed.failed || sha256_of_bytes(load->hashed.data, load->hashed.size, ret_hash) != 0)
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

/* Tells that the work goes on, and hears whether it should. */
static int load_beat(const struct load *load, struct error *err)
{
    argosy_activity_heartbeat(load->activity, NULL);
    if (argosy_activity_is_canceled(load->activity))
        return error_set(err, ERR_CANCELED, "canceled");
    if (argosy_activity_is_draining(load->activity))
        return error_set(err, ERR_CLOSED, "the worker is shutting down");
    return 0;
}

static int chunk_take(struct load *load, const struct chunk *whole, struct error *err)
{
    struct chunk chunk = chunk_trim(*whole);
    if (chunk.token_count == 0 || chunk.size == 0)
        return 0;
    if (load->count == INGEST_CHUNKS_MAX)
        return error_set(err, ERR_RANGE, "the document has more than %d chunks", INGEST_CHUNKS_MAX);
    struct chunk_record record = {
        .text = chunk.text,
        .size = chunk.size,
        .ordinal = load->count,
        .offset = chunk.offset,
        .section = section_list_find(&load->sections, chunk.offset),
    };
    int code = chunk_hash(load, &chunk, record.hash, err);
    if (code == 0)
        code = chunk_record_write(load->file, &record, err);
    if (code == 0 && ++load->count % HEARTBEAT_CHUNKS == 0)
        code = load_beat(load, err);
    return code;
}

static int chunks_take(struct load *load, struct error *err)
{
    struct chunk chunk;
    int code = 0;
    while (code == 0 && chunker_next(load->cutter.chunker, &chunk))
        code = chunk_take(load, &chunk, err);
    return code;
}

static int take_text(void *context, const char *text, size_t size, struct error *err)
{
    struct load *load = context;
    int code = chunker_add(load->cutter.chunker, text, size, err);
    return code == 0 ? chunks_take(load, err) : code;
}

static int take_heading(void *context, uint64_t offset, const char *title, size_t size,
                        struct error *err)
{
    struct load *load = context;
    return section_list_add(&load->sections, offset, title, size, err);
}

/* ---- source ---- */

static int type_find(const struct ingest_request *request, int fd, enum document_type *ret_type,
                     struct error *err)
{
    char head[DOCUMENT_HEAD_SIZE];
    ssize_t size = pread(fd, head, sizeof head, 0);
    if (size < 0)
        return error_set_errno(err, ERR_IO, errno, "could not read the document");
    return document_type_find(request->type, request->name, head, (size_t)size, ret_type, err);
}

static int document_failed(struct load *load, const struct error *why, struct argosy_error *err)
{
    const char *type =
        why->code == ERR_UNSUPPORTED ? FAILURE_UNSUPPORTED_DOCUMENT : FAILURE_INVALID_DOCUMENT;
    return failure_from(argosy_activity_arena(load->activity), type, why, err);
}

/* The lines of all chunks into the scratch file. ARGOSY_ACTIVITY_RELEASED when draining. */
static int document_chunk(struct load *load, int fd, struct argosy_error *err)
{
    struct error why = {0};
    enum document_type type;
    const struct document_sink sink = {.text = take_text, .heading = take_heading, .context = load};
    int code = type_find(&load->request, fd, &type, &why);
    if (code == 0)
        code = document_text_load(fd, type, &sink, &why);
    if (code == 0) {
        chunker_end(load->cutter.chunker);
        code = chunks_take(load, &why);
    }
    if (code == ERR_CLOSED)
        return ARGOSY_ACTIVITY_RELEASED;
    if (code != 0)
        return document_failed(load, &why, err);
    if (load->count == 0)
        return failure_final(argosy_activity_arena(load->activity), FAILURE_EMPTY_DOCUMENT, err,
                             "there is no text in the document");
    return 0;
}

static int source_open(struct load *load, int *ret_fd, struct argosy_error *err)
{
    struct error why = {0};
    int code = artifact_open(load->context->storage, load->request.source.id, NULL, NULL, ret_fd,
                             &load->bytes, &why);
    return code == 0
               ? 0
               : failure_from(argosy_activity_arena(load->activity), FAILURE_ARTIFACT, &why, err);
}

static int load_finish(struct load *load, struct argosy_payload *ret_result,
                       struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(load->activity);
    struct artifact chunks;
    struct error why = {0};
    if (scratch_file_put(load->file, load->context->storage, load->activity, &chunks, &why) != 0)
        return failure_from(arena, FAILURE_ARTIFACT, &why, err);
    return json_payload_make(
        json_pack("{s:o, s:I, s:I, s:s, s:I}", "chunks", artifact_reference_create(&chunks),
                  "count", (json_int_t)load->count, "bytes", (json_int_t)load->bytes, "model",
                  load->cutter.model, "dimension", (json_int_t)load->cutter.config.hidden_size),
        arena, ret_result, err);
}

int load_and_chunk(struct argosy_activity *activity, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct load load = {.activity = activity, .context = user_data};
    struct error why = {0};
    int fd = -1;
    int code = ingest_request_read(argosy_activity_input(activity), arena, &load.request, err);
    if (code == 0)
        code = cutter_open(&load, err);
    if (code == 0)
        code = source_open(&load, &fd, err);
    if (code == 0 && scratch_file_open(load.context->config, &load.file, &why) != 0)
        code = failure_from(arena, FAILURE_ARTIFACT, &why, err);
    if (code == 0)
        code = document_chunk(&load, fd, err);
    if (code == 0)
        code = load_finish(&load, ret_result, err);
    if (load.file != NULL)
        fclose(load.file);
    if (fd >= 0)
        close(fd);
    buffer_fini(&load.hashed);
    section_list_fini(&load.sections);
    cutter_close(&load.cutter);
    return code;
}
