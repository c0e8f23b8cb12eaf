/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors: what a good file gives, every way in which a file can be wrong, and a real file cut
 * at every length.
 */
#include "models/safetensors.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"

/* length, header and data_size bytes of data that count up. The caller frees. */
static uint8_t *file_create(const char *header, size_t data_size, size_t *ret_size)
{
    size_t length = strlen(header);
    uint8_t *bytes = calloc(1, 8 + length + data_size);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)length >> (8 * i));
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data_size; i++)
        bytes[8 + length + i] = (uint8_t)i;
    *ret_size = 8 + length + data_size;
    return bytes;
}

static int parse(const char *header, size_t data_size, struct error *err)
{
    size_t size;
    uint8_t *bytes = file_create(header, data_size, &size);
    struct safetensors *file = NULL;
    int code = safetensors_parse(bytes, size, "file", &file, err);
    if (code != 0)
        assert_null(file);
    safetensors_close(file);
    free(bytes);
    return code;
}

static void tensors_are_found_by_name(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,32]},"
        "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[24,24]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}   ";
    size_t size, count;
    struct error err;
    uint8_t *bytes = file_create(header, 32, &size);
    struct safetensors *file;
    assert_int_equal(safetensors_parse(bytes, size, "file", &file, &err), 0);
    const struct tensor *tensors = safetensors_tensors(file, &count);
    assert_int_equal(count, 3);
    assert_string_equal(tensors[0].name, "a");
    assert_string_equal(tensors[1].name, "empty");
    assert_string_equal(tensors[2].name, "b");
    const struct tensor *a = safetensors_find(file, "a");
    char text[TENSOR_SHAPE_TEXT];
    assert_string_equal(tensor_shape_format(a, text), "[2, 3]");
    assert_int_equal(a->count, 6);
    assert_int_equal(a->size, 24);
    assert_ptr_equal(a->data, bytes + 8 + strlen(header));
    assert_int_equal(safetensors_find(file, "b")->count, 1);
    assert_int_equal(safetensors_find(file, "empty")->count, 0);
    assert_null(safetensors_find(file, "__metadata__"));
    assert_null(safetensors_find(file, "c"));
    safetensors_close(file);
    free(bytes);
}

