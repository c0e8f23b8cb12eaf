/* SPDX-License-Identifier: Apache-2.0 */
/*
 * training_activities: train_classifier and evaluate_classifier (workflows/finetune/fine_tune.h).
 *
 * Training runs on the activity's own thread, beside the compute thread: the encoder's part was
 * done before, by embed_artifact. Its heartbeat is sent by the loop that trains:
 *
 *   {"epoch", "step", "steps", "loss", "validation_loss", "checkpoint": REF or null}
 *
 * A checkpoint is the trainer's whole state (trainer.h) as an artifact: on the storage process's
 * disk, flushed and renamed, before a heartbeat names it. The next dispatch, on any node, goes on
 * there and ends in the same bits. One that is damaged, gone or of another job is refused: training
 * begins anew and the log says why (event=checkpoint.refused). When the worker drains, a newest
 * checkpoint is made and the task handed back; when it is canceled it stops at the next step.
 *
 * Failures that a retry would not mend: "InvalidInput"; "TrainingDiverged" when the loss is no
 * finite number any more.
 *
 * Threading: the activities run on any thread, several at once.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_TRAINING_ACTIVITIES_H
#define ARGOSY_WORKER_GPU_TRAINER_TRAINING_ACTIVITIES_H

#include <argosy/registry.h>

#include "common/error.h"
#include "storage/storage_client.h"

struct training_context {
    struct storage_client *storage; /* both borrowed */
    const char *models_dir;
};

/* context must outlive the registry. */
int training_activities_register(const struct training_context *context,
                                 struct argosy_registry *registry, struct error *err);

#endif
