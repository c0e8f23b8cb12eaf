/* SPDX-License-Identifier: Apache-2.0 */
/* vector_file: see vector_file.h. */
#include "storage/vector_file.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* "ArgV": whose file this is. */
#define APPLICATION_ID 0x41726756
#define SCHEMA_VERSION 1

/* Chunk keys are upload key << 32 | ordinal (vector_store_ops.h). Texts lie apart from vectors: a
 * scan of the file reads none of them. An upload that is committed keeps its row: its name is
 * remembered. AUTOINCREMENT: keys of what is gone are not used again. */
static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE collection ("
    "  collection_key INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  model TEXT NOT NULL,"
    "  dimension INTEGER NOT NULL,"
    "  document_count INTEGER NOT NULL,"
    "  chunk_count INTEGER NOT NULL) STRICT;"
    "CREATE TABLE document ("
    "  collection_key INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  upload_key INTEGER NOT NULL UNIQUE,"
    "  chunk_count INTEGER NOT NULL,"
    "  metadata TEXT,"
    "  PRIMARY KEY (collection_key, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE upload ("
    "  upload_key INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  collection TEXT NOT NULL,"
    "  document TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  model TEXT NOT NULL,"
    "  dimension INTEGER NOT NULL,"
    "  is_committed INTEGER NOT NULL,"
    "  used_utc_us INTEGER NOT NULL,"
    "  UNIQUE (collection, document, name)) STRICT;"
    "CREATE TABLE chunk ("
    "  chunk_key INTEGER PRIMARY KEY,"
    "  upload_key INTEGER NOT NULL,"
    "  hash BLOB NOT NULL,"
    "  metadata TEXT) STRICT;"
    "CREATE INDEX chunk_hash ON chunk (upload_key, hash);"
    "CREATE TABLE vector (chunk_key INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;"
    "CREATE TABLE text (chunk_key INTEGER PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    "CREATE TABLE garbage (upload_key INTEGER PRIMARY KEY) STRICT;",
};

/* Pages and their cache: five vectors of 384 values to a page; a scan needs no large cache. */
static const char settings[] = "PRAGMA synchronous = FULL;"
                               "PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA cache_size = -8192;";

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
        return error_set(err, ERR_STORAGE, "%s: not a vector store of Argosy", path);
    if (version > SCHEMA_VERSION)
        return error_set(err, ERR_UNSUPPORTED,
                         "%s: written by a newer Argosy (schema %lld, this one knows %d)", path,
                         (long long)version, SCHEMA_VERSION);
    *ret_version = version;
    return 0;
}

/* A file system without shared memory maps answers with the journal mode that it kept. */
static int set_write_ahead_log(sqlite3 *db, const char *path, struct error *err)
{
    static const char sql[] = "PRAGMA journal_mode = WAL";
    sqlite3_stmt *stmt;
    int code = sqlite_prepare(db, sql, &stmt, err);
    if (code != 0)
        return code;
    code = sqlite_step_row(stmt, err, sql);
    if (code >= 0 && (code == 0 || strcmp(sqlite_column_text(stmt, 0), "wal") != 0))
        code =
            error_set(err, ERR_STORAGE, "%s: its file system cannot hold a write-ahead log", path);
    sqlite3_finalize(stmt);
    return code < 0 ? code : 0;
}

static int migrate(sqlite3 *db, int64_t version, struct error *err)
{
    if (version == SCHEMA_VERSION)
        return 0;
    char finish[96];
    snprintf(finish, sizeof finish, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             APPLICATION_ID, SCHEMA_VERSION);
    int code = sqlite_exec(db, "BEGIN IMMEDIATE", err);
    while (code == 0 && version < SCHEMA_VERSION)
        code = sqlite_exec(db, migrations[version++], err);
    return code == 0 ? sqlite_exec(db, finish, err) : code;
}

int vector_file_open(const char *path, sqlite3 **ret_db, struct error *err)
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
        code = sqlite_exec(db, settings, err);
    if (code == 0)
        code = migrate(db, version, err);
    if (code != 0) {
        sqlite_close(db);
        return code;
    }
    *ret_db = db;
    return 0;
}

int vector_file_connect(const char *path, sqlite3 **ret_db, struct error *err)
{
    sqlite3 *db = NULL;
    int code = sqlite_open(path, false, &db, err);
    if (code == 0)
        code = sqlite_exec(db, settings, err);
    if (code != 0) {
        sqlite_close(db);
        return code;
    }
    *ret_db = db;
    return 0;
}
