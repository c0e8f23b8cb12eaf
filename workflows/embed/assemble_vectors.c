/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_vectors: the last step of EmbedFileWorkflow; see embed_file.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "models/safetensors_writer.h"
#include "workflows/artifact_reference.h"
#include "workflows/embed/embed_file.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/scratch_file.h"
#include "workflows/shipped.h"

#define COPY_SIZE     ((size_t)256 * 1024)
#define DIMENSION_MAX 65536

/* Bytes before the header's text in a .npy file of version 1.0, and what the data's place is a
 * multiple of. */
#define NPY_FIXED     10
#define NPY_ALIGNMENT 64

struct part {
    struct artifact vectors;
    uint64_t count;
};

struct assembly {
    const struct shipped_context *context;
    struct argosy_activity *activity;
    bool is_npy;
    uint64_t dimension;
    uint64_t count; /* of vectors */
    struct part parts[EMBED_PARTS_MAX];
    size_t part_count;
    uint8_t copied[COPY_SIZE];
};

/* ---- reading ---- */

static int read_part(struct assembly *assembly, const json_t *value, struct error *err)
{
    struct part part;
    json_int_t count = json_integer_value(json_object_get(value, "count"));
    int code = artifact_reference_read(value, &part.vectors, err);
    if (code != 0)
        return code;
    part.count = (uint64_t)count;
    if (count < 1 || part.vectors.size % (assembly->dimension * sizeof(float)) != 0 ||
        part.vectors.size / (assembly->dimension * sizeof(float)) != part.count)
        return error_set(err, ERR_INVALID, "part %zu has %" PRIu64 " bytes for %" PRId64 " vectors",
                         assembly->part_count, part.vectors.size, (int64_t)count);
    assembly->parts[assembly->part_count++] = part;
    assembly->count += part.count;
    return 0;
}

static int read_request(struct assembly *assembly, const json_t *request, struct error *err)
{
    const char *format = json_string_value(json_object_get(request, "format"));
    const json_t *parts = json_object_get(request, "parts");
    json_int_t dimension = json_integer_value(json_object_get(request, "dimension"));
    assembly->is_npy = format != NULL && strcmp(format, "npy") == 0;
    if (!assembly->is_npy && (format == NULL || strcmp(format, "safetensors") != 0))
        return error_set(err, ERR_INVALID, "\"format\" must be \"npy\" or \"safetensors\"");
    if (dimension < 1 || dimension > DIMENSION_MAX)
        return error_set(err, ERR_INVALID, "\"dimension\" must be a number from 1 to %d",
                         DIMENSION_MAX);
    if (!json_is_array(parts) || json_array_size(parts) > EMBED_PARTS_MAX)
        return error_set(err, ERR_INVALID, "\"parts\" must be a list of at most %d",
                         EMBED_PARTS_MAX);
    assembly->dimension = (uint64_t)dimension;
    int code = 0;
    for (size_t i = 0; code == 0 && i < json_array_size(parts); i++)
        code = read_part(assembly, json_array_get(parts, i), err);
    return code;
}

/* ---- writing ---- */

static void npy_header(const struct assembly *assembly, struct buffer *out)
{
    static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    struct buffer text = {0};
    buffer_printf(&text,
                  "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64 ", %" PRIu64 "), }",
                  assembly->count, assembly->dimension);
    while ((NPY_FIXED + text.size + 1) % NPY_ALIGNMENT != 0 && !text.failed)
        buffer_append_byte(&text, ' ');
    buffer_append_byte(&text, '\n');
    buffer_append(out, magic, sizeof magic);
    buffer_append_byte(out, (uint8_t)text.size);
    buffer_append_byte(out, (uint8_t)(text.size >> 8));
    buffer_append(out, text.data, text.size);
    out->failed |= text.failed;
    buffer_fini(&text);
}

static void safetensors_header(const struct assembly *assembly, struct buffer *out)
{
    const uint64_t shape[] = {assembly->count, assembly->dimension};
    struct tensor tensor = tensor_over("vectors", TENSOR_F32, 2, shape, NULL);
    safetensors_write_header(&tensor, 1, out);
}

static int write_bytes(FILE *file, const void *data, size_t size, struct error *err)
{
    if (fwrite(data, 1, size, file) != size)
        return error_set_errno(err, errno == ENOSPC ? ERR_LIMIT : ERR_IO, errno,
                               "could not write the vectors");
    return 0;
}

static int copy_vectors(struct assembly *assembly, const struct part *part, int fd, FILE *file,
                        struct error *err)
{
    uint64_t left = part->vectors.size;
    while (left > 0) {
        ssize_t got = read(fd, assembly->copied, left < COPY_SIZE ? (size_t)left : COPY_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set_errno(err, ERR_IO, got < 0 ? errno : EIO, "could not read vectors");
        int code = write_bytes(file, assembly->copied, (size_t)got, err);
        if (code != 0)
            return code;
        left -= (uint64_t)got;
    }
    return 0;
}

static int add_part(struct assembly *assembly, const struct part *part, FILE *file,
                    struct error *err)
{
    int fd;
    uint64_t size;
    argosy_activity_heartbeat(assembly->activity, NULL);
    if (argosy_activity_is_canceled(assembly->activity))
        return error_set(err, ERR_CANCELED, "the file is no longer wanted");
    int code =
        artifact_open(assembly->context->storage, part->vectors.id, NULL, NULL, &fd, &size, err);
    if (code != 0)
        return code;
    code = size == part->vectors.size
               ? copy_vectors(assembly, part, fd, file, err)
               : error_set(err, ERR_INVALID, "artifact %s has another size", part->vectors.id);
    close(fd);
    return code;
}

static int write_file(struct assembly *assembly, FILE *file, struct error *err)
{
    struct buffer header = {0};
    if (assembly->is_npy)
        npy_header(assembly, &header);
    else
        safetensors_header(assembly, &header);
    int code = header.failed ? error_set(err, ERR_MEMORY, "out of memory")
                             : write_bytes(file, header.data, header.size, err);
    buffer_fini(&header);
    for (size_t i = 0; code == 0 && i < assembly->part_count; i++)
        code = add_part(assembly, &assembly->parts[i], file, err);
    return code;
}

/* ---- the activity ---- */

static int make(struct assembly *assembly, struct argosy_payload *ret_result, struct error *err)
{
    json_t *request;
    FILE *file;
    struct artifact output;
    int code = json_payload_read(argosy_activity_input(assembly->activity), &request, err);
    if (code != 0)
        return code;
    code = read_request(assembly, request, err);
    json_decref(request);
    if (code == 0)
        code = scratch_file_open(assembly->context->config, &file, err);
    if (code != 0)
        return code;
    code = write_file(assembly, file, err);
    if (code == 0)
        code = scratch_file_put(file, assembly->context->storage, assembly->activity, &output, err);
    fclose(file);
    if (code != 0)
        return code;
    return json_payload_write(json_pack("{s:o}", "output", artifact_reference_create(&output)),
                              argosy_activity_arena(assembly->activity), ret_result, err);
}

int assemble_vectors(struct argosy_activity *activity, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct error why = {0};
    struct assembly *assembly = calloc(1, sizeof *assembly);
    if (assembly == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    assembly->context = user_data;
    assembly->activity = activity;
    int code = make(assembly, ret_result, &why);
    free(assembly);
    return code == 0
               ? 0
               : failure_from(argosy_activity_arena(activity), FAILURE_INVALID_INPUT, &why, err);
}
