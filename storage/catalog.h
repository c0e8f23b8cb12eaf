/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog: what the storage process knows of its artifacts and models, in one SQLite file of the
 * volume, storage.db (docs/spec/06-storage.md, section "Catalog"). This part opens it and guards
 * it; artifact_catalog.h and model_catalog.h are what is in it.
 *
 * Every function of theirs is one transaction, durable when it returns.
 *
 * Threading: any thread; one mutex around the one connection.
 */
#ifndef ARGOSY_STORAGE_CATALOG_H
#define ARGOSY_STORAGE_CATALOG_H

#include <pthread.h>

#include "common/error.h"
#include "common/sqlite.h"

struct catalog;

/* Opens or makes the file; errors as sqlite_file_open's. The caller owns *ret_catalog. */
int catalog_open(const char *path, struct catalog **ret_catalog, struct error *err);

/* NULL is fine. */
void catalog_close(struct catalog *catalog);

/* ---- for artifact_catalog.c and model_catalog.c ---- */

/* Statements that are made once; catalog.c has their text. */
enum catalog_statement {
    CATALOG_ARTIFACT_ADD,
    CATALOG_ARTIFACT_GET,
    CATALOG_ARTIFACT_LIST,
    CATALOG_ARTIFACT_TOUCH,
    CATALOG_ARTIFACT_SET_UNOWNED,
    CATALOG_ARTIFACT_REMOVE,
    CATALOG_OWNER_ADD,
    CATALOG_OWNER_COUNT,
    CATALOG_OWNER_LIST,
    CATALOG_OWNER_REMOVE,
    CATALOG_OWNER_REMOVE_ALL,
    CATALOG_MODEL_ADD,
    CATALOG_MODEL_BY_REGISTRATION,
    CATALOG_MODEL_LAST_VERSION,
    CATALOG_MODEL_GET,
    CATALOG_MODEL_LIST,
    CATALOG_MODEL_NAMES,
    CATALOG_MODEL_WAS_GIVEN,
    CATALOG_MODEL_REMOVE,
    CATALOG_FILE_ADD,
    CATALOG_FILE_LIST,
    CATALOG_FILE_REMOVE_ALL,
    CATALOG_STATEMENT_COUNT,
};

/* Takes the mutex and begins a transaction that may write. */
int catalog_begin(struct catalog *catalog, struct error *err);

/* Commits where code is 0, else rolls back; gives the mutex back. Returns code, or the commit's. */
int catalog_end(struct catalog *catalog, int code, struct error *err);

/* Between the two: a statement, reset and without bindings. */
sqlite3_stmt *catalog_statement(struct catalog *catalog, enum catalog_statement which);

/* Steps a bound statement: as sqlite_step_done and sqlite_step_row, a full disk being ERR_LIMIT. */
int catalog_step_done(sqlite3_stmt *stmt, struct error *err);
int catalog_step_row(sqlite3_stmt *stmt, struct error *err);

#endif
