/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of searching: the score, the bound of the coarse form in every instruction set,
 * and that the first pass of a search loses nothing, on data made to be hard. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "storage/vectors/vector_index.h"
#include "tests/unit/vectors/vector_fixture.h"

static const uint32_t dimensions[] = {1, 2, 7, 8, 31, 63, 64, 65, 384, 1021, VECTOR_DIMENSION_MAX};

#define DIMENSION_COUNT (sizeof dimensions / sizeof dimensions[0])

static const char *const isa_names[] = {"avx512", "avx2", "plain"};

/* Kinds of hard data: even, one large value, tiny ones beside it, almost all alike. */
#define KIND_COUNT 4

static void make_vector(uint64_t *seed, int kind, float *ret_vector, uint32_t dimension)
{
    random_vector(seed, ret_vector, dimension);
    for (uint32_t i = 0; kind > 0 && i < dimension; i++)
        ret_vector[i] = kind == 1   ? ret_vector[i] * 1e-3f
                        : kind == 2 ? ret_vector[i] * 1e-30f
                                    : 1 + ret_vector[i] * 1e-4f;
    if (kind == 1 || kind == 2)
        ret_vector[dimension / 2] = kind == 1 ? 1 : -1e20f;
    struct error err = {0};
    ok(vector_normalise(ret_vector, dimension, ret_vector, &err), &err);
}

static double exact_score(const float *a, const float *b, uint32_t dimension)
{
    long double sum = 0;
    for (uint32_t i = 0; i < dimension; i++)
        sum += (long double)a[i] * b[i];
    return (double)sum;
}

static void test_normalise(void **state)
{
    (void)state;
    struct error err = {0};
    float out[3] = {7, 7, 7};
    ok(vector_normalise((float[]){3, 0, -4}, 3, out, &err), &err);
    assert_true(out[0] == 0.6f && out[1] == 0 && out[2] == -0.8f);
    ok(vector_normalise((float[]){3e38f, 3e38f, 0}, 3, out, &err), &err);
    assert_true(fabsf(out[0] - sqrtf(0.5f)) < 1e-7f);
    ok(vector_normalise((float[]){0, 1e-45f, 0}, 3, out, &err), &err);
    assert_true(out[1] == 1);
    assert_int_equal(vector_normalise((float[]){0, -0.0f, 0}, 3, out, &err), ERR_INVALID);
    assert_int_equal(vector_normalise((float[]){0, NAN, 0}, 3, out, &err), ERR_INVALID);
    assert_int_equal(vector_normalise((float[]){0, -INFINITY, 1}, 3, out, &err), ERR_INVALID);
}

static void test_score(void **state)
{
    (void)state;
    static float a[VECTOR_DIMENSION_MAX], b[VECTOR_DIMENSION_MAX];
    uint64_t seed = 1;
    for (size_t i = 0; i < DIMENSION_COUNT; i++) {
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            make_vector(&seed, kind, a, dimensions[i]);
            make_vector(&seed, 0, b, dimensions[i]);
            assert_true(fabs(vector_score(a, b, dimensions[i]) - exact_score(a, b, dimensions[i])) <
                        1e-14);
            assert_true(vector_score(a, b, dimensions[i]) == vector_score(b, a, dimensions[i]));
        }
    }
}

static void check_bound(const struct vector_isa *isa, uint32_t dimension, uint64_t *seed)
{
    static float vector[VECTOR_DIMENSION_MAX], query[VECTOR_STRIDE(VECTOR_DIMENSION_MAX)];
    static int8_t codes[3 * VECTOR_STRIDE(VECTOR_DIMENSION_MAX)];
    size_t stride = VECTOR_STRIDE(dimension);
    for (int kind = 0; kind < KIND_COUNT * KIND_COUNT; kind++) {
        float scales[3], bounds[3], dots[4] = {0, 0, 0, 12345};
        double scores[3];
        memset(query, 0, sizeof query);
        make_vector(seed, kind % KIND_COUNT, query, dimension);
        for (size_t row = 0; row < 3; row++) {
            make_vector(seed, kind / KIND_COUNT, vector, dimension);
            vector_encode(vector, dimension, codes + row * stride, &scales[row], &bounds[row]);
            scores[row] = exact_score(vector, query, dimension);
        }
        isa->dots(codes, stride, 3, query, dots);
        assert_true(dots[3] == 12345); /* nothing behind the last */
        for (size_t row = 0; row < 3; row++) {
            double rest = fabs((double)scales[row] * (double)dots[row] - scores[row]);
            if (!(rest <= (double)bounds[row]))
                fail_msg("%s, dimension %u, kind %d: off by %g, bound %g", isa->name, dimension,
                         kind, rest, (double)bounds[row]);
        }
    }
}

static void test_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof isa_names / sizeof isa_names[0]; i++) {
        const struct vector_isa *isa = vector_isa_find(isa_names[i]);
        if (isa == NULL) {
            print_message("not supported: %s\n", isa_names[i]);
            continue;
        }
        uint64_t seed = 2;
        for (size_t at = 0; at < DIMENSION_COUNT; at++)
            check_bound(isa, dimensions[at], &seed);
    }
    assert_null(vector_isa_find("sse9"));
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left < right) - (left > right);
}

