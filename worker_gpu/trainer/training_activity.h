/* SPDX-License-Identifier: Apache-2.0 */
/* training_activity: the two activities of training_activities.h, and what they share. */
#ifndef ARGOSY_WORKER_GPU_TRAINER_TRAINING_ACTIVITY_H
#define ARGOSY_WORKER_GPU_TRAINER_TRAINING_ACTIVITY_H

#include <argosy/activity.h>
#include <stdint.h>

#include "worker_gpu/trainer/training_activities.h"

/* The largest state: 1,024 labels on a width of 4,096, four doubles each. */
#define TRAINING_ARTIFACT_MAX ((uint64_t)256 << 20)

/* user_data: the process's struct training_context. */
argosy_activity_function train_classifier;
argosy_activity_function evaluate_classifier;

#endif
