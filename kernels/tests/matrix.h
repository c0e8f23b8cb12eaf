/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrices for the tests of kernels/: host arrays with their reference results, and device arrays
 * with guard words on both sides. Failures are cmocka failures.
 */
#ifndef KERNELS_TESTS_MATRIX_H
#define KERNELS_TESTS_MATRIX_H

#include "kernels/device.h"

/* The device being tested and the reference device, each with a stream. */
struct bench {
    struct device *device;
    struct device_stream *stream;
};

/* A repeatable stream of numbers. */
struct random {
    uint64_t state;
};
uint32_t random_below(struct random *random, uint32_t limit);
/* In [-1, 1). */
float random_float(struct random *random);
/* count numbers in [-spread, spread), owned by the caller. */
float *random_floats(struct random *random, size_t count, float spread);

/* Host memory that the test cannot go on without. */
float *floats_create(size_t count);

/* A device array of rows * width elements with guard words before and after. */
enum element { ELEMENT_ACTIVATION, ELEMENT_FLOAT };
struct matrix {
    struct bench *bench;
    enum element element;
    uint32_t rows;
    uint32_t width;
    void *memory; /* with the guards */
    void *data;   /* what operations get */
};
/* Its elements are NaN until they are written. */
struct matrix matrix_create(struct bench *bench, uint32_t rows, uint32_t width,
                            enum element element);
struct matrix matrix_from(struct bench *bench, uint32_t rows, uint32_t width, const float *values);
/* The same, kept as float. */
struct matrix matrix_from_float(struct bench *bench, uint32_t rows, uint32_t width,
                                const float *values);
/* The values as float, owned by the caller; fails the test where a guard word was overwritten. */
float *matrix_read(const struct matrix *matrix);
void matrix_destroy(struct matrix *matrix);

/* How far results may be from the reference. */
struct tolerance {
    double nmse;    /* Σ (a - e)² / Σ e² */
    double largest; /* |a - e| / max(1, |e|) */
};
/* Fails where finite values differ by more, or where one is NaN or infinite and the other is not
 * the same. */
void assert_close(const char *what, const float *actual, const float *expected, size_t count,
                  struct tolerance tolerance);
void assert_bits_equal(const char *what, const float *actual, const float *expected, size_t count);

/* A loaded batch of texts of these lengths, with ids below id_limit and types below type_limit. */
struct token_batch *batch_create(struct bench *bench, const uint32_t *lengths, uint32_t texts,
                                 uint32_t id_limit, uint32_t type_limit);

#endif