/* All rows whose score reaches the k-th best are candidates, on any number of threads. */
static void check_scan(int kind, uint32_t rows, uint32_t k, unsigned threads)
{
    enum { WIDTH = 40 };
    static float vectors[20000][WIDTH];
    static double scores[20000], sorted[20000];
    float query[VECTOR_STRIDE(WIDTH)] = {0};
    uint64_t seed = rows + (uint64_t)kind;
    struct error err = {0};
    struct vector_index *index;
    struct vector_document *document;
    struct vector_collector collector;
    make_vector(&seed, kind == 3 ? 3 : 0, query, WIDTH);
    ok(vector_index_create(WIDTH, &index, &err), &err);
    ok(vector_document_create("d", NULL, WIDTH, 1000, rows, &document, &err), &err);
    for (uint32_t i = 0; i < rows; i++) {
        make_vector(&seed, kind, vectors[i], WIDTH);
        if (i % 3 == 1) /* and many that are equal */
            memcpy(vectors[i], vectors[i - 1], sizeof vectors[i]);
        ok(vector_document_append(document, vectors[i], NULL, &err), &err);
        scores[i] = sorted[i] = vector_score(vectors[i], query, WIDTH);
    }
    ok(vector_index_put(index, document, &err), &err);
    qsort(sorted, rows, sizeof sorted[0], compare_doubles);
    double least = sorted[(k < rows ? k : rows) - 1];
    const struct vector_scan scan = {.isa = vector_isa_best(), .query = query};
    ok(vector_collector_init(&collector, k, &err), &err);
    ok(vector_index_scan(index, &scan, threads, &collector, &err), &err);
    size_t wanted = 0, found = 0;
    for (uint32_t i = 0; i < rows; i++)
        wanted += scores[i] >= least;
    for (size_t i = 0; i < collector.count; i++)
        found += scores[collector.candidates[i].chunk_key - 1000] >= least;
    assert_int_equal(found, wanted);
    vector_collector_fini(&collector);
    vector_index_destroy(index);
}

static void test_scan(void **state)
{
    (void)state;
    const uint32_t counts[] = {1, 255, 257, VECTOR_SEGMENT_ROWS, VECTOR_SEGMENT_ROWS + 1, 20000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            check_scan(kind, counts[i], 1, 1);
            check_scan(kind, counts[i], 10, 2);
            check_scan(kind, counts[i], 1000, 3);
        }
    }
}

/* Even random data leave few candidates: the coarse form is worth its pass. */
static void test_scan_is_selective(void **state)
{
    (void)state;
    enum { WIDTH = 384, ROWS = 10000 };
    float vector[WIDTH], query[WIDTH];
    uint64_t seed = 5;
    struct error err = {0};
    struct vector_index *index;
    struct vector_document *document;
    struct vector_collector collector;
    ok(vector_index_create(WIDTH, &index, &err), &err);
    ok(vector_document_create("d", NULL, WIDTH, 0, ROWS, &document, &err), &err);
    for (uint32_t i = 0; i < ROWS; i++) {
        make_vector(&seed, 0, vector, WIDTH);
        ok(vector_document_append(document, vector, NULL, &err), &err);
    }
    ok(vector_index_put(index, document, &err), &err);
    make_vector(&seed, 0, query, WIDTH);
    ok(vector_collector_init(&collector, 10, &err), &err);
    const struct vector_scan scan = {.isa = vector_isa_best(), .query = query};
    ok(vector_index_scan(index, &scan, 2, &collector, &err), &err);
    assert_in_range(collector.count, 10, 100);
    vector_collector_fini(&collector);
    vector_index_destroy(index);
}

/* What is put and removed in any order is what a scan sees; memory is counted down to nothing. */
static void test_index(void **state)
{
    (void)state;
    enum { NAMES = 20, ROUNDS = 400 };
    uint32_t counts[NAMES] = {0};
    int64_t first_keys[NAMES] = {0};
    uint64_t seed = 9;
    struct error err = {0};
    struct vector_index *index;
    ok(vector_index_create(DIMENSION, &index, &err), &err);
    for (int round = 0; round < ROUNDS; round++) {
        char name[8];
        uint32_t which = (uint32_t)(random_value(&seed) * NAMES + NAMES) / 2 % NAMES;
        snprintf(name, sizeof name, "%u", which);
        counts[which] = round % 3 == 0 ? 0 : 1 + (uint32_t)round % 7;
        first_keys[which] = (int64_t)round * 100;
        if (counts[which] == 0) {
            vector_index_remove(index, name);
        } else {
            struct vector_document *document;
            ok(vector_document_create(name, "{\"a\":1}", DIMENSION, first_keys[which],
                                      counts[which], &document, &err),
               &err);
            for (uint32_t i = 0; i < counts[which]; i++) {
                float vector[DIMENSION];
                axis_vector(vector, i, 0);
                ok(vector_document_append(document, vector, "{\"b\":\"x\"}", &err), &err);
            }
            ok(vector_index_put(index, document, &err), &err);
        }
        float query[VECTOR_STRIDE(DIMENSION)] = {1};
        struct vector_collector collector;
        ok(vector_collector_init(&collector, 1000, &err), &err);
        const struct vector_scan scan = {.isa = vector_isa_best(), .query = query};
        ok(vector_index_scan(index, &scan, 1, &collector, &err), &err);
        size_t wanted = 0, found = 0;
        for (size_t i = 0; i < NAMES; i++)
            wanted += counts[i];
        for (size_t i = 0; i < collector.count; i++) {
            for (size_t at = 0; at < NAMES; at++)
                found += collector.candidates[i].chunk_key >= first_keys[at] &&
                         collector.candidates[i].chunk_key < first_keys[at] + counts[at];
        }
        assert_int_equal(collector.count, wanted);
        assert_int_equal(found, wanted);
        vector_collector_fini(&collector);
    }
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        vector_index_remove(index, name);
    }
    assert_int_equal(vector_index_bytes(index), 0);
    vector_index_destroy(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_score),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_scan_is_selective),
        cmocka_unit_test(test_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
