/* SPDX-License-Identifier: Apache-2.0 */
/* store_file: see store_file.h. */
#include "engine/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/sqlite_file.h"

/* "Argo": tells file(1), and us, whose file this is. */
#define APPLICATION_ID 0x4172676f

/* migrations[n] takes a store from version n to n + 1. Rows of `run` and `log` are appended in key
 * order; a run's last_seq is 0 and its close_utc_us 0 while it is open. */
static const char *const migrations[STORE_SCHEMA_VERSION] = {
    "CREATE TABLE store (id TEXT NOT NULL) STRICT;"
    "CREATE TABLE run ("
    "  run_key INTEGER PRIMARY KEY,"
    "  namespace TEXT NOT NULL,"
    "  workflow_id TEXT NOT NULL,"
    "  run_id TEXT NOT NULL,"
    "  workflow_type TEXT NOT NULL,"
    "  task_queue TEXT NOT NULL,"
    "  start_utc_us INTEGER NOT NULL,"
    "  close_utc_us INTEGER NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  history_length INTEGER NOT NULL,"
    "  last_seq INTEGER NOT NULL) STRICT;"
    "CREATE TABLE log ("
    "  seq INTEGER PRIMARY KEY,"
    "  run_key INTEGER NOT NULL,"
    "  prev_seq INTEGER NOT NULL,"
    "  records BLOB NOT NULL) STRICT;",
    "CREATE TABLE setting ("
    "  name TEXT PRIMARY KEY,"
    "  value BLOB NOT NULL) STRICT, WITHOUT ROWID;",
};

int store_file_lock(const char *path, int *ret_fd, struct error *err)
{
    char *lock_path;
    if (asprintf(&lock_path, "%s.lock", path) < 0)
        return error_set(err, ERR_MEMORY, "no memory for a path");
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_set_errno(err, ERR_STORAGE, errno, "could not open %s", lock_path);
        goto fail;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char owner[16] = "";
        ssize_t size = pread(fd, owner, sizeof owner - 1, 0);
        owner[size > 0 ? strcspn(owner, "\n") : 0] = '\0';
        error_set(err, ERR_STORAGE, "could not open %s: another engine (process %s) has it open",
                  path, owner[0] != '\0' ? owner : "unknown");
        goto fail;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        error_set_errno(err, ERR_STORAGE, errno, "could not write %s", lock_path);
        goto fail;
    }
    free(lock_path);
    *ret_fd = fd;
    return 0;

fail:
    free(lock_path);
    if (fd >= 0)
        close(fd);
    return ERR_STORAGE;
}

/* The store gets its random name. */
static int name_store(sqlite3 *db, struct error *err)
{
    char id[UUID_TEXT_SIZE], insert[96];
    uuid_create(id);
    snprintf(insert, sizeof insert, "INSERT INTO store VALUES ('%s')", id);
    return sqlite_exec(db, insert, err);
}

/* Checkpoints are made by the store's upkeep thread alone. */
static const struct sqlite_file_kind store_kind = {
    .name = "a store of Argosy",
    .application_id = APPLICATION_ID,
    .migrations = migrations,
    .version = STORE_SCHEMA_VERSION,
    .settings = "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -4096",
    .on_create = name_store,
};

int store_file_open(const char *path, sqlite3 **ret_db, struct error *err)
{
    return sqlite_file_open(&store_kind, path, ret_db, err);
}

int store_file_connect(const char *path, sqlite3 **ret_db, struct error *err)
{
    return sqlite_file_connect(&store_kind, path, ret_db, err);
}

int store_file_id(sqlite3 *db, char ret_id[UUID_TEXT_SIZE], struct error *err)
{
    sqlite3_stmt *stmt;
    int code = sqlite_prepare(db, "SELECT id FROM store", &stmt, err);
    if (code != 0)
        return code;
    code = sqlite_step_row(stmt, err, "could not read the store's id");
    if (code == 1)
        snprintf(ret_id, UUID_TEXT_SIZE, "%s", sqlite_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    if (code == 0)
        return error_set(err, ERR_CORRUPT, "the store has no id");
    return code < 0 ? code : 0;
}
