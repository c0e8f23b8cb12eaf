/* SPDX-License-Identifier: Apache-2.0 */
/*
 * training_options: how a classifier is trained: every number with its default and its bounds, read
 * from the request's "training" and written back complete.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_TRAINING_OPTIONS_H
#define ARGOSY_WORKFLOWS_TRAINING_OPTIONS_H

#include <stdint.h>

#include <jansson.h>

#include "common/error.h"

enum training_schedule { TRAINING_COSINE, TRAINING_LINEAR, TRAINING_CONSTANT };

/* What the defaults rest on is in docs/fine-tuning.md. */
struct training_options {
    int64_t seed;            /* of split, first weights and shuffles; 0 to 2^53; 42 */
    int64_t epochs;          /* at most; 1 to 100,000; 200 */
    int64_t batch_size;      /* 1 to 65,536; 32 */
    int64_t patience;        /* epochs without a better one until it stops; 0: never; 10 */
    double learning_rate;    /* the largest; 1e-7 to 10; 0.02 */
    double weight_decay;     /* of weights, not of biases; 0 to 1; 0.01 */
    double warmup;           /* share of the steps in which the rate rises; 0 to 0.5; 0.05 */
    double validation_share; /* of the train part; 0.01 to 0.4; 0.1 */
    double held_out_share;   /* where there is no held-out file; 0.01 to 0.4; 0.2 */
    enum training_schedule schedule; /* of the rate after that: "cosine", "linear", "constant" */
};

/* Reads an object; NULL is an empty one. ERR_INVALID names the member, what is wrong with it, and
 * for an unknown one the nearest. */
int training_options_read(const json_t *object, struct training_options *ret_options,
                          struct error *err);

/* All of them; NULL when memory is exhausted. The caller releases it. */
json_t *training_options_json(const struct training_options *options);

#endif
