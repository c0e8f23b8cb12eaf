/* SPDX-License-Identifier: Apache-2.0 */
/* Problems and their runs (operation.h). */
#include "kernels/tests/operation.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NORM_EPSILON     1e-12f /* BERT's */
#define NORM_EPSILON_FEW 1e-5f  /* for rows of one element, whose variance is 0 */
#define EMBEDDING_WORDS  101u
#define EMBEDDING_TYPES  2u

const struct operation *operation_named(const char *name)
{
    for (size_t i = 0; i < operations_count; i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    fail_msg("there is no operation %s", name);
    return NULL;
}

float element_rounded(enum device_precision precision, float value)
{
    /* Bits of the significand, the least exponent of a normal number, the largest. */
    static const struct {
        int bits, least, largest;
    } formats[] = {
        [DEVICE_FP32] = {24, -126, 127},
        [DEVICE_FP16] = {11, -14, 15},
        [DEVICE_BF16] = {8, -126, 127},
    };
    int exponent;

    if (value == 0 || !isfinite(value))
        return value;
    frexp(value, &exponent); /* value = m 2^exponent, 0.5 <= |m| < 1 */
    exponent = exponent - 1 < formats[precision].least ? formats[precision].least : exponent - 1;
    int place = exponent - formats[precision].bits + 1;
    double rounded = ldexp(nearbyint(ldexp(value, -place)), place);
    return fabs(rounded) < ldexp(1, formats[precision].largest + 1) ? (float)rounded
                                                                    : copysignf(INFINITY, value);
}

/* ---- problems ---- */

static void *array_create(size_t count, size_t size)
{
    void *array = calloc(count ? count : 1, size);

    assert_non_null(array);
    return array;
}

static uint32_t row_width(const struct problem *problem)
{
    return problem->operation->has_heads ? problem->width * problem->other : problem->width;
}

uint32_t problem_in_width(const struct problem *problem)
{
    return row_width(problem) * (problem->operation->has_heads ? 3 : 1);
}

uint32_t problem_out_width(const struct problem *problem)
{
    return problem->operation->has_linear ? problem->other : row_width(problem);
}

uint32_t problem_out_rows(const struct problem *problem)
{
    return problem->operation->is_row_per_text ? problem->groups : problem->rows;
}

uint32_t problem_out_length(const struct problem *problem, uint32_t group)
{
    return problem->operation->is_row_per_text ? 1 : problem->lengths[group];
}

uint32_t problem_out_start(const struct problem *problem, uint32_t group)
{
    uint32_t start = 0;

    for (uint32_t g = 0; g < group; g++)
        start += problem_out_length(problem, g);
    return start;
}

static double whole(double count, double block)
{
    return ceil(count / block) * block;
}

double problem_work(const struct problem *problem)
{
    double work = 0;

    if (problem->operation->has_linear)
        return 2.0 * problem->rows * problem->other * problem->width;
    if (!problem->operation->has_heads)
        return 8.0 * problem->rows * fmax(row_width(problem), 128);
    for (uint32_t g = 0; g < problem->groups; g++)
        work += whole(problem->lengths[g], 16) * whole(problem->lengths[g], 64);
    return work / 2 * row_width(problem);
}

const char *problem_name(const struct problem *problem)
{
    static char name[128];

    snprintf(name, sizeof(name), "%s, variant %u, %u rows in %u groups, width %u, other %u",
             problem->operation->name, problem->variant, problem->rows, problem->groups,
             problem->width, problem->other);
    return name;
}

/* Multiples of 1/64 in [-1, 1), and never 0: exact in every precision, so that all devices have the
 * same weights, and an infinity times one of them stays one. */
static float *weights_create(struct random *random, size_t count)
{
    float *weights = floats_create(count);

    for (size_t i = 0; i < count; i++) {
        weights[i] = (float)((int32_t)random_below(random, 128) - 64) / 64.0f;
        weights[i] = weights[i] == 0 ? 1.0f / 64.0f : weights[i];
    }
    return weights;
}

static void lengths_fill(struct problem *problem, const struct size *size)
{
    /* Around vectors and blocks of 16, 32, 48, 64 and 128, mixed. */
    static const uint32_t mixed[] = {1,   33, 2,  64, 31, 32, 65, 17,  127, 3,   48, 129,
                                     128, 16, 15, 63, 47, 49, 7,  255, 131, 257, 1};

    problem->lengths = array_create(size->groups, sizeof(*problem->lengths));
    for (uint32_t g = 0; g < size->groups; g++) {
        problem->lengths[g] =
            size->length ? size->length : mixed[g % (sizeof(mixed) / sizeof(mixed[0]))];
        problem->rows += problem->lengths[g];
    }
}

static uint32_t longest_of(const struct problem *problem)
{
    uint32_t longest = 0;

    for (uint32_t g = 0; g < problem->groups; g++)
        longest = problem->lengths[g] > longest ? problem->lengths[g] : longest;
    return longest;
}

static void weights_fill(struct problem *problem, struct random *random)
{
    const struct operation *operation = problem->operation;
    struct problem_weights *weights = &problem->weights;
    size_t width = problem->width;

    if (operation->has_linear)
        weights->matrix = weights_create(random, width * problem->other);
    if (operation->has_norm || operation->has_embedding)
        weights->matrix = weights_create(random, width);
    if (weights->matrix)
        weights->vector = weights_create(random, problem_out_width(problem));
    if (operation->has_embedding) {
        weights->words = weights_create(random, EMBEDDING_WORDS * width);
        weights->positions = weights_create(random, longest_of(problem) * width);
        weights->types = weights_create(random, EMBEDDING_TYPES * width);
    }
}

struct problem problem_create(const struct operation *operation, const struct size *size,
                              uint32_t variant, enum device_precision precision, uint64_t seed)
{
    struct problem problem = {.operation = operation,
                              .variant = variant,
                              .width = size->width,
                              .other = size->other,
                              .groups = size->groups};
    struct random random = {.state = seed};

    lengths_fill(&problem, size);
    weights_fill(&problem, &random);
    for (uint32_t i = 0; i < operation->inputs; i++) {
        size_t count = (size_t)problem.rows * problem_in_width(&problem);
        /* Results of a product stay near 1. */
        float spread = operation->has_linear ? operation->spread / sqrtf((float)problem.width)
                                             : operation->spread;
        problem.in[i] = random_floats(&random, count, spread);
        for (size_t k = 0; k < count && !operation->is_float_in; k++)
            problem.in[i][k] = element_rounded(precision, problem.in[i][k]);
    }
    problem.ids = array_create(problem.rows, sizeof(*problem.ids));
    problem.types = array_create(problem.rows, sizeof(*problem.types));
    for (uint32_t r = 0; r < problem.rows && operation->has_embedding; r++) {
        problem.ids[r] = (int32_t)random_below(&random, EMBEDDING_WORDS);
        problem.types[r] = (int32_t)random_below(&random, variant == 0 ? EMBEDDING_TYPES : 1);
    }
    return problem;
}

struct problem problem_select(const struct problem *problem, const uint32_t *groups, uint32_t count)
{
    struct problem chosen = *problem;
    size_t width = problem_in_width(problem), at = 0;
    uint32_t *starts = array_create(problem->groups + (size_t)1, sizeof(*starts));

    for (uint32_t g = 0; g < problem->groups; g++)
        starts[g + 1] = starts[g] + problem->lengths[g];
    chosen.is_selection = true;
    chosen.groups = count;
    chosen.rows = 0;
    chosen.lengths = array_create(count, sizeof(*chosen.lengths));
    for (uint32_t g = 0; g < count; g++) {
        chosen.lengths[g] = problem->lengths[groups[g]];
        chosen.rows += chosen.lengths[g];
    }
    chosen.ids = array_create(chosen.rows, sizeof(*chosen.ids));
    chosen.types = array_create(chosen.rows, sizeof(*chosen.types));
    for (uint32_t i = 0; i < problem->operation->inputs; i++)
        chosen.in[i] = floats_create(chosen.rows * width);
    for (uint32_t g = 0; g < count; at += chosen.lengths[g], g++) {
        size_t from = starts[groups[g]], rows = chosen.lengths[g];
        memcpy(chosen.ids + at, problem->ids + from, rows * sizeof(*chosen.ids));
        memcpy(chosen.types + at, problem->types + from, rows * sizeof(*chosen.types));
        for (uint32_t i = 0; i < problem->operation->inputs; i++)
            memcpy(chosen.in[i] + at * width, problem->in[i] + from * width,
                   rows * width * sizeof(float));
    }
    free(starts);
    return chosen;
}

void problem_destroy(struct problem *problem)
{
    free(problem->lengths);
    free(problem->ids);
    free(problem->types);
    for (uint32_t i = 0; i < INPUTS_MAX; i++)
        free(problem->in[i]);
    if (problem->is_selection)
        return;
    free(problem->weights.matrix);
    free(problem->weights.vector);
    free(problem->weights.words);
    free(problem->weights.positions);
    free(problem->weights.types);
}

/* ---- runs ---- */

static struct token_batch *batch_load(struct bench *bench, const struct problem *problem)
{
    uint32_t *cu_seqlens = array_create(problem->groups + (size_t)1, sizeof(*cu_seqlens));
    struct token_batch *batch;

    for (uint32_t g = 0; g < problem->groups; g++)
        cu_seqlens[g + 1] = cu_seqlens[g] + problem->lengths[g];
    const struct token_source source = {.ids = problem->ids,
                                        .types = problem->types,
                                        .cu_seqlens = cu_seqlens,
                                        .tokens = problem->rows,
                                        .texts = problem->groups};
    assert_int_equal(token_batch_create(bench->device, problem->rows, problem->groups, &batch),
                     KERNEL_OK);
    assert_int_equal(token_batch_load(bench->stream, batch, &source), KERNEL_OK);
    free(cu_seqlens);
    return batch;
}

float problem_epsilon(const struct problem *problem)
{
    return problem->width > 1 ? NORM_EPSILON : NORM_EPSILON_FEW;
}

static void weights_load(struct bench *bench, const struct problem *problem, struct call *call)
{
    const struct operation *operation = problem->operation;
    const struct problem_weights *weights = &problem->weights;

    if (operation->has_linear)
        assert_int_equal(linear_weight_create(bench->device, weights->matrix, problem_bias(problem),
                                              problem->other, problem->width, &call->linear),
                         KERNEL_OK);
    if (operation->has_norm || operation->has_embedding)
        assert_int_equal(norm_weight_create(bench->device, weights->matrix, weights->vector,
                                            problem->width, problem_epsilon(problem), &call->norm),
                         KERNEL_OK);
    if (operation->has_embedding) {
        bool has_types = problem->variant == 0;
        const struct embedding_tables tables = {.words = weights->words,
                                                .positions = weights->positions,
                                                .types = has_types ? weights->types : NULL,
                                                .word_rows = EMBEDDING_WORDS,
                                                .position_rows = longest_of(problem),
                                                .type_rows = has_types ? EMBEDDING_TYPES : 0,
                                                .width = problem->width};
        assert_int_equal(
            embedding_weight_create(bench->device, &tables, call->norm, &call->embedding),
            KERNEL_OK);
    }
}

/* The input that the result is written over, or INPUTS_MAX. */
static uint32_t overwritten(const struct problem *problem)
{
    return problem->operation->is_in_place && problem->variant > 0 ? problem->variant - 1
                                                                   : INPUTS_MAX;
}

struct run run_create(struct bench *bench, const struct problem *problem)
{
    const struct operation *operation = problem->operation;
    struct run run = {.problem = problem, .bench = bench};
    uint32_t in_width = problem_in_width(problem);

    run.call =
        (struct call){.stream = bench->stream, .rows = problem->rows, .width = problem->width};
    if (operation->has_batch)
        run.call.batch = batch_load(bench, problem);
    weights_load(bench, problem, &run.call);
    for (uint32_t i = 0; i < operation->inputs; i++) {
        run.in[i] = operation->is_float_in
                        ? matrix_from_float(bench, problem->rows, in_width, problem->in[i])
                        : matrix_from(bench, problem->rows, in_width, problem->in[i]);
        run.call.in[i] = run.in[i].data;
    }
    run.out = matrix_create(bench, problem_out_rows(problem), problem_out_width(problem),
                            operation->is_float_out ? ELEMENT_FLOAT : ELEMENT_ACTIVATION);
    run.call.out =
        overwritten(problem) < INPUTS_MAX ? run.in[overwritten(problem)].data : run.out.data;
    return run;
}

float *run_read(struct run *run)
{
    const struct problem *problem = run->problem;
    size_t count = (size_t)problem->rows * problem_in_width(problem);

    for (uint32_t i = 0; i < problem->operation->inputs; i++) {
        if (i == overwritten(problem))
            continue;
        float *in = matrix_read(&run->in[i]);
        for (size_t k = 0; k < count; k++)
            if (in[k] != problem->in[i][k] && !(isnan(in[k]) && isnan(problem->in[i][k])))
                fail_msg("%s: element %zu of an input was written to", problem_name(problem), k);
        free(in);
    }
    return matrix_read(overwritten(problem) < INPUTS_MAX ? &run->in[overwritten(problem)]
                                                         : &run->out);
}

void run_destroy(struct run *run)
{
    for (uint32_t i = 0; i < run->problem->operation->inputs; i++)
        matrix_destroy(&run->in[i]);
    matrix_destroy(&run->out);
    embedding_weight_destroy(run->call.embedding);
    norm_weight_destroy(run->call.norm);
    linear_weight_destroy(run->call.linear);
    token_batch_destroy(run->call.batch);
}

float *problem_solve(struct bench *bench, const struct problem *problem)
{
    struct run run = run_create(bench, problem);

    if (problem->operation->run(problem, &run.call) != KERNEL_OK)
        fail_msg("%s: %s", problem_name(problem), device_error_text(bench->device));
    float *result = run_read(&run);
    run_destroy(&run);
    return result;
}
