/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_file: an unnamed file of vectors in the making, and its way into and out of storage. It is
 * gone with its process.
 *
 * Threading: one thread at a time per file.
 */
#ifndef ARGOSY_WORKER_GPU_VECTOR_FILE_H
#define ARGOSY_WORKER_GPU_VECTOR_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "storage/artifact.h"

struct vector_file {
    int fd; /* -1: none */
    uint64_t size;
};

/* Makes an empty one in a folder, which is created if need be. ERR_IO. */
int vector_file_open(struct vector_file *file, const char *folder, struct error *err);

/* Accepts a file that was never opened, whose fd is -1. */
void vector_file_close(struct vector_file *file);

/* Appends bytes. ERR_LIMIT when the volume is full, ERR_IO. */
int vector_file_append(struct vector_file *file, const void *data, size_t size, struct error *err);

/* Appends an artifact's content. Errors of artifact_open; ERR_CORRUPT when it has another size. */
int vector_file_append_artifact(struct vector_file *file, struct storage_client *storage,
                                const struct artifact *artifact, struct error *err);

/* Puts what stands from begin on; all of it. Errors of artifact_put_bytes and artifact_put_file. */
int vector_file_put_from(const struct vector_file *file, uint64_t begin,
                         struct storage_client *storage, const char *owner,
                         struct artifact *ret_artifact, struct error *err);
int vector_file_put(const struct vector_file *file, struct storage_client *storage,
                    const char *owner, struct artifact *ret_artifact, struct error *err);

/* Forgets all content. ERR_IO. */
int vector_file_clear(struct vector_file *file, struct error *err);

#endif
