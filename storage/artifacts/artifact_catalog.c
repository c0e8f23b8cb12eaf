/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_catalog: see artifact_catalog.h. */
#include "storage/artifacts/artifact_catalog.h"

#include <string.h>

#include "common/clock.h"

static sqlite3_stmt *begin_statement(struct catalog *catalog, enum catalog_statement which,
                                     const struct digest *digest)
{
    sqlite3_stmt *stmt = catalog_statement(catalog, which);
    sqlite3_bind_blob(stmt, 1, digest->bytes, DIGEST_SIZE, SQLITE_STATIC);
    return stmt;
}

/* ---- owners, within a transaction ---- */

static int list_owners(struct catalog *catalog, struct catalog_artifact *artifact,
                       size_t owners_max, struct arena *arena, struct error *err)
{
    size_t capacity = 0;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_OWNER_LIST, &artifact->digest);
    sqlite3_bind_int64(stmt, 2, (int64_t)owners_max);
    int code;
    while ((code = catalog_step_row(stmt, err)) == 1) {
        if (artifact->owner_count == capacity) {
            capacity = capacity == 0 ? 4 : capacity * 2;
            const char **grown = arena_alloc(arena, capacity * sizeof *grown);
            if (grown == NULL)
                return error_set(err, ERR_LIMIT, "an artifact has too many owners to be listed");
            if (artifact->owner_count > 0)
                memcpy(grown, artifact->owners, artifact->owner_count * sizeof *grown);
            artifact->owners = grown;
        }
        const char *owner = arena_strdup(arena, sqlite_column_text(stmt, 0));
        if (owner == NULL)
            return error_set(err, ERR_LIMIT, "an artifact has too many owners to be listed");
        artifact->owners[artifact->owner_count++] = owner;
    }
    return code;
}

static int add_owner(struct catalog *catalog, const struct digest *digest, const char *owner,
                     struct error *err)
{
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_OWNER_ADD, digest);
    sqlite3_bind_text(stmt, 2, owner, -1, SQLITE_STATIC);
    int code = catalog_step_done(stmt, err);
    if (code != 0 || sqlite3_changes(sqlite3_db_handle(stmt)) == 0)
        return code;
    stmt = begin_statement(catalog, CATALOG_OWNER_COUNT, digest);
    code = catalog_step_row(stmt, err);
    bool is_over = code == 1 && sqlite3_column_int64(stmt, 0) > ARTIFACT_OWNERS_MAX;
    sqlite3_reset(stmt);
    if (is_over)
        return error_set(err, ERR_LIMIT, "the artifact has %d owners already", ARTIFACT_OWNERS_MAX);
    return code < 0 ? code : 0;
}

static int touch(struct catalog *catalog, const struct digest *digest, struct error *err)
{
    return catalog_step_done(begin_statement(catalog, CATALOG_ARTIFACT_TOUCH, digest), err);
}

/* ERR_NOT_FOUND where the artifact is not there. */
static int check_there(struct catalog *catalog, const struct digest *digest, struct error *err)
{
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_ARTIFACT_GET, digest);
    int code = catalog_step_row(stmt, err);
    sqlite3_reset(stmt);
    if (code < 0)
        return code;
    char id[ARTIFACT_ID_SIZE];
    return code == 1 ? 0
                     : error_set(err, ERR_NOT_FOUND, "storage has no artifact %s",
                                 digest_to_id(digest, id));
}

/* ---- transactions ---- */

int artifact_catalog_add(struct catalog *catalog, const struct digest *digest, uint64_t size,
                         const char *owner, struct error *err)
{
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_ARTIFACT_ADD, digest);
    sqlite3_bind_int64(stmt, 2, (int64_t)size);
    sqlite3_bind_int64(stmt, 3, clock_utc_us());
    code = catalog_step_done(stmt, err);
    if (code == 0 && owner != NULL)
        code = add_owner(catalog, digest, owner, err);
    if (code == 0)
        code = touch(catalog, digest, err);
    return catalog_end(catalog, code, err);
}

