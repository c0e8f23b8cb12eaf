/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode: the measurement `argosy-bench encode`: forward passes of a model on a device, as a GPU
 * worker runs them, for batches of texts of one length. The tokens are made up: tokenizing is not
 * measured, nor is anything durable.
 *
 * Threading: one thread.
 */
#ifndef ARGOSY_BENCH_ENCODE_H
#define ARGOSY_BENCH_ENCODE_H

#include <stdint.h>

#include "common/error.h"
#include "kernels/bench/arguments.h"

#define ENCODE_LENGTHS_MAX 16
#define ENCODE_TOKENS_MAX  (1u << 22) /* of one batch */

struct encode_options {
    const char *model; /* a folder (with a "/"), a name in ARGOSY_MODEL_DIR, or "shape:NAME" */
    uint32_t lengths[ENCODE_LENGTHS_MAX]; /* tokens of a text */
    size_t length_count;
    uint32_t texts;       /* of a batch */
    uint32_t step_tokens; /* 0: as a worker on the device */
    const char
        *vectors; /* NULL, or a file for the vectors of the last length: fp32, little-endian */
    struct bench_arguments common;
};

/* Reads "16,128,256". ERR_INVALID. */
int encode_lengths_parse(const char *text, struct encode_options *options, struct error *err);

/* Names that follow "shape:", for people: "a, b". */
extern const char encode_shape_names[];

/* Measures and prints. ERR_INVALID for options that do not fit the model, ERR_NOT_FOUND, errors of
 * models/model.h and worker_gpu/encoder.h. */
int encode_measure(const struct encode_options *options, struct error *err);

#endif
