/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors: the result of BatchEmbedWorkflow as numbers, and which of them are alike.
 * Threading: none.
 */
#ifndef ARGOSY_CLI_VECTORS_H
#define ARGOSY_CLI_VECTORS_H

#include <jansson.h>
#include <stddef.h>

#include "common/error.h"

/* count vectors of dimension numbers, one after the other. Zero-initialised is empty. */
struct vectors {
    float *values; /* owned */
    size_t count;
    size_t dimension;
};

/* Appends a list of lists of numbers. ERR_PROTOCOL when it is something else or the dimension
 * differs from that of the vectors there. */
int vectors_append(struct vectors *vectors, const json_t *lists, struct error *err);
void vectors_fini(struct vectors *vectors);

const float *vectors_get(const struct vectors *vectors, size_t index);
double vectors_norm(const struct vectors *vectors, size_t index);

/* Cosine of the angle between two vectors; 0 when one of them is zero. */
double vectors_cosine(const struct vectors *vectors, size_t a, size_t b);

struct vector_pair {
    size_t a, b; /* a < b */
    double cosine;
};

/* The pairs with the largest cosines, largest first; at most max of them. Returns how many. */
size_t vectors_nearest(const struct vectors *vectors, struct vector_pair *ret_pairs, size_t max);

#endif
