/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors: see safetensors.h. The header is parsed with jansson, which refuses duplicate keys,
 * names with NUL, integers beyond 64 bits and nesting beyond its depth limit; everything else is
 * checked here. Tensors are sorted by offset: then "each starts where the one before ended, and the
 * last ends with the file" says at once that there is no overlap, no hole and nothing out of
 * bounds.
 */
#include "models/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "common/assert.h"
#include "models/half.h"

#define LENGTH_SIZE 8 /* the header's length stands before it */

struct safetensors {
    char *name;
    const uint8_t *bytes; /* the whole file */
    size_t size;
    bool is_mapped;          /* owns bytes as a mapping; else borrows them */
    json_t *header;          /* owns the tensors' names */
    struct tensor *tensors;  /* by offset */
    struct tensor **by_name; /* the same, by name */
    size_t tensor_count;
};

struct dtype_row {
    const char *name;
    size_t size;
};

static const struct dtype_row dtype_rows[] = {
#define DTYPE_ROW(name, size) [TENSOR_##name] = {#name, size},
    TENSOR_DTYPES(DTYPE_ROW)
#undef DTYPE_ROW
};

#define DTYPE_COUNT (sizeof dtype_rows / sizeof dtype_rows[0])

const char *tensor_dtype_name(enum tensor_dtype dtype)
{
    return dtype_rows[dtype].name;
}

size_t tensor_dtype_size(enum tensor_dtype dtype)
{
    return dtype_rows[dtype].size;
}

const char *tensor_shape_format(const struct tensor *tensor, char text[TENSOR_SHAPE_TEXT])
{
    /* TENSOR_RANK_MAX numbers of 20 digits with ", " between them and brackets: 178 bytes. */
    size_t used = (size_t)snprintf(text, TENSOR_SHAPE_TEXT, "[");
    for (uint32_t i = 0; i < tensor->rank; i++)
        used += (size_t)snprintf(text + used, TENSOR_SHAPE_TEXT - used, "%s%" PRIu64,
                                 i > 0 ? ", " : "", tensor->shape[i]);
    snprintf(text + used, TENSOR_SHAPE_TEXT - used, "]");
    return text;
}

static int parse_dtype(const json_t *value, enum tensor_dtype *ret_dtype)
{
    const char *name = json_string_value(value);
    for (size_t i = 0; name != NULL && i < DTYPE_COUNT; i++) {
        if (strcmp(dtype_rows[i].name, name) == 0) {
            *ret_dtype = (enum tensor_dtype)i;
            return 0;
        }
    }
    return ERR_CORRUPT;
}

/* A whole number from 0 up; JSON's only integers are signed. */
static bool parse_size(const json_t *value, uint64_t *ret_size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret_size = (uint64_t)json_integer_value(value);
    return true;
}

static int parse_shape(struct tensor *tensor, const json_t *shape, struct error *err)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > TENSOR_RANK_MAX)
        return error_set(err, ERR_CORRUPT, "its shape is no list of at most %d sizes",
                         TENSOR_RANK_MAX);
    tensor->rank = (uint32_t)rank;
    tensor->count = 1;
    for (size_t i = 0; i < rank; i++) {
        if (!parse_size(json_array_get(shape, i), &tensor->shape[i]))
            return error_set(err, ERR_CORRUPT, "size %zu of its shape is no whole number", i);
        if (__builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count))
            return error_set(err, ERR_CORRUPT, "the product of its shape is too large");
    }
    return 0;
}

static int parse_place(const struct safetensors *file, struct tensor *tensor, const json_t *offsets,
                       const uint8_t *data, struct error *err)
{
    size_t data_size = file->size - (size_t)(data - file->bytes);
    uint64_t begin, end, wanted;
    if (json_array_size(offsets) != 2 || !parse_size(json_array_get(offsets, 0), &begin) ||
        !parse_size(json_array_get(offsets, 1), &end) || begin > end)
        return error_set(err, ERR_CORRUPT, "its data_offsets are no [begin, end]");
    if (__builtin_mul_overflow(tensor->count, tensor_dtype_size(tensor->dtype), &wanted) ||
        end - begin != wanted) {
        char shape[TENSOR_SHAPE_TEXT];
        return error_set(
            err, ERR_CORRUPT, "its data_offsets span %" PRIu64 " bytes, which is not %s of %s",
            end - begin, tensor_shape_format(tensor, shape), tensor_dtype_name(tensor->dtype));
    }
    if (end > data_size)
        return error_set(err, ERR_CORRUPT,
                         "its data ends at byte %" PRIu64 " of %zu: the file is cut short", end,
                         data_size);
    tensor->data = data + begin;
    tensor->size = (size_t)wanted;
    return 0;
}

