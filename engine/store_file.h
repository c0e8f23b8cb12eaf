/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_file: the store's SQLite file: its lock, its settings, its schema and its migrations
 * (engine/README.md shows the schema to those who open the file with sqlite3).
 *
 * PATH       the store: tables `run` (one row per run), `log` (one row per transition), `setting`
 * PATH.index derived from it: ids to run keys, the last log row of open runs; safe to delete
 * PATH.lock  held by the engine that has the store open
 */
#ifndef ARGOSY_ENGINE_STORE_FILE_H
#define ARGOSY_ENGINE_STORE_FILE_H

#include "common/error.h"
#include "common/uuid.h"
#include "common/sqlite.h"

#define STORE_SCHEMA_VERSION 2

/* Takes the lock of the store at path: a descriptor that holds it until it is closed.
 * ERR_STORAGE when another process has it, with its process id. */
int store_file_lock(const char *path, int *ret_fd, struct error *err);

/* Opens the file for writing: creates it (and makes its directory entry durable), migrates it
 * forward. ERR_UNSUPPORTED when a newer Argosy wrote it, ERR_STORAGE when it is no store. */
int store_file_open(const char *path, sqlite3 **ret_db, struct error *err);

/* One more connection to the opened file. */
int store_file_connect(const char *path, sqlite3 **ret_db, struct error *err);

/* The store's random name, by which its index knows it. */
int store_file_id(sqlite3 *db, char ret_id[UUID_TEXT_SIZE], struct error *err);

#endif
