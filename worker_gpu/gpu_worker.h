/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_worker: all that a GPU worker process computes with: device, model, encoder, labels, and the
 * activities over them; warmed up, so that the first task is as fast as the next.
 *
 * Threading: open and close on one thread.
 */
#ifndef ARGOSY_WORKER_GPU_GPU_WORKER_H
#define ARGOSY_WORKER_GPU_GPU_WORKER_H

#include <argosy/registry.h>

#include "common/error.h"
#include "common/fleet_config.h"
#include "kernels/device.h"
#include "storage/storage_client.h"

struct gpu_worker;

/* What the process does on the compute thread's behalf. */
struct gpu_worker_hooks {
    void *arg;
    void (*on_turn)(void *arg);
    void (*on_device_failed)(void *arg, const struct error *err); /* must not return */
};

/* Opens everything that group asks for; config, group and storage are borrowed for its
 * life. *ret_reason
 * says why the CPU computes where `device: auto` found no CUDA device, else its text is "".
 * ERR_NOT_FOUND, ERR_CORRUPT for the model, ERR_UNSUPPORTED for the device or the model,
 * ERR_DEVICE, ERR_MEMORY. */
int gpu_worker_open(const struct fleet_config *config, const struct fleet_group *group,
                    struct storage_client *storage, const struct gpu_worker_hooks *hooks,
                    struct gpu_worker **ret_worker, struct error *ret_reason, struct error *err);

/* Every task must have been answered. Accepts NULL. */
void gpu_worker_close(struct gpu_worker *worker);

/* Registers the activities. */
int gpu_worker_register(struct gpu_worker *worker, struct argosy_registry *registry,
                        struct error *err);

/* Borrowed. */
const struct device_info *gpu_worker_device(const struct gpu_worker *worker);

/* Graphs of the group's own model (encoder_graph_count). */
uint32_t gpu_worker_graphs(const struct gpu_worker *worker);

/* "zero-shot" or "classifier": how run_inference labels. */
const char *gpu_worker_labelling(const struct gpu_worker *worker);

#endif
