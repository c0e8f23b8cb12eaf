/* SPDX-License-Identifier: Apache-2.0 */
/*
 * training_inputs: the arguments of train_classifier and evaluate_classifier, read.
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_TRAINING_INPUTS_H
#define ARGOSY_WORKER_GPU_TRAINER_TRAINING_INPUTS_H

#include <argosy/activity.h>

#include "common/error.h"
#include "worker_gpu/trainer/trainer.h"
#include "worker_gpu/trainer/training_data.h"
#include "workflows/finetune/fine_tune.h"

struct training_inputs {
    struct fine_tune_request request;
    struct training_labels labels;
    json_t *stored, *vectors;
    json_t *trained; /* evaluate_classifier's; else NULL */
    /* SHA-256 of the arguments: they name data and options, so it names the training. */
    uint8_t job[TRAINER_JOB_SIZE];
};

/* count: arguments that must be there, 3 or 4. ERR_INVALID, ERR_MEMORY. training_inputs_fini frees,
 * also after a failure. */
int training_inputs_read(struct argosy_activity *activity, size_t count,
                         struct training_inputs *ret_inputs, struct error *err);

/* Accepts a zeroed struct. */
void training_inputs_fini(struct training_inputs *inputs);

#endif
