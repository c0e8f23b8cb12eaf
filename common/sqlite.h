/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite: the one adapter between SQLite and the project: opening, errors, statements.
 *
 * Threading: a connection (and its statements) belongs to one thread at a time; connections are
 * opened without SQLite's own mutexes.
 */
#ifndef ARGOSY_COMMON_SQLITE_H
#define ARGOSY_COMMON_SQLITE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* Sets err to what db failed with: ERR_CORRUPT when the file's content is damaged, ERR_MEMORY, else
 * ERR_STORAGE; the text is "what: reason" with SQLite's and the system's reason. db may be NULL. */
int sqlite_fail(sqlite3 *db, int status, struct error *err, const char *what);

/* Opens a connection to the file at path; it is created only with create. Waits up to 5 s for a
 * lock that another program holds (a user's sqlite3 session). The caller owns *ret_db. */
int sqlite_open(const char *path, bool create, sqlite3 **ret_db, struct error *err);

/* Accepts NULL; statements must be finalized before. */
void sqlite_close(sqlite3 *db);

/* Runs one or more statements whose rows nobody reads. */
int sqlite_exec(sqlite3 *db, const char *sql, struct error *err);

/* The first column of the first row as an integer; 0 when there is no row or it is NULL. */
int sqlite_get_int64(sqlite3 *db, const char *sql, int64_t *ret_value, struct error *err);

/* A statement that is used many times. The caller owns it: sqlite3_finalize. */
int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt, struct error *err);

/* Steps a bound statement that returns no rows and resets it. */
int sqlite_step_done(sqlite3_stmt *stmt, struct error *err, const char *what);

/* Steps to the next row: 1 with a row, 0 at the end (the statement is then reset), or an error (it
 * is reset too). A caller that stops earlier resets the statement itself: an open read keeps the
 * write-ahead log from being reused. */
int sqlite_step_row(sqlite3_stmt *stmt, struct error *err, const char *what);

/* A text column, never NULL; valid until the next step or reset. */
const char *sqlite_column_text(sqlite3_stmt *stmt, int column);

#endif
