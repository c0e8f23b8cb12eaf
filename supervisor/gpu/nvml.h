/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvml: NVIDIA's management library, opened at run time; the one place that knows its functions,
 * structures and codes. What it needs of its interface is declared here by us: no header of
 * NVIDIA's is needed to build.
 *
 * A function that an older driver lacks, or that a GPU does not support, is a figure that is not
 * known; only what finding GPUs takes is required. Calls may block for as long as the driver does:
 * whoever calls is watched from outside.
 *
 * Threading: one thread, in a process of its own (the library starts threads and keeps devices
 * open).
 */
#ifndef ARGOSY_SUPERVISOR_NVML_H
#define ARGOSY_SUPERVISOR_NVML_H

#include <stddef.h>

#include "common/error.h"
#include "supervisor/gpu/gpu_record.h"

struct nvml;

/* Opens library (a path, or a name for the system's search) and finds the GPUs and their slices.
 * ERR_NOT_FOUND: there is no such library, or no driver: nothing is to be watched here.
 * ERR_UNAVAILABLE: it does not work now. ERR_INVALID: the library lacks what is required. */
int nvml_open(const char *library, struct nvml **ret_nvml, struct error *err);

/* Accepts NULL. */
void nvml_close(struct nvml *nvml);

/* GPUs and slices that figures are read of; a GPU that is cut counts beside its slices. */
size_t nvml_unit_count(const struct nvml *nvml);

/* What each unit is. */
const struct gpu_identity *nvml_unit(const struct nvml *nvml, size_t unit);

/* Makes *ret_record the figures of a unit, or an event when its GPU is lost or needs a reset. */
void nvml_read(const struct nvml *nvml, size_t unit, struct gpu_record *ret_record);

/* Whether a GPU reports events at all; where none does, nvml_wait must not be called. */
bool nvml_has_events(const struct nvml *nvml);

/* Waits for at most timeout_ms. 1 with an event; 0 without, or when a GPU is lost or needs a
 * reset, which its next figures tell, and then perhaps at once; ERR_UNAVAILABLE when events cannot
 * be waited for any more. */
int nvml_wait(struct nvml *nvml, unsigned timeout_ms, struct gpu_record *ret_record,
              struct error *err);

/* The names of the functions that the library lacks, for the log; "" when none. */
const char *nvml_lacks(const struct nvml *nvml);

#endif
