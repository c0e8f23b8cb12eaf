/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices and comparisons for the tests (matrix.h). */
#include "kernels/tests/matrix.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUARD_BYTES 256u
#define GUARD_BYTE  0xA5

static uint32_t random_next(struct random *random)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random->state >> 32);
}

uint32_t random_below(struct random *random, uint32_t limit)
{
    return (uint32_t)((uint64_t)random_next(random) * limit >> 32);
}

float random_float(struct random *random)
{
    return (float)(random_next(random) >> 8) / (float)(1 << 23) - 1.0f;
}

float *floats_create(size_t count)
{
    float *floats = calloc(count, sizeof(*floats));

    assert_non_null(floats);
    return floats;
}

float *random_floats(struct random *random, size_t count, float spread)
{
    float *floats = floats_create(count);

    for (size_t i = 0; i < count; i++)
        floats[i] = spread * random_float(random);
    return floats;
}

static size_t matrix_bytes(const struct matrix *matrix)
{
    size_t element_bytes = matrix->element == ELEMENT_FLOAT
                               ? sizeof(float)
                               : device_info(matrix->bench->device)->activation_bytes;

    return (size_t)matrix->rows * matrix->width * element_bytes;
}

static void copy_in(struct bench *bench, void *to, const void *from, size_t bytes)
{
    assert_int_equal(device_copy_to_device(bench->stream, to, from, bytes), KERNEL_OK);
    assert_int_equal(device_stream_synchronise(bench->stream), KERNEL_OK);
}

static void copy_out(struct bench *bench, void *to, const void *from, size_t bytes)
{
    assert_int_equal(device_copy_to_host(bench->stream, to, from, bytes), KERNEL_OK);
    assert_int_equal(device_stream_synchronise(bench->stream), KERNEL_OK);
}

struct matrix matrix_create(struct bench *bench, uint32_t rows, uint32_t width,
                            enum element element)
{
    struct matrix matrix = {.bench = bench, .element = element, .rows = rows, .width = width};
    size_t bytes = matrix_bytes(&matrix);
    unsigned char *image = malloc(bytes + 2 * GUARD_BYTES);

    assert_non_null(image);
    assert_int_equal(device_alloc(bench->device, bytes + 2 * GUARD_BYTES, &matrix.memory),
                     KERNEL_OK);
    matrix.data = (char *)matrix.memory + GUARD_BYTES;
    memset(image, GUARD_BYTE, bytes + 2 * GUARD_BYTES);
    memset(image + GUARD_BYTES, 0xFF, bytes); /* NaN in every float format */
    copy_in(bench, matrix.memory, image, bytes + 2 * GUARD_BYTES);
    free(image);
    return matrix;
}

/* A conversion does not mind where rows end: a row that is wider than it takes (three matrices of
 * attention in one) becomes several. */
static void conversion_shape(const struct matrix *matrix, uint32_t *ret_rows, uint32_t *ret_width)
{
    uint32_t parts = 1;

    while (matrix->width / parts > DEVICE_WIDTH_MAX || matrix->width % parts != 0)
        parts++;
    *ret_rows = matrix->rows * parts;
    *ret_width = matrix->width / parts;
}

struct matrix matrix_from_float(struct bench *bench, uint32_t rows, uint32_t width,
                                const float *values)
{
    struct matrix floats = matrix_create(bench, rows, width, ELEMENT_FLOAT);

    copy_in(bench, floats.data, values, matrix_bytes(&floats));
    return floats;
}

struct matrix matrix_from(struct bench *bench, uint32_t rows, uint32_t width, const float *values)
{
    struct matrix floats = matrix_from_float(bench, rows, width, values);
    struct matrix matrix = matrix_create(bench, rows, width, ELEMENT_ACTIVATION);

    conversion_shape(&matrix, &rows, &width);
    assert_int_equal(op_from_float(bench->stream, floats.data, rows, width, matrix.data),
                     KERNEL_OK);
    assert_int_equal(device_stream_synchronise(bench->stream), KERNEL_OK);
    matrix_destroy(&floats);
    return matrix;
}

