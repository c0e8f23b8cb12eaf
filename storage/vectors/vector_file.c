/* SPDX-License-Identifier: Apache-2.0 */
/* vector_file: see vector_file.h. */
#include "storage/vectors/vector_file.h"

#include "common/sqlite_file.h"

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

/* Five vectors of 384 values lie in a page; a scan needs no large cache. */
static const struct sqlite_file_kind vector_kind = {
    .name = "a vector store of Argosy",
    .application_id = APPLICATION_ID,
    .migrations = migrations,
    .version = SCHEMA_VERSION,
    .settings = "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192",
};

int vector_file_open(const char *path, sqlite3 **ret_db, struct error *err)
{
    return sqlite_file_open(&vector_kind, path, ret_db, err);
}

int vector_file_connect(const char *path, sqlite3 **ret_db, struct error *err)
{
    return sqlite_file_connect(&vector_kind, path, ret_db, err);
}
