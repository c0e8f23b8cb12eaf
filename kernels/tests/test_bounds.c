/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounds themselves (bounds.h): in every precision a result that is wrong by twice its bound is
 * caught, wherever it is, and so are the faults that a kernel can have and that look like rounding:
 * a product in TF32, the tanh form of GELU, another epsilon, a sum in the element type, a key or a
 * token too few. A bound that cannot be computed fails the test and does not pass everything.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/tests/operation.h"
#include "kernels/tests/subject.h"

static struct bench reference;

static const struct {
    enum device_kind kind;
    enum device_precision precision;
} devices[] = {
    {DEVICE_CPU, DEVICE_FP32},  {DEVICE_CUDA, DEVICE_FP32}, {DEVICE_CUDA, DEVICE_FP16},
    {DEVICE_CUDA, DEVICE_BF16}, {DEVICE_CPU, DEVICE_BF16},
};
#define DEVICES (sizeof(devices) / sizeof(devices[0]))

static size_t results_of(const struct problem *problem)
{
    return (size_t)problem_out_rows(problem) * problem_out_width(problem);
}

static void twice_check(const struct operation *operation, size_t device)
{
    struct arithmetic a = arithmetic_for(devices[device].kind, devices[device].precision);
    struct problem problem =
        problem_create(operation, &operation->sizes[0], 0, devices[device].precision, 1 + device);
    size_t count = results_of(&problem), at;
    float *exact = problem_solve(&reference, &problem);
    float *wrong = problem_solve(&reference, &problem);
    double *bound = operation->bound(&a, &problem);

    assert_true(share_of(exact, exact, bound, count, &at) == 0);
    for (size_t i = 0; i < count; i++) {
        float kept = wrong[i];
        /* An exact result may have no bound but 0. */
        wrong[i] = (float)(exact[i] + 2 * bound[i]);
        if (bound[i] == 0)
            wrong[i] = nextafterf(exact[i], INFINITY);
        else if (fabs(wrong[i] - exact[i]) < 1.5 * bound[i])
            wrong[i] = nextafterf(wrong[i], INFINITY);
        double share = share_of(wrong + i, exact + i, bound + i, 1, &at);
        if (!(share > 1))
            fail_msg("%s: element %zu may be wrong by twice its bound %g: %g", operation->name, i,
                     bound[i], share);
        wrong[i] = kept;
    }
    free(exact);
    free(wrong);
    free(bound);
    problem_destroy(&problem);
}

static void test_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < operations_count; i++)
        for (size_t device = 0; device < DEVICES; device++)
            twice_check(&operations[i], device);
}

static void test_not_finite(void **state)
{
    static const float values[] = {1, NAN, INFINITY, -INFINITY};
    const double bounds[] = {0.5, INFINITY, NAN};
    size_t at;

    (void)state;
    for (int a = 0; a < 4; a++)
        for (int e = 0; e < 4; e++)
            assert_true((share_of(&values[a], &values[e], &bounds[0], 1, &at) > 1) == (a != e));
    for (int b = 1; b < 3; b++)
        assert_true(share_of((const float[]){2}, values, &bounds[b], 1, &at) > 1);
}

/* ---- faults ---- */

/* Which precisions must see a fault: the 2-byte ones are too coarse for some. */
enum { IN_FP32 = 1, IN_FP16 = 2, IN_BF16 = 4, IN_ALL = 7 };

static unsigned precision_bit(enum device_precision precision)
{
    return precision == DEVICE_FP32 ? IN_FP32 : precision == DEVICE_FP16 ? IN_FP16 : IN_BF16;
}

struct fault {
    const char *operation;
    const char *what;
    uint32_t variant;
    unsigned seen_in;
    /* The faulty results; the problem may be changed. */
    float *(*solve)(struct problem *problem);
};

static float truncated(float value, int bits)
{
    int exponent;
    double m = frexp(value, &exponent);

    return (float)ldexp(trunc(ldexp(m, bits)), exponent - bits);
}

static float *solve_tf32(struct problem *problem)
{
    for (uint32_t i = 0; i < problem->rows * problem->width; i++)
        problem->in[0][i] = truncated(problem->in[0][i], 11);
    return problem_solve(&reference, problem);
}

/* Every addition rounded to the element type of fp16. */
static float *solve_short_sums(struct problem *problem)
{
    float *result = problem_solve(&reference, problem);

    for (size_t r = 0; r < problem->rows; r++)
        for (size_t o = 0; o < problem->other; o++) {
            float sum = 0;
            for (size_t k = 0; k < problem->width; k++)
                sum = element_rounded(DEVICE_FP16,
                                      sum + problem->in[0][r * problem->width + k] *
                                                problem->weights.matrix[o * problem->width + k]);
            result[r * problem->other + o] = sum + problem->weights.vector[o];
        }
    return result;
}

