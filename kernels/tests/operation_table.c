/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row per operation (operation.h): its call, its bound, and its sizes: 1, 31, 32, 33, a large
 * prime, one below, at and above the blocks of every device's kernels, and the largest that the
 * header allows. Those blocks: vectors of 4, 8 and 16, tiles of 6 rows, panels of 8, 16 and 64
 * columns, passes of 128 in depth, parts of 32 and 96 rows, attention's 48 and 384 queries and 128
 * keys (cpu/); tiles of 64 x 64 in steps of 16, blocks of 128 and 256 threads, attention's 16
 * queries and 64 keys (cuda/). The largest: DEVICE_ROWS_MAX rows of one element, and
 * DEVICE_WIDTH_MAX elements in a row or two.
 */
#include "kernels/tests/operation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/device_ops.h"

#define SIZES(...)                                                                                 \
    .sizes = (const struct size[]){__VA_ARGS__},                                                   \
    .sizes_count = sizeof((const struct size[]){__VA_ARGS__}) / sizeof(struct size)

/* ---- linear ---- */

const float *problem_bias(const struct problem *problem)
{
    return problem->variant / 4 == 0 ? problem->weights.vector : NULL;
}

static enum linear_epilogue epilogue_of(const struct problem *problem)
{
    return (enum linear_epilogue)(problem->variant % 4);
}

static int run_linear(const struct problem *problem, const struct call *call)
{
    return op_linear(call->stream, call->linear, epilogue_of(problem), call->in[0], call->rows,
                     call->out);
}

static double *linear_bound(const struct arithmetic *a, const struct problem *problem)
{
    return bound_linear(a, problem->in[0], problem->weights.matrix, problem_bias(problem),
                        problem->rows, problem->width, problem->other, epilogue_of(problem));
}

/* ---- attention ---- */

/* Variant 1: a few keys take nearly everything. */
static float scale_of(const struct problem *problem)
{
    return (problem->variant ? 12.0f : 1.0f) / sqrtf((float)problem->width);
}

static int run_attention(const struct problem *problem, const struct call *call)
{
    return op_attention(call->stream, call->batch, call->in[0], problem->other, call->width,
                        scale_of(problem), call->out);
}

static double *attention_bound(const struct arithmetic *a, const struct problem *problem)
{
    return bound_attention(a, problem->in[0], problem->lengths, problem->groups, problem->other,
                           problem->width, scale_of(problem));
}

/* ---- norms ---- */

static int run_add_norm(const struct problem *problem, const struct call *call)
{
    (void)problem;
    return op_add_norm(call->stream, call->norm, call->in[0], call->in[1], call->rows, call->out);
}

static double *add_norm_bound(const struct arithmetic *a, const struct problem *problem)
{
    return bound_add_norm(a, problem->in[0], problem->in[1], problem->weights.matrix,
                          problem->weights.vector, problem_epsilon(problem), problem->rows,
                          problem->width);
}

static int run_embed(const struct problem *problem, const struct call *call)
{
    (void)problem;
    return op_embed(call->stream, call->embedding, call->batch, call->out);
}

static double *embed_bound(const struct arithmetic *a, const struct problem *problem)
{
    const struct problem_weights *weights = &problem->weights;
    size_t width = problem->width, bytes = width * sizeof(float), r = 0;
    float *words = floats_create(problem->rows * width);
    float *positions = floats_create(problem->rows * width);
    float *types = floats_create(problem->rows * width);

    for (uint32_t g = 0; g < problem->groups; g++)
        for (uint32_t p = 0; p < problem->lengths[g]; p++, r++) {
            memcpy(words + r * width, weights->words + (size_t)problem->ids[r] * width, bytes);
            memcpy(positions + r * width, weights->positions + p * width, bytes);
            memcpy(types + r * width, weights->types + (size_t)problem->types[r] * width, bytes);
        }
    double *bound =
        bound_embed(a, words, positions, problem->variant == 0 ? types : NULL, weights->matrix,
                    weights->vector, problem_epsilon(problem), problem->rows, problem->width);
    free(words);
    free(positions);
    free(types);
    return bound;
}

/* ---- pooling, softmax, moves ---- */

static enum pool_mode mode_of(const struct problem *problem)
{
    return (enum pool_mode)(problem->variant / 2);
}

