/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_store: where the contents of artifacts lie: a table of operations, so that an object
 * store can stand in for the volume. Who owns what, and when it may go, is not known here; nor is a
 * content ever changed, renamed or appended to once it is visible: what an S3 bucket can do (parts
 * of an upload, a ranged read, delete, list) is all that is asked for.
 *
 * A content is put part by part and becomes visible whole, once it is complete, is what its digest
 * says and is durable. Parts of what was begun and not completed stay for
 * ARTIFACT_UPLOAD_KEEP_HOURS, so that the upload can go on after a restart.
 *
 * Threading: any thread, several at once; but calls for the same digest come one at a time.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_STORE_H
#define ARGOSY_STORAGE_ARTIFACT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "storage/digest.h"

#define ARTIFACT_UPLOAD_KEEP_HOURS 24

/* 1 TiB: a limit on nonsense, not on use. */
#define ARTIFACT_SIZE_MAX ((uint64_t)1 << 40)

/* A part of a content of size bytes. */
struct artifact_part {
    uint64_t size;
    uint64_t offset;
    const void *data;
    size_t length;
};

struct artifact_progress {
    uint64_t received; /* bytes from the start that are there */
    bool is_stored;    /* the content is complete and durable */
    bool is_new;       /* by this call, which has checked it */
};

/* Called for each content; a negative code ends the scan and is its result. */
typedef int artifact_store_scan_fn(void *context, const struct digest *digest, uint64_t size,
                                   struct error *err);

struct artifact_store;

struct artifact_store_ops {
    /* Takes what is new in a part; one that begins behind what is there changes nothing.
     * ERR_INVALID where the whole is not what digest says: what was received is dropped. ERR_LIMIT
     * where there is no room: likewise. ERR_STORAGE for any other failure. */
    int (*put)(struct artifact_store *store, const struct digest *digest,
               const struct artifact_part *part, struct artifact_progress *ret_progress,
               struct error *err);
    /* Reads up to length bytes from offset; fewer at the end only. ERR_NOT_FOUND, ERR_STORAGE. */
    int (*read)(struct artifact_store *store, const struct digest *digest, uint64_t offset,
                void *data, size_t length, size_t *ret_length, uint64_t *ret_size,
                struct error *err);
    /* 0 also where there is none. ERR_STORAGE. */
    int (*remove)(struct artifact_store *store, const struct digest *digest, struct error *err);
    int (*scan)(struct artifact_store *store, artifact_store_scan_fn *fn, void *context,
                struct error *err);
    void (*close)(struct artifact_store *store);
};

struct artifact_store {
    const struct artifact_store_ops *ops;
};

/* Contents as files in folder/artifacts, one folder for each first byte, and parts in
 * folder/uploads; folder is there already. Removes parts that are too old. ERR_STORAGE,
 * ERR_MEMORY. The caller owns *ret_store. */
int artifact_store_open_files(const char *folder, struct artifact_store **ret_store,
                              struct error *err);

/* NULL is fine. */
static inline void artifact_store_close(struct artifact_store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

#endif
