/* SPDX-License-Identifier: Apache-2.0 */
/* store_file: see store_file.h. */
#include "engine/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

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

/* Makes the file's own name survive a power cut. */
static int sync_directory(const char *path, struct error *err)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a path");
    const char *folder = dirname(copy);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = 0;
    if (fd < 0 || fsync(fd) != 0)
        code = error_set_errno(err, ERR_STORAGE, errno, "could not sync folder %s", folder);
    if (fd >= 0)
        close(fd);
    free(copy);
    return code;
}

/* Settings of every connection. Checkpoints are made by the store's upkeep thread alone. */
static int configure(sqlite3 *db, struct error *err)
{
    return sqlite_exec(db,
                       "PRAGMA synchronous = FULL;"
                       "PRAGMA wal_autocheckpoint = 0;"
                       "PRAGMA temp_store = MEMORY;"
                       "PRAGMA cache_size = -4096;",
                       err);
}

static int check_version(sqlite3 *db, const char *path, int64_t *ret_version, struct error *err)
{
    int64_t application_id = 0, version = 0, tables = 0;
    int code = sqlite_get_int64(db, "PRAGMA application_id", &application_id, err);
    if (code == 0)
        code = sqlite_get_int64(db, "PRAGMA user_version", &version, err);
    if (code == 0)
        code = sqlite_get_int64(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (code != 0)
        return code;
    bool is_new = application_id == 0 && version == 0 && tables == 0;
    if (!is_new && application_id != APPLICATION_ID)
        return error_set(err, ERR_STORAGE, "%s: not a store of Argosy", path);
    if (version > STORE_SCHEMA_VERSION)
        return error_set(err, ERR_UNSUPPORTED,
                         "%s: written by a newer Argosy (schema %lld, this one knows %d)", path,
                         (long long)version, STORE_SCHEMA_VERSION);
    *ret_version = version;
    return 0;
}

/* A file system without shared memory maps refuses the write-ahead log without an error: SQLite
 * then answers with the journal mode that it kept. */
static int set_write_ahead_log(sqlite3 *db, const char *path, struct error *err)
{
    static const char sql[] = "PRAGMA journal_mode = WAL";
    sqlite3_stmt *stmt;
    int code = sqlite_prepare(db, sql, &stmt, err);
    if (code != 0)
        return code;
    code = sqlite_step_row(stmt, err, sql);
    const char *mode = code == 1 ? sqlite_column_text(stmt, 0) : "none";
    if (code >= 0)
        code = strcmp(mode, "wal") == 0 ? 0
                                        : error_set(err, ERR_STORAGE,
                                                    "%s: its file system cannot hold a "
                                                    "write-ahead log (journal mode \"%s\")",
                                                    path, mode);
    sqlite3_finalize(stmt);
    return code;
}

/* All missing migrations in one transaction. */
static int migrate(sqlite3 *db, int64_t version, struct error *err)
{
    if (version == STORE_SCHEMA_VERSION)
        return 0;
    int code = sqlite_exec(db, "BEGIN IMMEDIATE", err);
    if (code == 0 && version == 0) {
        char id[UUID_TEXT_SIZE], settings[64];
        uuid_create(id);
        snprintf(settings, sizeof settings, "PRAGMA application_id = %d", APPLICATION_ID);
        code = sqlite_exec(db, settings, err);
        if (code == 0)
            code = sqlite_exec(db, migrations[version++], err);
        char insert[96];
        snprintf(insert, sizeof insert, "INSERT INTO store VALUES ('%s')", id);
        if (code == 0)
            code = sqlite_exec(db, insert, err);
    }
    while (code == 0 && version < STORE_SCHEMA_VERSION)
        code = sqlite_exec(db, migrations[version++], err);
    char set_version[64];
    snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", STORE_SCHEMA_VERSION);
    if (code == 0)
        code = sqlite_exec(db, set_version, err);
    if (code == 0)
        code = sqlite_exec(db, "COMMIT", err);
    return code;
}

int store_file_open(const char *path, sqlite3 **ret_db, struct error *err)
{
    sqlite3 *db = NULL;
    int64_t version = 0;
    int code = sqlite_open(path, true, &db, err);
    /* The page size can only be set before the first page is written. */
    if (code == 0)
        code = sqlite_exec(db, "PRAGMA page_size = 8192", err);
    if (code == 0)
        code = check_version(db, path, &version, err);
    if (code == 0)
        code = set_write_ahead_log(db, path, err);
    if (code == 0)
        code = configure(db, err);
    if (code == 0)
        code = migrate(db, version, err);
    /* Each time: the one that made the file may have been killed before it came here. */
    if (code == 0)
        code = sync_directory(path, err);
    if (code != 0) {
        sqlite_close(db);
        return code;
    }
    *ret_db = db;
    return 0;
}

int store_file_connect(const char *path, sqlite3 **ret_db, struct error *err)
{
    sqlite3 *db = NULL;
    int code = sqlite_open(path, false, &db, err);
    if (code == 0)
        code = configure(db, err);
    if (code != 0) {
        sqlite_close(db);
        return code;
    }
    *ret_db = db;
    return 0;
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
