/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_file: see sqlite_file.h. */
#include "common/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Settings of every connection. */
static int configure(const struct sqlite_file_kind *kind, sqlite3 *db, struct error *err)
{
    int code = sqlite_exec(db, "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY", err);
    return code == 0 ? sqlite_exec(db, kind->settings, err) : code;
}

static int check_version(const struct sqlite_file_kind *kind, sqlite3 *db, const char *path,
                         int64_t *ret_version, struct error *err)
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
    if (!is_new && (application_id != kind->application_id || version < 1))
        return error_set(err, ERR_STORAGE, "%s: not %s", path, kind->name);
    if (version > kind->version)
        return error_set(err, ERR_UNSUPPORTED,
                         "%s: written by a newer Argosy (schema %lld, this one knows %d)", path,
                         (long long)version, kind->version);
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
static int migrate(const struct sqlite_file_kind *kind, sqlite3 *db, int64_t version,
                   struct error *err)
{
    if (version == kind->version)
        return 0;
    bool is_new = version == 0;
    char finish[96];
    snprintf(finish, sizeof finish, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             (int)kind->application_id, kind->version);
    int code = sqlite_exec(db, "BEGIN IMMEDIATE", err);
    while (code == 0 && version < kind->version)
        code = sqlite_exec(db, kind->migrations[version++], err);
    if (code == 0 && is_new && kind->on_create != NULL)
        code = kind->on_create(db, err);
    return code == 0 ? sqlite_exec(db, finish, err) : code;
}

int sqlite_file_open(const struct sqlite_file_kind *kind, const char *path, sqlite3 **ret_db,
                     struct error *err)
{
    sqlite3 *db = NULL;
    int64_t version = 0;
    int code = sqlite_open(path, true, &db, err);
    /* The page size can only be set before the first page is written. */
    if (code == 0)
        code = sqlite_exec(db, "PRAGMA page_size = 8192", err);
    if (code == 0)
        code = check_version(kind, db, path, &version, err);
    if (code == 0)
        code = set_write_ahead_log(db, path, err);
    if (code == 0)
        code = configure(kind, db, err);
    if (code == 0)
        code = migrate(kind, db, version, err);
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

int sqlite_file_connect(const struct sqlite_file_kind *kind, const char *path, sqlite3 **ret_db,
                        struct error *err)
{
    sqlite3 *db = NULL;
    int code = sqlite_open(path, false, &db, err);
    if (code == 0)
        code = configure(kind, db, err);
    if (code != 0) {
        sqlite_close(db);
        return code;
    }
    *ret_db = db;
    return 0;
}
