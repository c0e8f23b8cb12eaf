/* SPDX-License-Identifier: Apache-2.0 */
/* test_vectors: norms, cosines and nearest pairs of vectors whose angles are known by hand. */
#include "cli/vectors.h"

#include <math.h>

#include "tests/test.h"

static int append(struct vectors *vectors, const char *json, struct error *err)
{
    json_t *lists = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(lists);
    int code = vectors_append(vectors, lists, err);
    json_decref(lists);
    return code;
}

static void angles_are_those_of_school(void **state)
{
    (void)state;
    struct vectors vectors = {0};
    assert_int_equal(append(&vectors, "[[3, 4], [4, 3]]", NULL), 0);
    assert_int_equal(append(&vectors, "[[-3.0, -4.0], [0, 0]]", NULL), 0);
    assert_int_equal(append(&vectors, "[]", NULL), 0);
    assert_int_equal(vectors.count, 4);
    assert_int_equal(vectors.dimension, 2);
    assert_true(fabs(vectors_norm(&vectors, 0) - 5) < 1e-6);
    assert_true(fabs(vectors_cosine(&vectors, 0, 1) - 24.0 / 25) < 1e-6);
    assert_true(fabs(vectors_cosine(&vectors, 0, 2) + 1) < 1e-6);
    assert_true(vectors_cosine(&vectors, 0, 3) == 0);
    vectors_fini(&vectors);
}

static void nearest_pairs_come_largest_first(void **state)
{
    (void)state;
    struct vectors vectors = {0};
    struct vector_pair pairs[3];
    assert_int_equal(vectors_nearest(&vectors, pairs, 3), 0);
    /* Angles of 0, 10, 60 and 61 degrees: 2-3 (1), 0-1 (10), 1-2 (50), 1-3 (51) ... */
    assert_int_equal(append(&vectors,
                            "[[1, 0], [0.984808, 0.173648], [0.5, 0.866025], [0.484810, 0.874620]]",
                            NULL),
                     0);
    assert_int_equal(vectors_nearest(&vectors, pairs, 3), 3);
    assert_int_equal(pairs[0].a, 2);
    assert_int_equal(pairs[0].b, 3);
    assert_int_equal(pairs[1].a, 0);
    assert_int_equal(pairs[1].b, 1);
    assert_int_equal(pairs[2].a, 1);
    assert_int_equal(pairs[2].b, 2);
    assert_true(fabs(pairs[1].cosine - 0.984808) < 1e-5);
    assert_int_equal(vectors_nearest(&vectors, pairs, 1), 1);
    assert_int_equal(pairs[0].a, 2);
    vectors_fini(&vectors);
}

static void what_is_no_list_of_vectors_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"{}",  "[1]", "[[]]", "[[1], [1, 2]]", "[[1], [\"x\"]]",
                                        "null"};
    struct vectors vectors = {0};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(append(&vectors, wrong[i], NULL), ERR_PROTOCOL);
        assert_int_equal(vectors.count, 0);
    }
    assert_int_equal(append(&vectors, "[[1, 2]]", NULL), 0);
    assert_int_equal(append(&vectors, "[[1, 2, 3]]", NULL), ERR_PROTOCOL);
    assert_int_equal(vectors.count, 1);
    vectors_fini(&vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(angles_are_those_of_school),
        cmocka_unit_test(nearest_pairs_come_largest_first),
        cmocka_unit_test(what_is_no_list_of_vectors_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
