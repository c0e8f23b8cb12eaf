/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_trainer: trains a linear softmax classifier on feature vectors (trainer.h).
 *
 *   p(label | x) = softmax(W x + b)      loss = mean over a batch of -log p(its label)
 *
 * AdamW (Loshchilov, Hutter: "Decoupled Weight Decay Regularization", 2019, algorithm 2): moments
 * with bias correction, weights decayed apart from the gradient, biases not decayed; betas 0.9 and
 * 0.999, epsilon 1e-8. The rate rises linearly over the first `warmup` of all steps and then
 * follows the schedule. An epoch takes the examples in an order of its own (Fisher-Yates), the last
 * batch may be smaller. After each epoch the validation set is looked at; the epoch of least loss
 * gives the model, and `patience` epochs without a better one end the training.
 *
 * All arithmetic is in double precision, on one thread, without fused multiplication: the same bits
 * on every processor whose libm gives the same exp, log and cos.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_HEAD_TRAINER_H
#define ARGOSY_WORKER_GPU_TRAINER_HEAD_TRAINER_H

#include "worker_gpu/trainer/trainer.h"
#include "worker_gpu/trainer/training_set.h"
#include "workflows/finetune/training_options.h"

#define HEAD_BETA1   0.9
#define HEAD_BETA2   0.999
#define HEAD_EPSILON 1e-8

struct head_trainer_options {
    struct training_options training;
    uint32_t label_count;                  /* at least 2 */
    const struct training_set *train;      /* borrowed for the trainer's life */
    const struct training_set *validation; /* borrowed; of the same width */
    uint8_t job[TRAINER_JOB_SIZE];         /* names states that belong to this training */
    /* Called now and then in a long step, for signs of life; may be NULL. */
    void (*on_turn)(void *arg);
    void *arg;
};

/* ERR_INVALID for sets that are empty or do not fit each other, ERR_MEMORY. The caller owns
 * *ret_trainer. */
int head_trainer_create(const struct head_trainer_options *options, struct trainer **ret_trainer,
                        struct error *err);

#endif