static float *solve_tanh_gelu(struct problem *problem)
{
    problem->variant = LINEAR_PLAIN;
    float *z = problem_solve(&reference, problem);

    for (size_t i = 0; i < results_of(problem); i++) {
        double inner = sqrt(2 / 3.14159265358979) * (z[i] + 0.044715 * z[i] * z[i] * z[i]);
        z[i] = (float)(0.5 * z[i] * (1 + tanh(inner)));
    }
    problem->variant = LINEAR_GELU;
    return z;
}

static float *solve_short_text(struct problem *problem)
{
    /* The last text's last token is a text of its own: nobody else sees it. */
    size_t last = problem->rows - 1;
    float *whole = problem_solve(&reference, problem);
    uint32_t *lengths = calloc(problem->groups + (size_t)1, sizeof(*lengths));

    assert_non_null(lengths);
    memcpy(lengths, problem->lengths, problem->groups * sizeof(*lengths));
    free(problem->lengths);
    problem->lengths = lengths;
    lengths[problem->groups - 1]--;
    lengths[problem->groups++] = 1;
    float *split = problem_solve(&reference, problem);
    problem->groups--;
    lengths[problem->groups - 1]++;
    /* Of its own row and of what pooling makes of it nothing is taken. */
    size_t kept = problem->operation->is_row_per_text ? results_of(problem)
                                                      : last * problem_out_width(problem);
    memcpy(whole, split, kept * sizeof(float));
    free(split);
    return whole;
}

static float *solve_sample_variance(struct problem *problem)
{
    float *result = problem_solve(&reference, problem);
    size_t width = problem->width;

    for (size_t i = 0; i < results_of(problem); i++) {
        double beta = problem->weights.vector[i % width];
        result[i] = (float)(beta + (result[i] - beta) * sqrt((width - 1.0) / (double)width));
    }
    return result;
}

/* Epsilon 1e-3 in place of 1e-12, at rows whose variance is about 6. */
static float *solve_other_epsilon(struct problem *problem)
{
    float *result = problem_solve(&reference, problem);

    for (size_t i = 0; i < results_of(problem); i++) {
        double beta = problem->weights.vector[i % problem->width];
        result[i] = (float)(beta + (result[i] - beta) / sqrt(1 + 1e-3 / 6));
    }
    return result;
}

/* The embedding table's neighbour: positions that count from 1. */
static float *solve_next_word(struct problem *problem)
{
    problem->ids[problem->rows - 1] = (problem->ids[problem->rows - 1] + 1) % 100;
    float *result = problem_solve(&reference, problem);
    problem->ids[problem->rows - 1] = (problem->ids[problem->rows - 1] + 99) % 100;
    return result;
}

static float *solve_base_two(struct problem *problem)
{
    /* A log2(e) of too few bits: the argument of exp is off by 1e-4 of it. */
    for (uint32_t i = 0; i < problem->rows * problem->width; i++)
        problem->in[0][i] *= 1.0001f;
    float *result = problem_solve(&reference, problem);
    for (uint32_t i = 0; i < problem->rows * problem->width; i++)
        problem->in[0][i] /= 1.0001f;
    return result;
}

static const struct fault faults[] = {
    {"linear", "inputs cut to TF32", LINEAR_PLAIN, IN_FP32, solve_tf32},
    {"linear", "a sum kept in fp16", LINEAR_PLAIN, IN_FP32 | IN_FP16, solve_short_sums},
    {"linear", "GELU's tanh form", LINEAR_GELU, IN_FP32, solve_tanh_gelu},
    {"attention", "a key too few", 0, IN_ALL, solve_short_text},
    {"pool", "a token too few", POOL_MEAN, IN_ALL, solve_short_text},
    {"add_norm", "the sample's variance", 0, IN_ALL, solve_sample_variance},
    {"add_norm", "an epsilon of 1e-3", 0, IN_FP32, solve_other_epsilon},
    {"embed", "the next word", 0, IN_ALL, solve_next_word},
    {"softmax", "a base off by 1e-4", 0, IN_ALL, solve_base_two},
};

static void fault_check(const struct fault *fault, size_t device)
{
    struct arithmetic a = arithmetic_for(devices[device].kind, devices[device].precision);
    const struct operation *operation = operation_named(fault->operation);
    struct problem problem = problem_create(operation, &operation->sizes[0], fault->variant,
                                            devices[device].precision, 3);
    size_t count = results_of(&problem), at;
    float *exact = problem_solve(&reference, &problem);
    double *bound = operation->bound(&a, &problem);
    float *faulty = fault->solve(&problem);
    double share = share_of(faulty, exact, bound, count, &at);

    printf("%s, %s, precision %d: %.2f of the bound\n", fault->operation, fault->what,
           (int)devices[device].precision, share);
    if ((fault->seen_in & precision_bit(devices[device].precision)) && !(share > 1))
        fail_msg("%s: %s is not seen", fault->operation, fault->what);
    free(exact);
    free(faulty);
    free(bound);
    problem_destroy(&problem);
}

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        for (size_t device = 0; device < DEVICES; device++)
            fault_check(&faults[i], device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_faults),
    };

    reference = reference_open();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bench_close(&reference);
    return failed;
}
