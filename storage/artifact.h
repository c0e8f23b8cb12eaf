/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact: files that workflows make and pass on by name of their content
 * (docs/spec/06-storage.md, section "Artifacts").
 *
 * An artifact is immutable and is named by its SHA-256. It is put once, wherever it was made, and
 * fetched by any node: through a cache in <data_dir>/cache/artifacts, verified when it arrives and
 * again when it is read from there for the first time. Payloads carry references, never contents:
 *
 *     {"artifact": "sha256:9f86d081...", "size": 1048576}
 *
 * Who keeps it: every put and every artifact_keep names an owner. An artifact stays while one of
 * its owners is there, and storage.artifact_keep_hours longer; then `argosy artifact gc`, or the
 * storage process by itself, collects it. Owners:
 *     "workflow:ID"        while the workflow ID has an open run
 *     "model:NAME@VERSION" while the model is registered
 *     "pin:NAME"           until artifact_release
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_H
#define ARGOSY_STORAGE_ARTIFACT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "storage/storage_client.h"

#define ARTIFACT_ID_SIZE   72 /* "sha256:", 64 hexadecimal digits, NUL */
#define ARTIFACT_OWNER_MAX 512

struct artifact {
    char id[ARTIFACT_ID_SIZE];
    uint64_t size; /* bytes */
};

/* Told of every chunk that has moved; may be NULL. */
typedef void artifact_progress_fn(void *context, uint64_t done, uint64_t total);

/* Puts the file at path for owner. What storage has already is not sent again. When it returns, the
 * artifact is on the storage process's disk (written, flushed, renamed, its folder flushed).
 * ERR_NOT_FOUND or ERR_IO for the file, ERR_LIMIT where the volume is full (try again later),
 * ERR_INVALID for a malformed owner. */
int artifact_put_file(struct storage_client *client, const char *path, const char *owner,
                      artifact_progress_fn *progress, void *context, struct artifact *ret_artifact,
                      struct error *err);

/* The same from memory. */
int artifact_put_bytes(struct storage_client *client, const void *data, size_t size,
                       const char *owner, struct artifact *ret_artifact, struct error *err);

/* A local file with the artifact's content: from the cache, else fetched, verified and put there.
 * The file is open for reading at *ret_fd, so that the cache may drop its name; the caller closes
 * it. ERR_NOT_FOUND: storage has none of that id; ERR_CORRUPT: what storage sent is not what the id
 * names; ERR_INVALID: a malformed id. */
int artifact_open(struct storage_client *client, const char *id, artifact_progress_fn *progress,
                  void *context, int *ret_fd, uint64_t *ret_size, struct error *err);

/* Writes the artifact's content to path (a temporary file, flushed, renamed). Errors as
 * artifact_open, and of the target. */
int artifact_get_file(struct storage_client *client, const char *id, const char *path,
                      artifact_progress_fn *progress, void *context, struct error *err);

/* Adds an owner to an artifact that is there: ERR_NOT_FOUND. Takes one away: 0 also where there was
 * none. */
int artifact_keep(struct storage_client *client, const char *id, const char *owner,
                  struct error *err);
int artifact_release(struct storage_client *client, const char *id, const char *owner,
                     struct error *err);

/* 0 for "sha256:" and 64 lower-case hexadecimal digits, else ERR_INVALID. */
int artifact_id_check(const char *id, struct error *err);

#endif
