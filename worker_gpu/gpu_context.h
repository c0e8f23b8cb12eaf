/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_context: what the activities of one GPU worker work with. Long activities run on threads of
 * the SDK and compute through batch_call.h, so that short tasks share their batches.
 *
 * Threading: never changed while activities run; each part says its own rule.
 */
#ifndef ARGOSY_WORKER_GPU_GPU_CONTEXT_H
#define ARGOSY_WORKER_GPU_GPU_CONTEXT_H

#include <stdint.h>

#include "storage/storage_client.h"
#include "worker_gpu/batcher.h"
#include "worker_gpu/heartbeats.h"
#include "worker_gpu/served_models.h"

struct gpu_context {
    struct served_models *models;
    struct batcher *batcher;
    struct heartbeats *heartbeats;
    struct storage_client *storage;
    const char *scratch_dir;                                      /* for unnamed files */
    uint32_t batch_tokens;                                        /* the largest batch */
    void (*on_device_failed)(void *arg, const struct error *err); /* does not return */
    void *arg;
};

#endif