static void assert_guards(const struct matrix *matrix)
{
    unsigned char guard[GUARD_BYTES];

    copy_out(matrix->bench, guard, matrix->memory, GUARD_BYTES);
    for (uint32_t i = 0; i < GUARD_BYTES; i++)
        assert_int_equal(guard[i], GUARD_BYTE);
    copy_out(matrix->bench, guard, (char *)matrix->data + matrix_bytes(matrix), GUARD_BYTES);
    for (uint32_t i = 0; i < GUARD_BYTES; i++)
        assert_int_equal(guard[i], GUARD_BYTE);
}

float *matrix_read(const struct matrix *matrix)
{
    struct bench *bench = matrix->bench;
    size_t count = (size_t)matrix->rows * matrix->width;
    float *values = floats_create(count);

    if (matrix->element == ELEMENT_FLOAT) {
        copy_out(bench, values, matrix->data, count * sizeof(float));
    } else {
        struct matrix floats = matrix_create(bench, matrix->rows, matrix->width, ELEMENT_FLOAT);
        uint32_t rows, width;
        conversion_shape(matrix, &rows, &width);
        assert_int_equal(op_to_float(bench->stream, matrix->data, rows, width, floats.data),
                         KERNEL_OK);
        copy_out(bench, values, floats.data, count * sizeof(float));
        assert_guards(&floats);
        matrix_destroy(&floats);
    }
    assert_guards(matrix);
    return values;
}

void matrix_destroy(struct matrix *matrix)
{
    device_free(matrix->bench->device, matrix->memory);
}

void assert_close(const char *what, const float *actual, const float *expected, size_t count,
                  struct tolerance tolerance)
{
    double error = 0, power = 0, largest = 0;

    for (size_t i = 0; i < count; i++) {
        double a = actual[i], e = expected[i];
        if (!isfinite(a) || !isfinite(e)) {
            if (isnan(a) != isnan(e) || (!isnan(e) && a != e))
                fail_msg("%s: element %zu is %g instead of %g", what, i, a, e);
            continue;
        }
        double difference = fabs(a - e) / fmax(1, fabs(e));
        if (difference > tolerance.largest)
            fail_msg("%s: element %zu is %.9g instead of %.9g", what, i, a, e);
        largest = fmax(largest, difference);
        error += (a - e) * (a - e);
        power += e * e;
    }
    if (error > tolerance.nmse * power)
        fail_msg("%s: normalised mean squared error %g above %g", what, error / power,
                 tolerance.nmse);
}

void assert_bits_equal(const char *what, const float *actual, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&actual[i], &expected[i], sizeof(float)) != 0)
            fail_msg("%s: element %zu is %.9g and not %.9g, bit for bit", what, i, actual[i],
                     expected[i]);
}

struct token_batch *batch_create(struct bench *bench, const uint32_t *lengths, uint32_t texts,
                                 uint32_t id_limit, uint32_t type_limit)
{
    struct random random = {.state = 7};
    struct token_batch *batch;
    uint32_t *cu_seqlens = calloc(texts + (size_t)1, sizeof(*cu_seqlens));
    int32_t *ids, *types;

    assert_non_null(cu_seqlens);
    for (uint32_t s = 0; s < texts; s++)
        cu_seqlens[s + 1] = cu_seqlens[s] + lengths[s];
    uint32_t tokens = cu_seqlens[texts];
    ids = calloc(tokens, sizeof(*ids));
    types = calloc(tokens, sizeof(*types));
    assert_true(ids && types);
    for (uint32_t t = 0; t < tokens; t++) {
        ids[t] = (int32_t)random_below(&random, id_limit);
        types[t] = (int32_t)random_below(&random, type_limit);
    }
    const struct token_source source = {
        .ids = ids, .types = types, .cu_seqlens = cu_seqlens, .tokens = tokens, .texts = texts};
    assert_int_equal(token_batch_create(bench->device, tokens, texts, &batch), KERNEL_OK);
    assert_int_equal(token_batch_load(bench->stream, batch, &source), KERNEL_OK);
    free(ids);
    free(types);
    free(cu_seqlens);
    return batch;
}
