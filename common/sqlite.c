/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite: see sqlite.h. */
#include "common/sqlite.h"

#include <string.h>

/* How long a statement waits for a lock that another program holds on the file. */
#define BUSY_TIMEOUT_MS 5000

static int translate(int status)
{
    switch (status & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_NOMEM:
        return ERR_MEMORY;
    default:
        return ERR_STORAGE;
    }
}

int sqlite_fail(sqlite3 *db, int status, struct error *err, const char *what)
{
    int code = translate(status);
    const char *reason = sqlite3_errstr(status);
    if (db != NULL && (sqlite3_errcode(db) & 0xff) == (status & 0xff))
        reason = sqlite3_errmsg(db);
    int system_errno = db != NULL ? sqlite3_system_errno(db) : 0;
    bool has_errno = (status & 0xff) == SQLITE_IOERR || (status & 0xff) == SQLITE_CANTOPEN ||
                     (status & 0xff) == SQLITE_FULL;
    if (has_errno && system_errno != 0)
        return error_set_errno(err, code, system_errno, "%s: %s", what, reason);
    return error_set(err, code, "%s: %s (SQLite code %d)", what, reason, status);
}

int sqlite_open(const char *path, bool create, sqlite3 **ret_db, struct error *err)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    int status = sqlite3_open_v2(path, &db, flags, NULL);
    if (status == SQLITE_OK)
        status = sqlite3_extended_result_codes(db, 1);
    if (status == SQLITE_OK)
        status = sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    if (status != SQLITE_OK) {
        int code = sqlite_fail(db, status, err, path);
        sqlite3_close(db);
        return code;
    }
    *ret_db = db;
    return 0;
}

void sqlite_close(sqlite3 *db)
{
    sqlite3_close(db);
}

int sqlite_exec(sqlite3 *db, const char *sql, struct error *err)
{
    int status = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return status == SQLITE_OK ? 0 : sqlite_fail(db, status, err, sqlite3_db_filename(db, "main"));
}

int sqlite_get_int64(sqlite3 *db, const char *sql, int64_t *ret_value, struct error *err)
{
    sqlite3_stmt *stmt;
    int code = sqlite_prepare(db, sql, &stmt, err);
    if (code != 0)
        return code;
    code = sqlite_step_row(stmt, err, sqlite3_db_filename(db, "main"));
    if (code >= 0)
        *ret_value = code == 1 ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return code < 0 ? code : 0;
}

int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt, struct error *err)
{
    sqlite3_stmt *stmt;
    int status = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (status != SQLITE_OK)
        return sqlite_fail(db, status, err, sqlite3_db_filename(db, "main"));
    *ret_stmt = stmt;
    return 0;
}

int sqlite_step_done(sqlite3_stmt *stmt, struct error *err, const char *what)
{
    int code = sqlite_step_row(stmt, err, what);
    if (code == 1) {
        sqlite3_reset(stmt);
        return error_set(err, ERR_INTERNAL, "%s: an unexpected row", what);
    }
    return code;
}

int sqlite_step_row(sqlite3_stmt *stmt, struct error *err, const char *what)
{
    int status = sqlite3_step(stmt);
    if (status == SQLITE_ROW)
        return 1;
    int code = status == SQLITE_DONE ? 0 : sqlite_fail(sqlite3_db_handle(stmt), status, err, what);
    sqlite3_reset(stmt);
    return code;
}

const char *sqlite_column_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text != NULL ? text : "";
}
