/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operation of one device (operation.h) against the reference device: at every size of its
 * table within the bounds of kernels/EXACTNESS.md, guard words around outputs and inputs, inputs
 * that keep their bits, NaN and infinity that keep to their group, the same bits whatever else is
 * in the batch.
 *
 *   kernels_operations <device> [<operation>]     (subject.h; without one: all)
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/tests/operation.h"
#include "kernels/tests/subject.h"

/* Multiply-adds of one problem that the emulator is given; what is larger repeats its blocks. */
#define SLOW_WORK_MAX 3e6
#define SEED          20261121u

static struct bench subject;
static struct bench reference;
static struct arithmetic arithmetic;
static const char *only; /* the only operation to try, or NULL */

static struct problem problem_for_subject(const struct operation *operation, size_t size,
                                          uint32_t variant, uint64_t seed)
{
    return problem_create(operation, &operation->sizes[size], variant,
                          device_info(subject.device)->precision, seed);
}

static bool is_chosen(const struct operation *operation)
{
    return !only || strcmp(only, operation->name) == 0;
}

/* ---- values ---- */

/* Attention's head widths are the one thing that a device may lack. */
static bool is_supported(const struct problem *problem)
{
    return !problem->operation->has_heads || device_info(subject.device)->kind != DEVICE_CUDA ||
           problem->width == 32 || problem->width == 64;
}

/* The largest share of the bound that is used. */
static double problem_check(const struct problem *problem)
{
    size_t count = (size_t)problem_out_rows(problem) * problem_out_width(problem);
    float *actual = problem_solve(&subject, problem);
    float *expected = problem_solve(&reference, problem);
    double *bound = problem->operation->bound(&arithmetic, problem);
    double share = assert_within(problem_name(problem), actual, expected, bound, count);

    free(actual);
    free(expected);
    free(bound);
    return share;
}

static void assert_unsupported(const struct problem *problem)
{
    struct run run = run_create(&subject, problem);

    assert_int_equal(problem->operation->run(problem, &run.call), KERNEL_UNSUPPORTED);
    run_destroy(&run);
}

static void operation_check(const struct operation *operation)
{
    double share = 0;
    uint32_t tried = 0, large = 0, unsupported = 0;

    for (size_t s = 0; s < operation->sizes_count; s++)
        for (uint32_t v = 0; v < (s == 0 ? operation->variants : 1); v++) {
            uint32_t variant = (uint32_t)(s + v) % operation->variants;
            if (subject_is_slow(&subject) && operation->sizes[s].groups > 1u << 16) {
                large++;
                continue;
            }
            struct problem problem = problem_for_subject(operation, s, variant, s + 1);
            if (subject_is_slow(&subject) && problem_work(&problem) > SLOW_WORK_MAX) {
                large++;
            } else if (!is_supported(&problem)) {
                assert_unsupported(&problem);
                unsupported++;
            } else {
                share = fmax(share, problem_check(&problem));
                tried++;
            }
            problem_destroy(&problem);
        }
    printf("%s: %u problems, %.3f of the bound used; %u not supported, %u too large for this "
           "device\n",
           operation->name, tried, share, unsupported, large);
    assert_true(tried >= 4);
}

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < operations_count; i++)
        if (is_chosen(&operations[i]))
            operation_check(&operations[i]);
}

/* ---- NaN and infinity ---- */

static void assert_same_kind(const struct problem *problem, float poison, float actual,
                             float expected)
{
    /* GELU of -infinity is 0 in the limit and NaN by its formula. */
    bool is_gelu = problem->operation->has_linear && problem->variant % 4 == LINEAR_GELU;
    if (is_gelu && isnan(expected) && isinf(poison) && actual == 0)
        return;
    if (isnan(actual) != isnan(expected) || isinf(actual) != isinf(expected) ||
        (isinf(expected) && signbit(actual) != signbit(expected)))
        fail_msg("%s: %g instead of %g", problem_name(problem), (double)actual, (double)expected);
}

