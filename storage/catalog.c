/* SPDX-License-Identifier: Apache-2.0 */
/* catalog: see catalog.h. */
#include "storage/catalog.h"

#include <stdlib.h>

#include "common/sqlite_file.h"

/* "ArgS": whose file this is. */
#define APPLICATION_ID 0x41726753
#define SCHEMA_VERSION 1

static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE artifacts("
    "  digest BLOB PRIMARY KEY, size INTEGER NOT NULL, created_utc_us INTEGER NOT NULL,"
    "  unowned_utc_us INTEGER NOT NULL DEFAULT 0, revision INTEGER NOT NULL DEFAULT 0)"
    "  WITHOUT ROWID;"
    "CREATE TABLE owners("
    "  digest BLOB NOT NULL, owner TEXT NOT NULL, PRIMARY KEY(digest, owner)) WITHOUT ROWID;"
    "CREATE TABLE models("
    "  name TEXT NOT NULL, version INTEGER NOT NULL, kind TEXT NOT NULL, base_model TEXT NOT NULL,"
    "  metadata TEXT NOT NULL, registration TEXT NOT NULL, registered_utc_us INTEGER NOT NULL,"
    "  PRIMARY KEY(name, version), UNIQUE(name, registration)) WITHOUT ROWID;"
    /* Versions are not used again: the last one of a name outlives its models. */
    "CREATE TABLE model_versions("
    "  name TEXT PRIMARY KEY, last_version INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE model_files("
    "  name TEXT NOT NULL, version INTEGER NOT NULL, file TEXT NOT NULL, digest BLOB NOT NULL,"
    "  size INTEGER NOT NULL, PRIMARY KEY(name, version, file)) WITHOUT ROWID;",
};

static const struct sqlite_file_kind catalog_kind = {
    .name = "a storage catalog of Argosy",
    .application_id = APPLICATION_ID,
    .migrations = migrations,
    .version = SCHEMA_VERSION,
    .settings = "",
};

static const char *const statements[] = {
    [CATALOG_ARTIFACT_ADD] = "INSERT OR IGNORE INTO artifacts(digest, size, created_utc_us)"
                             " VALUES(?1, ?2, ?3)",
    [CATALOG_ARTIFACT_GET] = "SELECT size FROM artifacts WHERE digest = ?1",
    [CATALOG_ARTIFACT_LIST] =
        "SELECT digest, size, created_utc_us, unowned_utc_us, revision FROM artifacts"
        " WHERE digest > ?1 ORDER BY digest LIMIT ?2",
    [CATALOG_ARTIFACT_TOUCH] =
        "UPDATE artifacts SET revision = revision + 1, unowned_utc_us = 0 WHERE digest = ?1",
    [CATALOG_ARTIFACT_SET_UNOWNED] =
        "UPDATE artifacts SET unowned_utc_us = ?3 WHERE digest = ?1 AND revision = ?2",
    [CATALOG_ARTIFACT_REMOVE] = "DELETE FROM artifacts WHERE digest = ?1 AND revision = ?2",
    [CATALOG_OWNER_ADD] = "INSERT OR IGNORE INTO owners(digest, owner) VALUES(?1, ?2)",
    [CATALOG_OWNER_COUNT] = "SELECT count(*) FROM owners WHERE digest = ?1",
    [CATALOG_OWNER_LIST] = "SELECT owner FROM owners WHERE digest = ?1 ORDER BY owner LIMIT ?2",
    [CATALOG_OWNER_REMOVE] = "DELETE FROM owners WHERE digest = ?1 AND owner = ?2",
    [CATALOG_OWNER_REMOVE_ALL] = "DELETE FROM owners WHERE digest = ?1",
    [CATALOG_MODEL_ADD] = "INSERT INTO models(name, version, kind, base_model, metadata,"
                          " registration, registered_utc_us) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [CATALOG_MODEL_BY_REGISTRATION] =
        "SELECT version FROM models WHERE name = ?1 AND registration = ?2",
    [CATALOG_MODEL_LAST_VERSION] =
        "INSERT INTO model_versions(name, last_version) VALUES(?1, 1)"
        " ON CONFLICT(name) DO UPDATE SET last_version = last_version + 1 RETURNING last_version",
    [CATALOG_MODEL_GET] =
        "SELECT name, version, kind, base_model, metadata, registered_utc_us FROM models"
        " WHERE name = ?1 AND (?2 = 0 OR version = ?2) ORDER BY version DESC LIMIT 1",
    [CATALOG_MODEL_LIST] =
        "SELECT name, version, kind, base_model, metadata, registered_utc_us FROM models"
        " WHERE (name, version) > (?1, ?2) ORDER BY name, version LIMIT ?3",
    [CATALOG_MODEL_NAMES] = "SELECT DISTINCT name FROM models ORDER BY name LIMIT ?1",
    [CATALOG_MODEL_WAS_GIVEN] = "SELECT 1 FROM model_versions"
                                " WHERE name = ?1 AND ?2 BETWEEN 1 AND last_version",
    [CATALOG_MODEL_REMOVE] = "DELETE FROM models WHERE name = ?1 AND version = ?2",
    [CATALOG_FILE_ADD] = "INSERT INTO model_files(name, version, file, digest, size)"
                         " VALUES(?1, ?2, ?3, ?4, ?5)",
    [CATALOG_FILE_LIST] = "SELECT file, digest, size FROM model_files"
                          " WHERE name = ?1 AND version = ?2 ORDER BY file",
    [CATALOG_FILE_REMOVE_ALL] = "DELETE FROM model_files WHERE name = ?1 AND version = ?2",
};
_Static_assert(sizeof statements / sizeof statements[0] == CATALOG_STATEMENT_COUNT,
               "every statement has a text");

