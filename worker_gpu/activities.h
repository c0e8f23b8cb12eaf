/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activities: run_inference and compute_embeddings, from the engine's task to its completion, and
 * what they share with embed_artifact and classify_artifact.
 *
 *   taken     on the worker's loop: a gpu_task is made and put on the pool
 *   read      on a pool thread: JSON, model, checkpoint of the dispatch before, tokens; on a
 *             loader's thread where its model must be waited for
 *   computed  on the batcher's thread, text by text, together with other tasks
 *   answered  on a pool thread: result, failure, cancellation or release
 *
 * Tasks of priority 1 overtake all others on the way (batch_queue.h, thread_pool.h). A task that is
 * no longer wanted leaves the queue before the next batch; when the worker drains it goes back to
 * the engine with its newest checkpoint (heartbeats.h), else it is closed as canceled.
 *
 * embed_artifact and classify_artifact go another way: on threads of the SDK, which give their
 * texts to the same batcher. Failures are those of failure.h. A device that fails ends the process
 * through on_device_failed, and the engine counts every task it held as lost.
 *
 * Threading: create and destroy on one thread; the rest is inside.
 */
#ifndef ARGOSY_WORKER_GPU_ACTIVITIES_H
#define ARGOSY_WORKER_GPU_ACTIVITIES_H

#include <argosy/registry.h>
#include <stdint.h>

#include "common/error.h"
#include "storage/storage_client.h"
#include "worker_gpu/batch_queue.h"
#include "worker_gpu/served_models.h"

#define ACTIVITY_RUN_INFERENCE      "run_inference"
#define ACTIVITY_COMPUTE_EMBEDDINGS "compute_embeddings"

struct gpu_activities_options {
    struct served_models *models; /* borrowed, as are the next two */
    struct storage_client *storage;
    const char *scratch_dir;
    struct batch_queue_options batch;
    uint32_t pool_threads;
    void *arg; /* for the two below; the first runs on the compute thread, the other on any */
    void (*on_turn)(void *arg);
    void (*on_device_failed)(void *arg, const struct error *err); /* must not return */
};

struct gpu_activities;

/* Starts the threads. ERR_INVALID, ERR_MEMORY. */
int gpu_activities_create(const struct gpu_activities_options *options,
                          struct gpu_activities **ret_activities, struct error *err);

/* Registers all types; activities must outlive what is run from the registry. */
int gpu_activities_register(struct gpu_activities *activities, struct argosy_registry *registry,
                            struct error *err);

/* Ends the threads. Every task must have been answered. Accepts NULL. */
void gpu_activities_destroy(struct gpu_activities *activities);

#endif
