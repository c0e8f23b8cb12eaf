/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_file: a SQLite file of ours that outlives the process: whose it is, which schema it has,
 * and how it gets the newest one. All of them are written ahead (WAL) and flushed at each commit.
 *
 * Threading: none of its own; a connection belongs to one thread at a time.
 */
#ifndef ARGOSY_COMMON_SQLITE_FILE_H
#define ARGOSY_COMMON_SQLITE_FILE_H

#include "common/sqlite.h"

struct sqlite_file_kind {
    const char *name; /* in errors: "a vector store of Argosy" */
    int32_t application_id;
    const char *const *migrations; /* migrations[n] takes a file from version n to n + 1 */
    int version;                   /* the newest; as many migrations */
    const char *settings;          /* PRAGMAs of each connection beside `synchronous = FULL` */
    /* Fills a new file, in the transaction that makes it; NULL: it begins empty. */
    int (*on_create)(sqlite3 *db, struct error *err);
};

/* Opens the file for writing: creates it where there is none (its name survives a power cut), takes
 * it to the newest version in one transaction. The caller owns *ret_db: sqlite_close. ERR_STORAGE:
 * it is something else, or its file system cannot hold a write-ahead log. ERR_UNSUPPORTED: a newer
 * Argosy wrote it. ERR_CORRUPT. */
int sqlite_file_open(const struct sqlite_file_kind *kind, const char *path, sqlite3 **ret_db,
                     struct error *err);

/* One more connection to a file that is open. */
int sqlite_file_connect(const struct sqlite_file_kind *kind, const char *path, sqlite3 **ret_db,
                        struct error *err);

#endif
