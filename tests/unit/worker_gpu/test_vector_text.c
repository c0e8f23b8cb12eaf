/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_text: every number comes back as the very same fp32 through a JSON reader (strtod, then
 * rounding), and short where it can be.
 */
#include "worker_gpu/vector_text.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

static struct buffer out;

static const char *text_of(float value)
{
    buffer_clear(&out);
    float_append_json(&out, value);
    return buffer_text(&out);
}

static void check_round_trip(uint32_t bits)
{
    float value, back;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value))
        return;
    const char *text = text_of(value);
    char *end;
    back = (float)strtod(text, &end);
    if (*end != '\0' || memcmp(&back, &value, sizeof back) != 0 || strlen(text) > 16)
        fail_msg("%08" PRIx32 " became %s", bits, text);
}

static void numbers_come_back_as_they_were(void **state)
{
    (void)state;
    uint32_t bits = 1;
    for (int i = 0; i < 200000; i++) { /* all of fp32, by a generator of full period */
        bits = bits * 1664525u + 1013904223u;
        check_round_trip(bits);
    }
    for (int i = 0; i < 500000; i++) { /* where numbers of vectors are: 2^-20 to 2 */
        bits = bits * 1664525u + 1013904223u;
        check_round_trip((bits & 0x80ffffff) | ((107u + (bits >> 24) % 20) << 23));
    }
    static const float edges[] = {0.0f,    -0.0f,        1.0f,        -1.0f,       0.1f,
                                  1e-5f,   9.999999e-6f, 0.999999f,   0.99999994f, 0.09999999f,
                                  FLT_MIN, FLT_MAX,      FLT_TRUE_MIN};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        uint32_t edge;
        memcpy(&edge, &edges[i], sizeof edge);
        for (uint32_t near = edge == 0 ? 0 : edge - 2; near <= edge + 2; near++)
            check_round_trip(near);
    }
}

static void simple_numbers_are_short(void **state)
{
    (void)state;
    assert_string_equal(text_of(0.5f), "0.5");
    assert_string_equal(text_of(-0.25f), "-0.25");
    assert_string_equal(text_of(0.1f), "0.1");
    assert_string_equal(text_of(0.0625f), "0.0625");
    assert_string_equal(text_of(1.0f), "1");
    assert_string_equal(text_of(0.0f), "0");
    assert_string_equal(text_of(-1234.5f), "-1234.5");
    assert_string_equal(text_of(0.012345678f), "0.012345678");
}

static void vectors_become_lists_of_lists(void **state)
{
    (void)state;
    static const float vectors[] = {0.5f, -1.0f, 0.25f, 2.0f};
    static const float broken[] = {0.5f, NAN};
    struct error err;
    buffer_clear(&out);
    assert_int_equal(vectors_append_json(&out, vectors, 2, 2, &err), 0);
    assert_string_equal(buffer_text(&out), "[[0.5,-1],[0.25,2]]");
    buffer_clear(&out);
    assert_int_equal(vectors_append_json(&out, vectors, 0, 2, &err), 0);
    assert_string_equal(buffer_text(&out), "[]");
    assert_int_equal(vectors_append_json(&out, broken, 1, 2, &err), ERR_INTERNAL);
}

static int teardown(void **state)
{
    (void)state;
    buffer_fini(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back_as_they_were),
        cmocka_unit_test(simple_numbers_are_short),
        cmocka_unit_test(vectors_become_lists_of_lists),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