static int run_pool(const struct problem *problem, const struct call *call)
{
    return op_pool(call->stream, call->batch, call->in[0], call->width, mode_of(problem),
                   problem->variant % 2 == 0, call->out);
}

static double *pool_bound(const struct arithmetic *a, const struct problem *problem)
{
    return bound_pool(a, problem->in[0], problem->lengths, problem->groups, problem->width,
                      mode_of(problem), problem->variant % 2 == 0);
}

static int run_gather_first(const struct problem *problem, const struct call *call)
{
    (void)problem;
    return op_gather_first(call->stream, call->batch, call->in[0], call->width, call->out);
}

static double *gather_bound(const struct arithmetic *a, const struct problem *problem)
{
    (void)a;
    return bound_none((size_t)problem->groups * problem->width);
}

static int run_softmax(const struct problem *problem, const struct call *call)
{
    (void)problem;
    return op_softmax(call->stream, call->in[0], call->rows, call->width, call->out);
}

static double *softmax_bound(const struct arithmetic *a, const struct problem *problem)
{
    return bound_softmax(a, problem->in[0], problem->rows, problem->width);
}

static int run_to_float(const struct problem *problem, const struct call *call)
{
    (void)problem;
    return op_to_float(call->stream, call->in[0], call->rows, call->width, call->out);
}

static double *to_float_bound(const struct arithmetic *a, const struct problem *problem)
{
    (void)a;
    return bound_none((size_t)problem->rows * problem->width);
}

static int run_from_float(const struct problem *problem, const struct call *call)
{
    (void)problem;
    return op_from_float(call->stream, call->in[0], call->rows, call->width, call->out);
}

static double *from_float_bound(const struct arithmetic *a, const struct problem *problem)
{
    return bound_store(a, problem->in[0], (size_t)problem->rows * problem->width);
}

/* ---- the table ---- */

/* Rows of a matrix that is worked on row by row, {rows, 1, width}; the first is tried in every
 * variant. */
#define ROW_SIZES                                                                                  \
    {33, 1, 65, 0}, {1, 1, 1, 0}, {31, 1, 31, 0}, {32, 1, 32, 0}, {33, 1, 33, 0}, {1009, 1, 2, 0}, \
        {3, 1, 15, 0}, {3, 1, 16, 0}, {3, 1, 17, 0}, {2, 1, 63, 0}, {2, 1, 64, 0}, {5, 1, 127, 0}, \
        {5, 1, 128, 0}, {5, 1, 129, 0}, {3, 1, 255, 0}, {3, 1, 256, 0}, {3, 1, 257, 0},            \
        {34, 1, 384, 0}, {2, 1, 768, 0}, {5, 1, 1009, 0}, {2, 1, DEVICE_WIDTH_MAX, 0},             \
    {                                                                                              \
        DEVICE_ROWS_MAX, 1, 1, 0                                                                   \
    }

/* Texts, {texts, length or 0 for mixed, width}. */
#define TEXT_SIZES                                                                                 \
    {12, 0, 33, 0}, {1, 1, 1, 0}, {23, 0, 2, 0}, {23, 0, 31, 0}, {5, 0, 32, 0}, {3, 31, 65, 0},    \
        {2, 32, 127, 0}, {2, 33, 128, 0}, {2, 1, 129, 0}, {3, 2, 255, 0}, {2, 1, 256, 0},          \
        {2, 3, 257, 0}, {12, 0, 384, 0}, {1, 1009, 17, 0}, {2, 2, 1009, 0},                        \
        {1, 2, DEVICE_WIDTH_MAX, 0}, {DEVICE_ROWS_MAX, 1, 1, 0},                                   \
    {                                                                                              \
        DEVICE_ROWS_MAX / 64, 64, 1, 0                                                             \
    }

