/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operation of the device table behind one interface, so that a test is written once and run
 * for all of them: the inputs of one size, the call, the sizes worth trying, the bound of its
 * results. A new entry of struct device_ops does not compile here until it has its row.
 *
 * Rows belong to groups: for an operation on a batch a group is a text, for one that works row by
 * row it is a row. What a group's results are depends on nothing outside it.
 */
#ifndef KERNELS_TESTS_OPERATION_H
#define KERNELS_TESTS_OPERATION_H

#include "kernels/tests/bounds.h"
#include "kernels/tests/matrix.h"

#define INPUTS_MAX 2

struct operation;

/* Groups of `length` rows each, or of mixed lengths where it is 0. */
struct size {
    uint32_t groups;
    uint32_t length;
    uint32_t width; /* of a row; attention: of a head */
    uint32_t other; /* linear: out; attention: heads */
};

/* Inputs and weights of one call, on the host. Owns all arrays but those of `weights` where it is a
 * selection. */
struct problem {
    const struct operation *operation;
    uint32_t variant;
    uint32_t width;
    uint32_t other;
    uint32_t groups;
    uint32_t rows;
    uint32_t *lengths;     /* [groups] */
    float *in[INPUTS_MAX]; /* [rows, in_width] each: elements, rounded as the device rounds */
    int32_t *ids;          /* [rows] */
    int32_t *types;        /* [rows] */
    struct problem_weights {
        float *matrix; /* linear: the weight; norms: gamma */
        float *vector; /* linear: the bias; norms: beta */
        float *words;  /* embedding tables */
        float *positions;
        float *types;
    } weights;
    bool is_selection;
};

/* The bias of a linear problem, or NULL; the epsilon of a norm. */
const float *problem_bias(const struct problem *problem);
float problem_epsilon(const struct problem *problem);

/* What a call takes, so that a test can spoil one thing at a time. */
struct call {
    struct device_stream *stream;
    struct token_batch *batch;
    struct linear_weight *linear;
    struct norm_weight *norm;
    struct embedding_weight *embedding;
    const void *in[INPUTS_MAX];
    uint32_t rows;
    uint32_t width;
    void *out;
};

struct operation {
    const char *name;
    uint32_t inputs;   /* matrices that it reads; 0 for embed, which reads the batch */
    uint32_t variants; /* epilogues, modes, ... */
    bool has_batch;    /* a group is a text */
    bool has_linear;   /* the weights it takes */
    bool has_norm;
    bool has_embedding;
    bool has_rows;        /* takes a number of rows */
    bool has_width;       /* takes a width */
    bool is_row_per_text; /* its result has a row per text */
    bool is_in_place;     /* the result may be written over an input */
    bool is_float_in;
    bool is_float_out;
    bool has_heads; /* other is a number of heads: rows are width * other, inputs three times */
    float spread;   /* of the inputs */
    const struct size *sizes;
    size_t sizes_count;
    int (*run)(const struct problem *problem, const struct call *call);
    double *(*bound)(const struct arithmetic *a, const struct problem *problem);
};

extern const struct operation operations[];
extern const size_t operations_count;
/* Fails the test where there is none. */
const struct operation *operation_named(const char *name);

/* The value that an element of this precision has after rounding to nearest, ties to even. */
float element_rounded(enum device_precision precision, float value);

struct problem problem_create(const struct operation *operation, const struct size *size,
                              uint32_t variant, enum device_precision precision, uint64_t seed);
/* The problem of these of its groups, in this order; it borrows the weights. */
struct problem problem_select(const struct problem *problem, const uint32_t *groups,
                              uint32_t count);
void problem_destroy(struct problem *problem);
uint32_t problem_in_width(const struct problem *problem);
uint32_t problem_out_width(const struct problem *problem);
uint32_t problem_out_rows(const struct problem *problem);
/* The first row of a group's result and how many it has. */
uint32_t problem_out_start(const struct problem *problem, uint32_t group);
uint32_t problem_out_length(const struct problem *problem, uint32_t group);
/* What slow devices are spared by: about a multiply-add of linear, with the empty places of blocks.
 */
double problem_work(const struct problem *problem);
/* "linear 2, 33 rows of 129 to 65": until the next call. */
const char *problem_name(const struct problem *problem);

/* A problem on a device, ready to be called. */
struct run {
    const struct problem *problem;
    struct bench *bench;
    struct matrix in[INPUTS_MAX];
    struct matrix out;
    struct call call;
};
struct run run_create(struct bench *bench, const struct problem *problem);
/* The results as float, owned by the caller. Fails the test where a guard word or an input that is
 * not the result was written to. */
float *run_read(struct run *run);
void run_destroy(struct run *run);

/* All of it: create, call, read, destroy. */
float *problem_solve(struct bench *bench, const struct problem *problem);

#endif
