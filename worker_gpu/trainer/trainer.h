/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trainer: what a training is to the activity that runs it (training_activities.h): steps, a state
 * that can be saved between any two of them, and a model at the end.
 *
 * What every trainer keeps: after loading a saved state, the steps that follow give the same bits
 * as if nothing had happened, on the same kind of device and the same build. So a step's outcome
 * depends on the state alone: random numbers are counted, not drawn from hidden state (random.h),
 * and sums have one order, whatever the number of threads.
 *
 * There is one trainer now: head_trainer.h, a classification head on the frozen encoder. Training
 * the whole encoder on several GPUs takes another one behind the same four functions:
 *   - Every rank of a collective group (DESIGN.md, section 6) has a trainer, and each makes the
 *     same steps; `step` is then collective. The order of examples is a function of seed and epoch,
 *     so that each rank takes its slice of a batch without asking, and gradients are summed in the
 *     order of the ranks.
 *   - Rank 0 has the task: it alone saves and exports. After a loss of a rank all of them load the
 *     saved state, which holds no rank and no number of ranks.
 *   - A state of gigabytes goes to a file instead of memory: then `save` and `load` take a path,
 *     and artifact_put_file the place of artifact_put_bytes.
 *
 * Threading: one thread at a time per trainer.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_TRAINER_H
#define ARGOSY_WORKER_GPU_TRAINER_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

#define TRAINER_JOB_SIZE 32 /* SHA-256 of all that determines a training */

struct trainer_status {
    uint32_t epoch; /* complete ones */
    uint64_t step;  /* made; a step is one update of the weights */
    uint64_t step_count;
    double loss;                /* mean over the newest complete epoch's batches */
    double validation_loss;     /* after that epoch */
    double validation_accuracy; /* after that epoch */
    uint32_t best_epoch;        /* the one with the least validation loss, from 1; 0: none yet */
    double best_loss;           /* its validation loss */
    double best_accuracy;
    bool is_done;
    bool is_stopped_early; /* the validation loss fell no more */
};

struct trainer;

struct trainer_operations {
    int (*step)(struct trainer *trainer, struct error *err);
    int (*save)(const struct trainer *trainer, struct buffer *out, struct error *err);
    int (*load)(struct trainer *trainer, const void *data, size_t size, struct error *err);
    int (*export)(const struct trainer *trainer, struct buffer *out, struct error *err);
    void (*destroy)(struct trainer *trainer);
};

/* The first member of what a trainer makes. */
struct trainer {
    const struct trainer_operations *operations;
    struct trainer_status status;
};

/* One step, and what follows on the last of an epoch: validation, the decision to stop. Not when it
 * is done. ERR_RANGE: the loss is not finite any more. */
static inline int trainer_step(struct trainer *trainer, struct error *err)
{
    return trainer->operations->step(trainer, err);
}

/* Appends the whole state. ERR_MEMORY. */
static inline int trainer_save(const struct trainer *trainer, struct buffer *out, struct error *err)
{
    return trainer->operations->save(trainer, out, err);
}

/* Goes on where a saved state was. ERR_CORRUPT: it is damaged; ERR_STATE: it is another job's; the
 * trainer is as before. */
static inline int trainer_load(struct trainer *trainer, const void *data, size_t size,
                               struct error *err)
{
    return trainer->operations->load(trainer, data, size, err);
}

/* Appends the best epoch's model as a safetensors file. At least one epoch must be complete.
 * ERR_MEMORY. */
static inline int trainer_export(const struct trainer *trainer, struct buffer *out,
                                 struct error *err)
{
    return trainer->operations->export(trainer, out, err);
}

/* Accepts NULL. */
static inline void trainer_destroy(struct trainer *trainer)
{
    if (trainer != NULL)
        trainer->operations->destroy(trainer);
}

#endif