const struct operation operations[] = {
    {.name = "embed",
     .variants = 2,
     .has_batch = true,
     .has_embedding = true,
     .run = run_embed,
     .bound = embed_bound,
     SIZES(TEXT_SIZES)},
    {.name = "linear",
     .inputs = 1,
     .variants = 8,
     .has_linear = true,
     .has_rows = true,
     .spread = 2.0f,
     .run = run_linear,
     .bound = linear_bound,
     SIZES({33, 1, 129, 65}, {1, 1, 1, 1}, {1, 1, 384, 2}, {2, 1, 33, 3}, {5, 1, 31, 7},
           {6, 1, 32, 8}, {7, 1, 33, 9}, {31, 1, 64, 15}, {32, 1, 127, 16}, {33, 1, 128, 17},
           {63, 1, 15, 31}, {64, 1, 16, 32}, {65, 1, 17, 33}, {95, 1, 129, 63}, {96, 1, 130, 64},
           {97, 1, 131, 65}, {193, 1, 65, 129}, {1009, 1, 17, 31}, {127, 1, 384, 257},
           {128, 1, 512, 33}, {3, 1, 1536, 384}, {2, 1, 1009, 5}, {2, 1, DEVICE_WIDTH_MAX, 3},
           {2, 1, 3, DEVICE_WIDTH_MAX}, {DEVICE_ROWS_MAX, 1, 1, 1})},
    {.name = "attention",
     .inputs = 1,
     .variants = 2,
     .has_batch = true,
     .has_width = true,
     .has_heads = true,
     .spread = 1.0f,
     .run = run_attention,
     .bound = attention_bound,
     SIZES({7, 0, 32, 2}, {1, 1, 32, 1}, {12, 0, 64, 1}, {23, 0, 32, 1}, {3, 1, 64, 3},
           {1, 255, 32, 1}, {1, 256, 64, 1}, {1, 257, 32, 1}, {1, 257, 64, 1}, {1, 383, 32, 1},
           {1, 384, 32, 1}, {1, 385, 32, 1}, {1, 512, 16, 1}, {1, 1009, 3, 1}, {5, 0, 1, 31},
           {5, 0, 7, 3}, {5, 0, 31, 2}, {5, 0, 33, 1}, {5, 0, 48, 2}, {5, 0, 80, 1}, {3, 0, 96, 2},
           {3, 0, 128, 1}, {3, 0, 255, 1}, {3, 0, 256, 1}, {1, 2, 64, 1024}, {1, 2, 256, 256},
           {DEVICE_ROWS_MAX, 1, 1, 1})},
    {.name = "add_norm",
     .inputs = 2,
     .variants = 3,
     .has_norm = true,
     .has_rows = true,
     .is_in_place = true,
     .spread = 3.0f,
     .run = run_add_norm,
     .bound = add_norm_bound,
     SIZES(ROW_SIZES)},
    {.name = "pool",
     .inputs = 1,
     .variants = 6,
     .has_batch = true,
     .has_width = true,
     .is_row_per_text = true,
     .is_float_out = true,
     .spread = 1.0f,
     .run = run_pool,
     .bound = pool_bound,
     /* The last in a place that is not normalised: a mean of millions is too near 0 for it. */
     SIZES(TEXT_SIZES, {1, 3, 5, 0}, {1, DEVICE_ROWS_MAX, 1, 0})},
    {.name = "gather_first",
     .inputs = 1,
     .variants = 1,
     .has_batch = true,
     .has_width = true,
     .is_row_per_text = true,
     .spread = 1.0f,
     .run = run_gather_first,
     .bound = gather_bound,
     SIZES(TEXT_SIZES)},
    {.name = "softmax",
     .inputs = 1,
     .variants = 1,
     .has_rows = true,
     .has_width = true,
     .is_float_out = true,
     .spread = 12.0f,
     .run = run_softmax,
     .bound = softmax_bound,
     SIZES(ROW_SIZES)},
    {.name = "to_float",
     .inputs = 1,
     .variants = 1,
     .has_rows = true,
     .has_width = true,
     .is_float_out = true,
     .spread = 12.0f,
     .run = run_to_float,
     .bound = to_float_bound,
     SIZES(ROW_SIZES)},
    {.name = "from_float",
     .inputs = 1,
     .variants = 1,
     .has_rows = true,
     .has_width = true,
     .is_float_in = true,
     .spread = 12.0f,
     .run = run_from_float,
     .bound = from_float_bound,
     SIZES(ROW_SIZES)},
};

const size_t operations_count = sizeof(operations) / sizeof(operations[0]);

/* The operations are the last entries of the device table, from embed on. */
_Static_assert((offsetof(struct device_ops, from_float) - offsetof(struct device_ops, embed)) /
                           sizeof(void (*)(void)) +
                       1 ==
                   sizeof(operations) / sizeof(operations[0]),
               "an operation of struct device_ops has no row here");