int artifact_catalog_has(struct catalog *catalog, const struct digest *digest, bool *ret_has,
                         struct error *err)
{
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    struct error reason;
    code = check_there(catalog, digest, &reason);
    bool is_there = code == 0;
    if (code == ERR_NOT_FOUND)
        code = 0;
    else if (code != 0 && err != NULL)
        *err = reason;
    code = catalog_end(catalog, code, err);
    if (code == 0)
        *ret_has = is_there;
    return code;
}

int artifact_catalog_keep(struct catalog *catalog, const struct digest *digest, const char *owner,
                          struct error *err)
{
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    code = check_there(catalog, digest, err);
    if (code == 0)
        code = add_owner(catalog, digest, owner, err);
    if (code == 0)
        code = touch(catalog, digest, err);
    return catalog_end(catalog, code, err);
}

int artifact_catalog_release(struct catalog *catalog, const struct digest *digest,
                             const char *owner, struct error *err)
{
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_OWNER_REMOVE, digest);
    sqlite3_bind_text(stmt, 2, owner, -1, SQLITE_STATIC);
    return catalog_end(catalog, catalog_step_done(stmt, err), err);
}

static int read_artifact(sqlite3_stmt *stmt, struct catalog_artifact *artifact, struct error *err)
{
    const void *digest = sqlite3_column_blob(stmt, 0);
    if (digest == NULL || sqlite3_column_bytes(stmt, 0) != DIGEST_SIZE)
        return error_set(err, ERR_CORRUPT, "storage.db: a digest is damaged");
    *artifact = (struct catalog_artifact){.size = (uint64_t)sqlite3_column_int64(stmt, 1),
                                          .created_utc_us = sqlite3_column_int64(stmt, 2),
                                          .unowned_utc_us = sqlite3_column_int64(stmt, 3),
                                          .revision = sqlite3_column_int64(stmt, 4)};
    memcpy(artifact->digest.bytes, digest, DIGEST_SIZE);
    return 0;
}

int artifact_catalog_list(struct catalog *catalog, const struct digest *after, size_t count,
                          size_t owners_max, struct arena *arena,
                          struct catalog_artifact **ret_artifacts, size_t *ret_count,
                          struct error *err)
{
    size_t found = 0;
    struct catalog_artifact *artifacts = arena_calloc(arena, count, sizeof *artifacts);
    if (artifacts == NULL)
        return error_set(err, ERR_LIMIT, "too many artifacts for one page");
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = catalog_statement(catalog, CATALOG_ARTIFACT_LIST);
    sqlite3_bind_blob(stmt, 1, after != NULL ? after->bytes : (const uint8_t *)"",
                      after != NULL ? DIGEST_SIZE : 0, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, (int64_t)count);
    while (code == 0 && (code = catalog_step_row(stmt, err)) == 1)
        code = read_artifact(stmt, &artifacts[found++], err);
    for (size_t i = 0; code == 0 && i < found; i++)
        code = list_owners(catalog, &artifacts[i], owners_max, arena, err);
    code = catalog_end(catalog, code, err);
    if (code != 0)
        return code;
    *ret_artifacts = artifacts;
    *ret_count = found;
    return 0;
}

int artifact_catalog_set_unowned(struct catalog *catalog, const struct digest *digest,
                                 int64_t revision, int64_t unowned_utc_us, struct error *err)
{
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_ARTIFACT_SET_UNOWNED, digest);
    sqlite3_bind_int64(stmt, 2, revision);
    sqlite3_bind_int64(stmt, 3, unowned_utc_us);
    return catalog_end(catalog, catalog_step_done(stmt, err), err);
}

int artifact_catalog_remove(struct catalog *catalog, const struct digest *digest, int64_t revision,
                            bool *ret_removed, struct error *err)
{
    bool is_removed = false;
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_ARTIFACT_REMOVE, digest);
    sqlite3_bind_int64(stmt, 2, revision);
    code = catalog_step_done(stmt, err);
    if (code == 0)
        is_removed = sqlite3_changes(sqlite3_db_handle(stmt)) > 0;
    if (is_removed)
        code = catalog_step_done(begin_statement(catalog, CATALOG_OWNER_REMOVE_ALL, digest), err);
    code = catalog_end(catalog, code, err);
    if (code == 0)
        *ret_removed = is_removed;
    return code;
}