static int parse_tensor(const struct safetensors *file, struct tensor *tensor, const json_t *entry,
                        const uint8_t *data, struct error *err)
{
    if (!json_is_object(entry))
        return error_set(err, ERR_CORRUPT, "its entry is no object");
    if (parse_dtype(json_object_get(entry, "dtype"), &tensor->dtype) != 0)
        return error_set(err, ERR_CORRUPT, "its dtype is missing or not known");
    int code = parse_shape(tensor, json_object_get(entry, "shape"), err);
    if (code != 0)
        return code;
    return parse_place(file, tensor, json_object_get(entry, "data_offsets"), data, err);
}

static int compare_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size); /* an empty tensor before what follows it */
}

static int compare_name(const void *a, const void *b)
{
    return strcmp((*(struct tensor *const *)a)->name, (*(struct tensor *const *)b)->name);
}

/* After sorting by place: packed, from the first byte of the data to the last. */
static int check_packed(const struct safetensors *file, const uint8_t *data, struct error *err)
{
    const uint8_t *expected = data;
    for (size_t i = 0; i < file->tensor_count; i++) {
        const struct tensor *tensor = &file->tensors[i];
        if (tensor->data != expected)
            return error_set(err, ERR_CORRUPT, "tensor \"%.200s\": %s", tensor->name,
                             tensor->data < expected ? "its data overlaps the tensor before it"
                                                     : "there is a hole before its data");
        expected += tensor->size;
    }
    if (expected != file->bytes + file->size)
        return error_set(err, ERR_CORRUPT, "%zu bytes after the last tensor belong to none",
                         (size_t)(file->bytes + file->size - expected));
    return 0;
}

static int parse_tensors(struct safetensors *file, const uint8_t *data, struct error *err)
{
    size_t entries = json_object_size(file->header);
    file->tensors = calloc(entries + 1, sizeof *file->tensors);
    file->by_name = calloc(entries + 1, sizeof *file->by_name);
    if (file->tensors == NULL || file->by_name == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        struct tensor *tensor = &file->tensors[file->tensor_count];
        tensor->name = name;
        if (parse_tensor(file, tensor, entry, data, err) != 0)
            return error_prefix(err, "tensor \"%.200s\"", name);
        file->tensor_count++;
    }
    qsort(file->tensors, file->tensor_count, sizeof *file->tensors, compare_place);
    for (size_t i = 0; i < file->tensor_count; i++)
        file->by_name[i] = &file->tensors[i];
    qsort(file->by_name, file->tensor_count, sizeof *file->by_name, compare_name);
    return check_packed(file, data, err);
}

static uint64_t read_length(const uint8_t *bytes)
{
    uint64_t length = 0;
    for (int i = LENGTH_SIZE - 1; i >= 0; i--)
        length = length << 8 | bytes[i];
    return length;
}

static int parse_header(struct safetensors *file, struct error *err)
{
    if (file->size < LENGTH_SIZE)
        return error_set(err, ERR_CORRUPT,
                         "%zu bytes are too few for a header: the file is cut "
                         "short",
                         file->size);
    uint64_t length = read_length(file->bytes);
    if (length > SAFETENSORS_HEADER_MAX)
        return error_set(err, ERR_CORRUPT, "a header of %" PRIu64 " bytes is above the limit of %u",
                         length, SAFETENSORS_HEADER_MAX);
    if (length > file->size - LENGTH_SIZE)
        return error_set(err, ERR_CORRUPT,
                         "the header has %" PRIu64 " bytes, the file only %zu: "
                         "the file is cut short",
                         length, file->size);
    if (length == 0 || file->bytes[LENGTH_SIZE] != '{')
        return error_set(err, ERR_CORRUPT, "its header does not start with \"{\"");
    json_error_t where;
    file->header = json_loadb((const char *)file->bytes + LENGTH_SIZE, (size_t)length,
                              JSON_REJECT_DUPLICATES, &where);
    if (file->header == NULL)
        return error_set(err, ERR_CORRUPT, "its header is no JSON: %s at byte %d", where.text,
                         where.position);
    ASSERT(json_is_object(file->header));
    return parse_tensors(file, file->bytes + LENGTH_SIZE + length, err);
}

