/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors_writer: what it writes, at once or in pieces, is what the reader finds. */
#include "models/safetensors_writer.h"

#include <string.h>

#include "tests/test.h"

static const float matrix[2][3] = {{1, 2, 3}, {4, 5, 6}};
static const uint8_t bytes[5] = {9, 8, 7, 6, 5};

static void tensors_fill(struct tensor tensors[2])
{
    tensors[0] = tensor_over("vectors", TENSOR_F32, 2, (const uint64_t[]){2, 3}, matrix);
    tensors[1] = tensor_over("rest", TENSOR_U8, 1, (const uint64_t[]){5}, bytes);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct tensor tensors[2];
    struct buffer file = {0};
    struct safetensors *read;
    struct error err = {0};
    tensors_fill(tensors);
    safetensors_write(tensors, 2, &file);
    assert_false(file.failed);
    assert_int_equal(safetensors_parse(file.data, file.size, "file", &read, &err), 0);
    const struct tensor *found = safetensors_find(read, "vectors");
    assert_non_null(found);
    assert_int_equal(found->dtype, TENSOR_F32);
    assert_int_equal(found->rank, 2);
    assert_int_equal(found->shape[0], 2);
    assert_int_equal(found->shape[1], 3);
    assert_memory_equal(found->data, matrix, sizeof matrix);
    assert_int_equal((found->data - file.data) % 8, 0);
    assert_memory_equal(safetensors_find(read, "rest")->data, bytes, sizeof bytes);
    safetensors_close(read);
    buffer_fini(&file);
}

static void header_and_data_make_the_file(void **state)
{
    (void)state;
    struct tensor tensors[2];
    struct buffer whole = {0}, pieces = {0};
    tensors_fill(tensors);
    safetensors_write(tensors, 2, &whole);
    safetensors_write_header(tensors, 2, &pieces);
    buffer_append(&pieces, matrix, sizeof matrix);
    buffer_append(&pieces, bytes, sizeof bytes);
    assert_int_equal(pieces.size, whole.size);
    assert_memory_equal(pieces.data, whole.data, whole.size);
    buffer_fini(&pieces);
    buffer_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(header_and_data_make_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
