/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_state: all that a training of a head knows between two steps, and its file form.
 *
 * The file is a safetensors file: parameters, moment1, moment2 and best (F64), numbers (F64) and
 * counters (U64) in the order of the members below, job (U8), and as the last tensor the SHA-256 of
 * all bytes before it.
 *
 * Threading: one thread at a time per state.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_HEAD_STATE_H
#define ARGOSY_WORKER_GPU_TRAINER_HEAD_STATE_H

#include "worker_gpu/trainer/trainer.h"

struct head_state {
    size_t parameter_count; /* labels * width weights, then labels biases */
    double *parameters;     /* owns all four */
    double *moment1;
    double *moment2;
    double *best; /* parameters of the best epoch */

    double beta1_power; /* beta to the power of the steps made: the bias correction */
    double beta2_power;
    double loss_sum;         /* over the examples of the epoch under way */
    uint64_t random_counter; /* where the shuffle of the epoch under way begins */
    struct trainer_status status;
};

/* A zeroed state with room for the parameters. ERR_MEMORY. */
int head_state_init(struct head_state *state, size_t parameter_count, struct error *err);

/* Accepts a zeroed struct. */
void head_state_fini(struct head_state *state);

/* Appends the file form. ERR_MEMORY. */
int head_state_write(const struct head_state *state, const uint8_t job[TRAINER_JOB_SIZE],
                     struct buffer *out, struct error *err);

/* Fills a state that head_state_init made, of the same size. status.step_count and the consistency
 * of the counters are the caller's to check. ERR_CORRUPT: damaged; ERR_STATE: of another job. */
int head_state_read(struct head_state *state, const uint8_t job[TRAINER_JOB_SIZE], const void *data,
                    size_t size, struct error *err);

#endif