/* Takes the mapping when is_mapped. */
static int open_bytes(const void *bytes, size_t size, bool is_mapped, const char *name,
                      struct safetensors **ret_file, struct error *err)
{
    struct safetensors *file = calloc(1, sizeof *file);
    if (file == NULL) {
        if (is_mapped)
            munmap((void *)bytes, size);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    file->bytes = bytes;
    file->size = size;
    file->is_mapped = is_mapped;
    file->name = strdup(name);
    int code =
        file->name == NULL ? error_set(err, ERR_MEMORY, "out of memory") : parse_header(file, err);
    if (code != 0) {
        error_prefix(err, "%s", name);
        safetensors_close(file);
        return code;
    }
    *ret_file = file;
    return 0;
}

int safetensors_parse(const void *bytes, size_t size, const char *name,
                      struct safetensors **ret_file, struct error *err)
{
    return open_bytes(bytes, size, false, name, ret_file, err);
}

static int map_file(const char *path, const void **ret_bytes, size_t *ret_size, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                               "could not open %s", path);
    struct stat st;
    int code = 0;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &st) != 0)
        code = error_set_errno(err, ERR_IO, errno, "could not look at %s", path);
    else if (!S_ISREG(st.st_mode) || st.st_size == 0)
        code = error_set(err, ERR_CORRUPT, "%s: %s", path,
                         S_ISREG(st.st_mode) ? "the file is empty" : "it is no regular file");
    else if ((bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        code = error_set_errno(err, ERR_IO, errno, "could not map %s", path);
    close(fd);
    if (code != 0)
        return code;
    *ret_bytes = bytes;
    *ret_size = (size_t)st.st_size;
    return 0;
}

int safetensors_open(const char *path, struct safetensors **ret_file, struct error *err)
{
    const void *bytes;
    size_t size;
    int code = map_file(path, &bytes, &size, err);
    return code != 0 ? code : open_bytes(bytes, size, true, path, ret_file, err);
}

void safetensors_close(struct safetensors *file)
{
    if (file == NULL)
        return;
    if (file->is_mapped)
        munmap((void *)file->bytes, file->size);
    json_decref(file->header);
    free(file->tensors);
    free(file->by_name);
    free(file->name);
    free(file);
}

const struct tensor *safetensors_tensors(const struct safetensors *file, size_t *ret_count)
{
    *ret_count = file->tensor_count;
    return file->tensors;
}

const struct tensor *safetensors_find(const struct safetensors *file, const char *name)
{
    struct tensor wanted = {.name = name};
    struct tensor *key = &wanted;
    struct tensor **found =
        bsearch(&key, file->by_name, file->tensor_count, sizeof *file->by_name, compare_name);
    return found != NULL ? *found : NULL;
}

const char *safetensors_name(const struct safetensors *file)
{
    return file->name;
}

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "F32 and F64 are copied as they are");

int tensor_to_float(const struct tensor *tensor, float *out, struct error *err)
{
    const uint8_t *data = tensor->data;
    switch (tensor->dtype) {
    case TENSOR_F32:
        if (tensor->size > 0)
            memcpy(out, data, tensor->size);
        return 0;
    case TENSOR_F16:
        for (uint64_t i = 0; i < tensor->count; i++)
            out[i] = half_to_float(read_u16(data + 2 * i));
        return 0;
    case TENSOR_BF16:
        for (uint64_t i = 0; i < tensor->count; i++)
            out[i] = bfloat_to_float(read_u16(data + 2 * i));
        return 0;
    case TENSOR_F64:
        for (uint64_t i = 0; i < tensor->count; i++) {
            double value;
            memcpy(&value, data + 8 * i, sizeof value);
            out[i] = (float)value;
        }
        return 0;
    default:
        return error_set(err, ERR_UNSUPPORTED,
                         "tensor \"%.200s\" is %s, which is no floating type "
                         "known here",
                         tensor->name, tensor_dtype_name(tensor->dtype));
    }
}
