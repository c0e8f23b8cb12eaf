/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_file: the SQLite file of the vector store: opening, schema, settings.
 *
 *     collection ◄── document ──► upload ◄── chunk, vector, text (by chunk key)
 *
 * An upload's chunks are written where they will stay; a commit only points the document at another
 * upload and leaves the one before in `garbage`, to be swept away in small steps. What no document
 * points at is seen by no search.
 *
 * Threading: none of its own; a connection belongs to one thread at a time.
 */
#ifndef ARGOSY_STORAGE_VECTOR_FILE_H
#define ARGOSY_STORAGE_VECTOR_FILE_H

#include "common/sqlite.h"

#define VECTOR_FILE_NAME "vectors.db"

/* Opens the file, makes or migrates its schema. ERR_STORAGE, ERR_CORRUPT, ERR_UNSUPPORTED for a
 * file of a newer version. */
int vector_file_open(const char *path, sqlite3 **ret_db, struct error *err);

/* One more connection, for reading. */
int vector_file_connect(const char *path, sqlite3 **ret_db, struct error *err);

#endif
