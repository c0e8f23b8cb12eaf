/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_request: see ingest_request.h. */
#include "workflows/ingest/ingest_request.h"

#include <stdio.h>
#include <string.h>

#include "common/assert.h"
#include "models/sha256.h"
#include "storage/vectors.h"
#include "workflows/artifact_reference.h"
#include "workflows/failure.h"
#include "workflows/json_members.h"
#include "workflows/json_payload.h"

/* What is being read: the first failure counts. */
struct reading {
    const json_t *object;
    struct argosy_arena *arena;
    struct argosy_error *err;
    int code;
};

#define READING_FAILED(reading, ...)                                                               \
    ((reading)->code = (reading)->code != 0                                                        \
                           ? (reading)->code                                                       \
                           : failure_final((reading)->arena, FAILURE_INVALID_INPUT,                \
                                           (reading)->err, __VA_ARGS__))

static const char *text_copy(struct reading *reading, const char *text)
{
    const char *copy = argosy_arena_printf(reading->arena, "%s", text);
    if (copy == NULL && reading->code == 0)
        reading->code = argosy_error_set(reading->err, ARGOSY_ERR_MEMORY, "out of memory");
    return copy;
}

/* A member that is a text of 1 to VECTOR_NAME_MAX bytes; NULL where it is absent. */
static const char *text_read(struct reading *reading, const char *key, bool is_needed)
{
    const json_t *value = json_object_get(reading->object, key);
    if (value == NULL || json_is_null(value)) {
        if (is_needed)
            READING_FAILED(reading, "\"%s\" is missing", key);
        return NULL;
    }
    size_t length = json_string_length(value);
    if (!json_is_string(value) || length == 0 || length > VECTOR_NAME_MAX) {
        READING_FAILED(reading, "\"%s\" must be a text of 1 to %d bytes", key, VECTOR_NAME_MAX);
        return NULL;
    }
    return text_copy(reading, json_string_value(value));
}

static int64_t number_read(struct reading *reading, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(reading->object, key);
    if (value == NULL || json_is_null(value))
        return fallback;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        READING_FAILED(reading, "\"%s\" must be a whole number, not negative", key);
    return json_integer_value(value);
}

/* Names that are not known are mistakes: an ingest without the metadata meant is worse than none.
 */
static void names_check(struct reading *reading, const char *where, const char *const *names,
                        size_t count)
{
    struct error why;
    if (json_members_check(reading->object, names, count, &why) != 0)
        READING_FAILED(reading, "%s: %s", where, why.text);
}

static void source_read(struct reading *reading, struct ingest_request *request)
{
    static const char *const names[] = {"artifact", "size", "name", "type"};
    struct reading source = *reading;
    source.object = json_object_get(reading->object, "source");
    struct error why = {0};
    if (artifact_reference_read(source.object, &request->source, &why) != 0) {
        READING_FAILED(&source, "\"source\": %s", why.text);
    } else {
        names_check(&source, "\"source\"", names, sizeof names / sizeof names[0]);
        request->name = text_read(&source, "name", false);
        request->type = text_read(&source, "type", false);
    }
    reading->code = source.code;
}

static void metadata_check(struct reading *reading, const json_t *metadata)
{
    static const char *const taken[] = {"document_id", "offset", "section"};
    if (!json_is_object(metadata))
        READING_FAILED(reading, "\"metadata\" must be an object of texts, numbers and booleans");
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)metadata, name, value)
    {
        size_t size = strlen(name);
        if (size == 0 || size > VECTOR_NAME_MAX)
            READING_FAILED(reading, "a name in \"metadata\" has %zu bytes, not 1 to %d", size,
                           VECTOR_NAME_MAX);
        if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
            READING_FAILED(reading, "\"metadata\": \"%s\" must be a text, a number or a boolean",
                           name);
        for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
            if (strcmp(name, taken[i]) == 0)
                READING_FAILED(reading, "\"metadata\": \"%s\" is a name of the chunks' own", name);
    }
}

static const char *metadata_read(struct reading *reading)
{
    const json_t *metadata = json_object_get(reading->object, "metadata");
    if (metadata == NULL || json_is_null(metadata))
        return NULL;
    metadata_check(reading, metadata);
    if (reading->code != 0)
        return NULL;
    struct argosy_payload text;
    int code =
        json_payload_make(json_incref((json_t *)metadata), reading->arena, &text, reading->err);
    if (code != 0) {
        reading->code = reading->code != 0 ? reading->code : code;
        return NULL;
    }
    if (text.size > VECTOR_METADATA_SIZE_MAX) {
        READING_FAILED(reading, "\"metadata\" has %zu bytes; at most %d can be kept", text.size,
                       VECTOR_METADATA_SIZE_MAX);
        return NULL;
    }
    return argosy_arena_printf(reading->arena, "%.*s", (int)text.size, (const char *)text.data);
}

int ingest_request_read(const struct argosy_payload *input, struct argosy_arena *arena,
                        struct ingest_request *ret_request, struct argosy_error *err)
{
    static const char *const names[] = {"document_id", "collection",   "source",       "metadata",
                                        "model",       "chunk_tokens", "chunk_overlap"};
    json_t *object;
    int code = json_payload_read_object(input, arena, &object, err);
    if (code != 0)
        return code;
    struct reading reading = {.object = object, .arena = arena, .err = err};
    struct ingest_request request = {0};
    names_check(&reading, "the input", names, sizeof names / sizeof names[0]);
    request.document_id = text_read(&reading, "document_id", true);
    request.collection = text_read(&reading, "collection", true);
    if (reading.code == 0)
        source_read(&reading, &request);
    request.metadata = metadata_read(&reading);
    request.model = text_read(&reading, "model", false);
    request.chunk_tokens = number_read(&reading, "chunk_tokens", 0);
    request.chunk_overlap = number_read(&reading, "chunk_overlap", -1);
    json_decref(object);
    if (reading.code == 0)
        *ret_request = request;
    return reading.code;
}

void ingest_request_digest(const struct argosy_payload *input, char ret_digest[INGEST_DIGEST_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    /* Of memory: it can fail only where the library has no SHA-256. */
    ASSERT(sha256_of_bytes(input->data, input->size, digest) == 0);
    char *at = ret_digest + sprintf(ret_digest, "sha256:");
    for (size_t i = 0; i < sizeof digest; i++)
        at += sprintf(at, "%02x", digest[i]);
}