struct catalog {
    pthread_mutex_t mutex;
    sqlite3 *db;
    sqlite3_stmt *statements[CATALOG_STATEMENT_COUNT];
};

static int set_up(struct catalog *catalog, const char *path, struct error *err)
{
    int code = sqlite_file_open(&catalog_kind, path, &catalog->db, err);
    for (size_t i = 0; code == 0 && i < CATALOG_STATEMENT_COUNT; i++)
        code = sqlite_prepare(catalog->db, statements[i], &catalog->statements[i], err);
    return code;
}

int catalog_open(const char *path, struct catalog **ret_catalog, struct error *err)
{
    struct catalog *catalog = calloc(1, sizeof *catalog);
    if (catalog == NULL)
        return error_set(err, ERR_MEMORY, "no memory for the catalog");
    pthread_mutex_init(&catalog->mutex, NULL);
    int code = set_up(catalog, path, err);
    if (code != 0) {
        catalog_close(catalog);
        return code;
    }
    *ret_catalog = catalog;
    return 0;
}

void catalog_close(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < CATALOG_STATEMENT_COUNT; i++)
        sqlite3_finalize(catalog->statements[i]);
    sqlite_close(catalog->db);
    pthread_mutex_destroy(&catalog->mutex);
    free(catalog);
}

/* A disk without room is the one failure that goes away by itself. */
static int execute(struct catalog *catalog, const char *sql, struct error *err)
{
    int code = sqlite_exec(catalog->db, sql, err);
    if (code != 0 && sqlite3_errcode(catalog->db) == SQLITE_FULL && err != NULL)
        err->code = ERR_LIMIT;
    return code != 0 && sqlite3_errcode(catalog->db) == SQLITE_FULL ? ERR_LIMIT : code;
}

int catalog_begin(struct catalog *catalog, struct error *err)
{
    pthread_mutex_lock(&catalog->mutex);
    int code = execute(catalog, "BEGIN IMMEDIATE", err);
    if (code != 0)
        pthread_mutex_unlock(&catalog->mutex);
    return code;
}

int catalog_end(struct catalog *catalog, int code, struct error *err)
{
    if (code == 0)
        code = execute(catalog, "COMMIT", err);
    /* A failed statement may have ended the transaction already. */
    if (code != 0 && sqlite3_get_autocommit(catalog->db) == 0)
        sqlite_exec(catalog->db, "ROLLBACK", NULL);
    pthread_mutex_unlock(&catalog->mutex);
    return code;
}

sqlite3_stmt *catalog_statement(struct catalog *catalog, enum catalog_statement which)
{
    sqlite3_stmt *stmt = catalog->statements[which];
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return stmt;
}

static int translate(sqlite3_stmt *stmt, int code, struct error *err)
{
    if (code >= 0 || (sqlite3_errcode(sqlite3_db_handle(stmt)) & 0xff) != SQLITE_FULL)
        return code;
    if (err != NULL)
        err->code = ERR_LIMIT;
    return ERR_LIMIT;
}

int catalog_step_done(sqlite3_stmt *stmt, struct error *err)
{
    return translate(stmt, sqlite_step_done(stmt, err, "storage.db"), err);
}

int catalog_step_row(sqlite3_stmt *stmt, struct error *err)
{
    return translate(stmt, sqlite_step_row(stmt, err, "storage.db"), err);
}