/* One element of one group is not finite: that group's results are what the reference has, all
 * others keep their bits. */
static void poison_check(struct problem *problem, const float *clean, uint32_t group,
                         uint32_t input, float poison)
{
    uint32_t row = 0, width = problem_out_width(problem);

    for (uint32_t g = 0; g < group; g++)
        row += problem->lengths[g];
    row += problem->lengths[group] / 2;
    float *at = problem->in[input] + (size_t)row * problem_in_width(problem);
    at += problem_in_width(problem) * 2 / 3;
    float kept = *at;
    *at = poison;
    float *actual = problem_solve(&subject, problem);
    float *expected = problem_solve(&reference, problem);
    size_t start = (size_t)problem_out_start(problem, group) * width;
    size_t end = start + (size_t)problem_out_length(problem, group) * width;
    size_t count = (size_t)problem_out_rows(problem) * width;
    assert_bits_equal(problem_name(problem), actual, clean, start);
    assert_bits_equal(problem_name(problem), actual + end, clean + end, count - end);
    for (size_t i = start; i < end; i++)
        assert_same_kind(problem, poison, actual[i], expected[i]);
    *at = kept;
    free(actual);
    free(expected);
}

static void test_not_finite(void **state)
{
    static const float poisons[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (size_t i = 0; i < operations_count; i++)
        for (uint32_t variant = 0; is_chosen(&operations[i]) && variant < operations[i].variants;
             variant++) {
            struct problem problem = problem_for_subject(&operations[i], 0, variant, 5);
            float *clean = problem_solve(&subject, &problem);
            for (uint32_t input = 0; input < operations[i].inputs; input++)
                for (uint32_t k = 0; k < 3; k++)
                    poison_check(&problem, clean, k == 0 ? 0 : 3 * k, input, poisons[k]);
            free(clean);
            problem_destroy(&problem);
        }
}

/* ---- what else is in the batch ---- */

/* `count` of the groups in a random order. */
static uint32_t *groups_choose(struct random *random, uint32_t groups, uint32_t count)
{
    uint32_t *chosen = calloc(groups, sizeof(*chosen));

    assert_non_null(chosen);
    for (uint32_t g = 0; g < groups; g++)
        chosen[g] = g;
    for (uint32_t g = 0; g < count; g++) {
        uint32_t k = g + random_below(random, groups - g), swapped = chosen[g];
        chosen[g] = chosen[k];
        chosen[k] = swapped;
    }
    return chosen;
}

static void selection_check(const struct problem *problem, const float *whole, uint32_t round)
{
    struct random random = {.state = SEED + round};
    uint32_t count = 1 + random_below(&random, problem->groups);
    uint32_t *groups = groups_choose(&random, problem->groups, count);
    struct problem selection = problem_select(problem, groups, count);
    float *part = problem_solve(&subject, &selection);
    size_t width = problem_out_width(problem);
    char what[192];

    snprintf(what, sizeof(what), "seed %u, %s", SEED + round, problem_name(&selection));
    for (uint32_t g = 0; g < count; g++)
        assert_bits_equal(what, part + problem_out_start(&selection, g) * width,
                          whole + problem_out_start(problem, groups[g]) * width,
                          problem_out_length(problem, groups[g]) * width);
    free(part);
    problem_destroy(&selection);
    free(groups);
}

static void test_neighbours(void **state)
{
    uint32_t rounds = subject_is_slow(&subject) ? 2 : 12;

    (void)state;
    for (size_t i = 0; i < operations_count; i++)
        for (uint32_t variant = 0; is_chosen(&operations[i]) && variant < operations[i].variants;
             variant++) {
            struct problem problem = problem_for_subject(&operations[i], 0, variant, SEED);
            float *whole = problem_solve(&subject, &problem);
            float *again = problem_solve(&subject, &problem);
            assert_bits_equal(problem_name(&problem), again, whole,
                              (size_t)problem_out_rows(&problem) * problem_out_width(&problem));
            for (uint32_t round = 0; round < rounds; round++)
                selection_check(&problem, whole, round);
            free(whole);
            free(again);
            problem_destroy(&problem);
        }
}

/* ---- what the table does not say ---- */

/* The epilogues over their whole range, through a product with the identity. */
static void test_epilogue_range(void **state)
{
    const struct operation *linear = operation_named("linear");
    const struct size size = {257, 1, 16, 16};

    (void)state;
    for (uint32_t variant = 4; variant < 8; variant++) {
        enum device_precision precision = device_info(subject.device)->precision;
        struct problem problem = problem_create(linear, &size, variant, precision, 1);
        for (uint32_t i = 0; i < 16 * 16; i++)
            problem.weights.matrix[i] = i % 17 == 0;
        for (uint32_t i = 0; i < 257 * 16; i++)
            problem.in[0][i] =
                element_rounded(precision, 20.0f * ((float)i / (257 * 16) * 2.0f - 1.0f));
        printf("epilogue %u: %.3f of the bound used\n", variant - 4, problem_check(&problem));
        problem_destroy(&problem);
    }
}

/* A text of zeros has norm 0 and stays zeros. */
static void test_pool_zeros(void **state)
{
    const struct operation *pool = operation_named("pool");

    (void)state;
    for (uint32_t variant = 0; variant < pool->variants; variant++) {
        struct problem problem = problem_for_subject(pool, 0, variant, 1);
        memset(problem.in[0], 0, problem.rows * problem.width * sizeof(float));
        float *result = problem_solve(&subject, &problem);
        for (uint32_t i = 0; i < problem.groups * problem.width; i++)
            assert_true(result[i] == 0);
        free(result);
        problem_destroy(&problem);
    }
}

/* Conversions round to nearest, ties to even, also at the ends of the range; what is below the
 * normal fp32 numbers may become zero. */
static void test_conversion(void **state)
{
    static const float odd[] = {
        0,        -0.0f,      1,       1.00048828125f, 1.00146484375f, 1.0039063f, 1.01171875f,
        65504,    65519.996f, 65520,   6.1e-5f,        5.96e-8f,       2.98e-8f,   2.99e-8f,
        -3.1e-5f, 3.3895e38f, 3.4e38f, -3.40282e38f,   1e-40f,         2.1e-41f};
    enum { ODD = sizeof(odd) / sizeof(odd[0]), COUNT = 4096 };
    enum device_precision precision = device_info(subject.device)->precision;
    struct random random = {.state = SEED};
    float values[COUNT];

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++)
        values[i] =
            i < ODD ? odd[i] : ldexpf(random_float(&random), (int)random_below(&random, 44) - 26);
    struct matrix stored = matrix_from(&subject, COUNT / 64, 64, values);
    float *read = matrix_read(&stored);
    for (uint32_t i = 0; i < COUNT; i++) {
        float wanted = element_rounded(precision, values[i]);
        if (read[i] != wanted && !(read[i] == 0 && fabsf(wanted) < FLT_MIN))
            fail_msg("%.9g is stored as %.9g and not as %.9g", (double)values[i], (double)read[i],
                     (double)wanted);
    }
    free(read);
    matrix_destroy(&stored);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),     cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_neighbours), cmocka_unit_test(test_epilogue_range),
        cmocka_unit_test(test_pool_zeros), cmocka_unit_test(test_conversion),
    };

    subject = subject_open(argc > 1 ? argv[1] : "cpu_plain");
    reference = reference_open();
    arithmetic = arithmetic_of(subject.device);
    only = argc > 2 ? argv[2] : NULL;
    if (only)
        operation_named(only);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bench_close(&subject);
    bench_close(&reference);
    return failed;
}
