/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activities: run_inference and compute_embeddings, from the engine's task to its completion.
 *
 *   taken     on the worker's loop: a gpu_task is made and put on the pool
 *   read      on a pool thread: JSON, checkpoint of the dispatch before, tokens
 *   computed  on the batcher's thread, text by text, together with other tasks
 *   answered  on a pool thread: result, failure, cancellation or release
 *
 * Heartbeats are sent by the compute thread after its turns, for every task from reading to answer,
 * with the newest checkpoint of those that advanced: a compute thread that hangs sends none. A task
 * that is no longer wanted leaves the queue before the next batch; when the worker drains it goes
 * back to the engine with its newest checkpoint, else it is closed as canceled.
 *
 * Wrong input fails without a retry (type "InvalidInput"); a device that fails ends the process
 * through on_device_failed, and the engine counts every task it held as lost.
 *
 * Threading: create and destroy on one thread; the rest is inside.
 */
#ifndef ARGOSY_WORKER_GPU_ACTIVITIES_H
#define ARGOSY_WORKER_GPU_ACTIVITIES_H

#include <argosy/registry.h>
#include <stdint.h>

#include "common/error.h"
#include "worker_gpu/batch_queue.h"
#include "worker_gpu/encoder.h"
#include "worker_gpu/zero_shot.h"

#define ACTIVITY_RUN_INFERENCE      "run_inference"
#define ACTIVITY_COMPUTE_EMBEDDINGS "compute_embeddings"

struct gpu_activities_options {
    const struct model *model;         /* borrowed */
    const char *model_name;            /* borrowed; written into checkpoints */
    struct encoder *encoder;           /* borrowed; the compute thread's from now on */
    const struct zero_shot *zero_shot; /* borrowed; NULL when the model has classes of its own */
    struct batch_queue_options batch;
    uint32_t pool_threads;
    void *arg; /* for the two below, which run on the compute thread */
    void (*on_turn)(void *arg);
    void (*on_device_failed)(void *arg, const struct error *err); /* must not return */
};

struct gpu_activities;

/* Starts the threads. ERR_INVALID, ERR_MEMORY. */
int gpu_activities_create(const struct gpu_activities_options *options,
                          struct gpu_activities **ret_activities, struct error *err);

/* Registers both types; activities must outlive what is run from the registry. */
int gpu_activities_register(struct gpu_activities *activities, struct argosy_registry *registry,
                            struct error *err);

/* Ends the threads. Every task must have been answered. Accepts NULL. */
void gpu_activities_destroy(struct gpu_activities *activities);

#endif
