/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ingest: any bytes as the input of DocumentIngestWorkflow, and as a file of chunks (the first
 * byte chooses): they are refused with a reason, or hold what the headers promise. */
#include <argosy/arena.h>
#include <argosy/failure.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/assert.h"
#include "storage/artifact.h"
#include "workflows/ingest/chunk_file.h"
#include "workflows/failure.h"
#include "workflows/ingest/ingest_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name_check(const char *name)
{
    ASSERT(strlen(name) > 0 && strlen(name) <= VECTOR_NAME_MAX);
}

static void request_read(const uint8_t *data, size_t size)
{
    struct argosy_arena *arena = argosy_arena_create();
    const struct argosy_payload input = {
        .encoding = ARGOSY_ENCODING_JSON, .data = data, .size = size};
    struct ingest_request request;
    struct argosy_error err = {0};
    int code = ingest_request_read(&input, arena, &request, &err);
    if (code == 0) {
        name_check(request.document_id);
        name_check(request.collection);
        ASSERT(artifact_id_check(request.source.id, NULL) == 0);
        ASSERT(request.chunk_tokens >= 0 && request.chunk_overlap >= -1);
        ASSERT(request.metadata == NULL || strlen(request.metadata) <= VECTOR_METADATA_SIZE_MAX);
    } else {
        ASSERT(code == ARGOSY_ERR_FAILED);
        ASSERT(strcmp(argosy_failure_type(err.failure), FAILURE_INVALID_INPUT) == 0);
    }
    argosy_arena_destroy(arena);
}

static void chunks_read(const uint8_t *data, size_t size)
{
    int fd = memfd_create("chunks", MFD_CLOEXEC);
    ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    struct chunk_reader *reader;
    struct chunk_line line;
    ASSERT(chunk_reader_open(fd, &reader, NULL) == 0);
    uint32_t count = 0;
    int code;
    while ((code = chunk_reader_next(reader, &line, NULL)) == 0 && line.text != NULL) {
        ASSERT(line.ordinal == count++);
        ASSERT(strlen(line.text) == line.text_size && line.metadata[0] == '{');
    }
    ASSERT(code == 0 || code == ERR_INVALID);
    chunk_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        request_read(data + 1, size - 1);
    else
        chunks_read(data + 1, size - 1);
    return 0;
}