#define ONE(dtype, shape, offsets)                                                                 \
    "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void wrong_headers_are_refused_by_reason(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_size;
        const char *wanted;
    } cases[] = {
        {"", 0, "does not start with"},
        {"[]", 0, "does not start with"},
        {"{\"t\":", 0, "is no JSON"},
        {"{} x", 0, "is no JSON"},
        {"{\"t\":1}", 0, "tensor \"t\": its entry is no object"},
        {ONE("\"F31\"", "[1]", "[0,4]"), 4, "tensor \"t\": its dtype is missing or not known"},
        {ONE("7", "[1]", "[0,4]"), 4, "its dtype is missing"},
        {ONE("\"F32\"", "1", "[0,4]"), 4, "its shape is no list"},
        {ONE("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "its shape is no list"},
        {ONE("\"F32\"", "[-1]", "[0,4]"), 4, "size 0 of its shape"},
        {ONE("\"F32\"", "[1.0]", "[0,4]"), 4, "size 0 of its shape"},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "the product of its shape"},
        {ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, "which is not"},
        {ONE("\"F32\"", "[1]", "[0]"), 4, "its data_offsets are no"},
        {ONE("\"F32\"", "[1]", "[4,0]"), 4, "its data_offsets are no"},
        {ONE("\"F32\"", "[1]", "[-4,0]"), 4, "its data_offsets are no"},
        {ONE("\"F32\"", "[2]", "[0,4]"), 4, "span 4 bytes, which is not [2] of F32"},
        {ONE("\"F32\"", "[2]", "[0,8]"), 7, "ends at byte 8 of 7: the file is cut short"},
        {ONE("\"F32\"", "[1]", "[4,8]"), 8, "there is a hole before its data"},
        {ONE("\"F32\"", "[1]", "[0,4]"), 5, "1 bytes after the last tensor belong to none"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"u\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "tensor \"u\": its data overlaps"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "duplicate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        int code = parse(cases[i].header, cases[i].data_size, &err);
        if (code != ERR_CORRUPT || strstr(err.text, cases[i].wanted) == NULL ||
            strncmp(err.text, "file: ", 6) != 0)
            fail_msg("case %zu: code %d, \"%s\", wanted \"%s\"", i, code, err.text,
                     cases[i].wanted);
    }
}

static void header_length_is_checked_against_file_and_limit(void **state)
{
    (void)state;
    uint8_t bytes[16] = {0};
    struct safetensors *file = NULL;
    struct error err;
    bytes[0] = 9;
    assert_int_equal(safetensors_parse(bytes, sizeof bytes, "f", &file, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "the file is cut short"));
    memset(bytes, 0xff, 8);
    assert_int_equal(safetensors_parse(bytes, sizeof bytes, "f", &file, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "above the limit"));
    assert_int_equal(safetensors_parse(bytes, 7, "f", &file, &err), ERR_CORRUPT);
    assert_null(file);
}

/* Whatever is missing at the end, the file is refused and the text says that it is cut short or
 * what is wrong; only the whole file opens. */
static void truncated_files_are_refused_at_every_length(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = file_create(ONE("\"F32\"", "[4]", "[0,16]"), 16, &size);
    for (size_t cut = 1; cut <= size; cut++) {
        uint8_t *part = malloc(size - cut + 1); /* exact but for one: an over-read is seen */
        memcpy(part, bytes, size - cut);
        struct safetensors *file = NULL;
        struct error err;
        assert_int_equal(safetensors_parse(part, size - cut, "f", &file, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.text, "cut short"));
        free(part);
    }
    free(bytes);
}

static void files_are_mapped_and_errors_name_them(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = file_create(ONE("\"F32\"", "[1]", "[0,4]"), 4, &size);
    char path[] = "/tmp/argosy-safetensors-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct safetensors *file = NULL;
    struct error err;
    assert_int_equal(safetensors_open(path, &file, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "empty"));
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    assert_int_equal(safetensors_open(path, &file, &err), 0);
    assert_memory_equal(safetensors_find(file, "t")->data, bytes + size - 4, 4);
    safetensors_close(file);
    file = NULL;
    assert_int_equal(ftruncate(fd, (off_t)size - 2), 0);
    assert_int_equal(safetensors_open(path, &file, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "tensor \"t\""));
    assert_int_equal(safetensors_open("/nonexistent/x", &file, &err), ERR_NOT_FOUND);
    assert_int_equal(safetensors_open("/tmp", &file, &err), ERR_CORRUPT);
    assert_null(file);
    close(fd);
    unlink(path);
    free(bytes);
}

static void every_floating_type_becomes_fp32(void **state)
{
    (void)state;
    static const double wanted_double = -2.5;
    static const float wanted_float = 3.25f;
    static const uint8_t half[] = {0x00, 0xc1, 0x01, 0x00, 0x00, 0x7c, 0xff, 0x7b, 0x00, 0x80};
    static const float half_values[] = {-2.5f, 0x1p-24f, INFINITY, 65504.0f, -0.0f};
    static const uint8_t bfloat[] = {0x20, 0xc0, 0x80, 0x3f};
    float out[8];
    struct error err;
    struct tensor tensor = {.name = "x", .dtype = TENSOR_F64, .count = 1, .size = 8};
    tensor.data = (const uint8_t *)&wanted_double;
    assert_int_equal(tensor_to_float(&tensor, out, &err), 0);
    assert_true(out[0] == -2.5f);
    tensor = (struct tensor){.name = "x", .dtype = TENSOR_F32, .count = 1, .size = 4};
    tensor.data = (const uint8_t *)&wanted_float;
    assert_int_equal(tensor_to_float(&tensor, out, &err), 0);
    assert_true(out[0] == 3.25f);
    tensor = (struct tensor){.name = "x", .dtype = TENSOR_F16, .count = 5, .size = 10};
    tensor.data = half;
    assert_int_equal(tensor_to_float(&tensor, out, &err), 0);
    assert_memory_equal(out, half_values, sizeof half_values);
    tensor = (struct tensor){.name = "x", .dtype = TENSOR_BF16, .count = 2, .size = 4};
    tensor.data = bfloat;
    assert_int_equal(tensor_to_float(&tensor, out, &err), 0);
    assert_true(out[0] == -2.5f && out[1] == 1.0f);
    tensor.dtype = TENSOR_I16;
    assert_int_equal(tensor_to_float(&tensor, out, &err), ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_found_by_name),
        cmocka_unit_test(wrong_headers_are_refused_by_reason),
        cmocka_unit_test(header_length_is_checked_against_file_and_limit),
        cmocka_unit_test(truncated_files_are_refused_at_every_length),
        cmocka_unit_test(files_are_mapped_and_errors_name_them),
        cmocka_unit_test(every_floating_type_becomes_fp32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
