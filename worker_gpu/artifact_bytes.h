/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_bytes: an artifact's content in memory, for those that are small. Threading: any thread.
 */
#ifndef ARGOSY_WORKER_GPU_ARTIFACT_BYTES_H
#define ARGOSY_WORKER_GPU_ARTIFACT_BYTES_H

#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "storage/artifact.h"

/* Appends it. ERR_CORRUPT above size_max, ERR_IO, ERR_MEMORY, errors of artifact_open. */
int artifact_bytes_read(struct storage_client *storage, const struct artifact *artifact,
                        uint64_t size_max, struct buffer *out, struct error *err);

#endif
