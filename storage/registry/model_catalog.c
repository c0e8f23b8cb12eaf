/* SPDX-License-Identifier: Apache-2.0 */
/* model_catalog: see model_catalog.h. */
#include "storage/registry/model_catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "storage/digest.h"

static void owner_of(const char *name, uint32_t version, char out[ARTIFACT_OWNER_MAX])
{
    snprintf(out, ARTIFACT_OWNER_MAX, "model:%s@%" PRIu32, name, version);
}

static sqlite3_stmt *begin_statement(struct catalog *catalog, enum catalog_statement which,
                                     const char *name, uint32_t version)
{
    sqlite3_stmt *stmt = catalog_statement(catalog, which);
    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, version);
    return stmt;
}

/* ---- adding, within a transaction ---- */

/* 1 with the version that registration gave before, or 0. */
static int find_registration(struct catalog *catalog, const char *name, const char *registration,
                             uint32_t *ret_version, struct error *err)
{
    sqlite3_stmt *stmt = catalog_statement(catalog, CATALOG_MODEL_BY_REGISTRATION);
    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, registration, -1, SQLITE_STATIC);
    int code = catalog_step_row(stmt, err);
    if (code == 1) {
        *ret_version = (uint32_t)sqlite3_column_int64(stmt, 0);
        sqlite3_reset(stmt);
    }
    return code;
}

static int take_version(struct catalog *catalog, const char *name, uint32_t *ret_version,
                        struct error *err)
{
    sqlite3_stmt *stmt = catalog_statement(catalog, CATALOG_MODEL_LAST_VERSION);
    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    int code = catalog_step_row(stmt, err);
    if (code < 0)
        return code;
    *ret_version = (uint32_t)sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return 0;
}

static int check_artifact(struct catalog *catalog, const struct model_file *file,
                          const struct digest *digest, struct error *err)
{
    sqlite3_stmt *stmt = catalog_statement(catalog, CATALOG_ARTIFACT_GET);
    sqlite3_bind_blob(stmt, 1, digest->bytes, DIGEST_SIZE, SQLITE_STATIC);
    int code = catalog_step_row(stmt, err);
    if (code < 0)
        return code;
    uint64_t size = code == 1 ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_reset(stmt);
    if (code == 0)
        return error_set(err, ERR_NOT_FOUND, "%s: storage has no artifact %s", file->name,
                         file->artifact.id);
    if (size != file->artifact.size)
        return error_set(err, ERR_NOT_FOUND, "%s: %s has %" PRIu64 " bytes, not %" PRIu64,
                         file->name, file->artifact.id, size, file->artifact.size);
    return 0;
}

static int add_file(struct catalog *catalog, const struct registered_model *model, uint32_t version,
                    const struct model_file *file, struct error *err)
{
    struct digest digest;
    char owner[ARTIFACT_OWNER_MAX];
    owner_of(model->name, version, owner);
    int code = digest_of_id(file->artifact.id, &digest, err);
    if (code == 0)
        code = check_artifact(catalog, file, &digest, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_FILE_ADD, model->name, version);
    sqlite3_bind_text(stmt, 3, file->name, -1, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, 4, digest.bytes, DIGEST_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 5, (int64_t)file->artifact.size);
    code = catalog_step_done(stmt, err);
    if (code != 0)
        return code;
    stmt = catalog_statement(catalog, CATALOG_OWNER_ADD);
    sqlite3_bind_blob(stmt, 1, digest.bytes, DIGEST_SIZE, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, owner, -1, SQLITE_STATIC);
    code = catalog_step_done(stmt, err);
    if (code != 0)
        return code;
    stmt = catalog_statement(catalog, CATALOG_ARTIFACT_TOUCH);
    sqlite3_bind_blob(stmt, 1, digest.bytes, DIGEST_SIZE, SQLITE_STATIC);
    return catalog_step_done(stmt, err);
}

static int add_model(struct catalog *catalog, const struct registered_model *model,
                     const char *registration, uint32_t *ret_version, struct error *err)
{
    uint32_t version;
    int code = take_version(catalog, model->name, &version, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_MODEL_ADD, model->name, version);
    sqlite3_bind_text(stmt, 3, model->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 4, model->base, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 5, model->metadata, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 6, registration, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 7, clock_utc_us());
    code = catalog_step_done(stmt, err);
    for (size_t i = 0; code == 0 && i < model->file_count; i++)
        code = add_file(catalog, model, version, &model->files[i], err);
    if (code == 0)
        *ret_version = version;
    return code;
}

int model_catalog_add(struct catalog *catalog, const struct registered_model *model,
                      const char *registration, uint32_t *ret_version, struct error *err)
{
    uint32_t version = 0;
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    code = find_registration(catalog, model->name, registration, &version, err);
    if (code == 0)
        code = add_model(catalog, model, registration, &version, err);
    code = catalog_end(catalog, code == 1 ? 0 : code, err);
    if (code == 0)
        *ret_version = version;
    return code;
}

/* ---- reading, within a transaction ---- */

static int fail_arena(struct error *err)
{
    return error_set(err, ERR_LIMIT, "too many models for one reply");
}

/* The columns of CATALOG_MODEL_GET and CATALOG_MODEL_LIST. */
static int read_model(sqlite3_stmt *stmt, struct arena *arena, struct registered_model *model,
                      struct error *err)
{
    *model = (struct registered_model){
        .name = arena_strdup(arena, sqlite_column_text(stmt, 0)),
        .version = (uint32_t)sqlite3_column_int64(stmt, 1),
        .kind = arena_strdup(arena, sqlite_column_text(stmt, 2)),
        .base = arena_strdup(arena, sqlite_column_text(stmt, 3)),
        .metadata = arena_strdup(arena, sqlite_column_text(stmt, 4)),
        .registered_utc_us = sqlite3_column_int64(stmt, 5),
    };
    bool is_read = model->name != NULL && model->kind != NULL && model->base != NULL &&
                   model->metadata != NULL;
    return is_read ? 0 : fail_arena(err);
}

static int read_file(sqlite3_stmt *stmt, struct arena *arena, struct model_file *file,
                     struct error *err)
{
    struct digest digest;
    const void *bytes = sqlite3_column_blob(stmt, 1);
    if (bytes == NULL || sqlite3_column_bytes(stmt, 1) != DIGEST_SIZE)
        return error_set(err, ERR_CORRUPT, "storage.db: a digest is damaged");
    memcpy(digest.bytes, bytes, DIGEST_SIZE);
    digest_to_id(&digest, file->artifact.id);
    file->artifact.size = (uint64_t)sqlite3_column_int64(stmt, 2);
    file->name = arena_strdup(arena, sqlite_column_text(stmt, 0));
    return file->name != NULL ? 0 : fail_arena(err);
}

static int read_files(struct catalog *catalog, struct arena *arena, struct registered_model *model,
                      struct error *err)
{
    struct model_file files[MODEL_FILES_MAX];
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_FILE_LIST, model->name, model->version);
    int code;
    while ((code = catalog_step_row(stmt, err)) == 1 && model->file_count < MODEL_FILES_MAX) {
        code = read_file(stmt, arena, &files[model->file_count], err);
        if (code != 0)
            break;
        model->file_count++;
    }
    sqlite3_reset(stmt);
    if (code < 0)
        return code;
    model->files = arena_memdup(arena, files, model->file_count * sizeof files[0]);
    return model->files != NULL ? 0 : fail_arena(err);
}

int model_catalog_get(struct catalog *catalog, const char *name, uint32_t version,
                      struct arena *arena, struct registered_model *ret_model, struct error *err)
{
    struct registered_model model;
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_MODEL_GET, name, version);
    int found = catalog_step_row(stmt, err);
    code = found < 0 ? found : 0;
    if (found == 1)
        code = read_model(stmt, arena, &model, err);
    sqlite3_reset(stmt);
    if (code == 0 && found == 1)
        code = read_files(catalog, arena, &model, err);
    code = catalog_end(catalog, code, err);
    if (code != 0)
        return code;
    if (found == 0)
        return ERR_NOT_FOUND;
    *ret_model = model;
    return 0;
}

int model_catalog_list(struct catalog *catalog, const char *name, uint32_t version, size_t count,
                       struct arena *arena, struct registered_model **ret_models, size_t *ret_count,
                       struct error *err)
{
    size_t found = 0;
    struct registered_model *models = arena_calloc(arena, count, sizeof *models);
    if (models == NULL)
        return fail_arena(err);
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_MODEL_LIST, name, version);
    sqlite3_bind_int64(stmt, 3, (int64_t)count);
    while (code == 0 && (code = catalog_step_row(stmt, err)) == 1)
        code = read_model(stmt, arena, &models[found++], err);
    for (size_t i = 0; code == 0 && i < found; i++)
        code = read_files(catalog, arena, &models[i], err);
    code = catalog_end(catalog, code, err);
    if (code != 0)
        return code;
    *ret_models = models;
    *ret_count = found;
    return 0;
}

int model_catalog_names(struct catalog *catalog, size_t count, struct arena *arena,
                        const char **ret_names, size_t *ret_count, struct error *err)
{
    size_t found = 0;
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = catalog_statement(catalog, CATALOG_MODEL_NAMES);
    sqlite3_bind_int64(stmt, 1, (int64_t)count);
    while ((code = catalog_step_row(stmt, err)) == 1) {
        const char *name = arena_strdup(arena, sqlite_column_text(stmt, 0));
        if (name == NULL) {
            code = fail_arena(err);
            break;
        }
        ret_names[found++] = name;
    }
    code = catalog_end(catalog, code, err);
    if (code == 0)
        *ret_count = found;
    return code;
}

/* ---- removing ---- */

static int release_artifacts(struct catalog *catalog, const struct registered_model *model,
                             struct error *err)
{
    char owner[ARTIFACT_OWNER_MAX];
    owner_of(model->name, model->version, owner);
    int code = 0;
    for (size_t i = 0; code == 0 && i < model->file_count; i++) {
        struct digest digest;
        code = digest_of_id(model->files[i].artifact.id, &digest, err);
        if (code != 0)
            break;
        sqlite3_stmt *stmt = catalog_statement(catalog, CATALOG_OWNER_REMOVE);
        sqlite3_bind_blob(stmt, 1, digest.bytes, DIGEST_SIZE, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, owner, -1, SQLITE_STATIC);
        code = catalog_step_done(stmt, err);
    }
    return code;
}

/* Whether that version was ever given: 1 or 0. */
static int was_given(struct catalog *catalog, const char *name, uint32_t version, struct error *err)
{
    sqlite3_stmt *stmt = begin_statement(catalog, CATALOG_MODEL_WAS_GIVEN, name, version);
    int code = catalog_step_row(stmt, err);
    sqlite3_reset(stmt);
    return code;
}

int model_catalog_remove(struct catalog *catalog, const char *name, uint32_t version,
                         bool *ret_known, struct error *err)
{
    struct arena arena;
    struct registered_model model = {.name = name, .version = version};
    int code = catalog_begin(catalog, err);
    if (code != 0)
        return code;
    arena_init(&arena, ARENA_NO_LIMIT);
    int known = was_given(catalog, name, version, err);
    code = known < 0 ? known : read_files(catalog, &arena, &model, err);
    if (code == 0)
        code = release_artifacts(catalog, &model, err);
    if (code == 0)
        code = catalog_step_done(begin_statement(catalog, CATALOG_FILE_REMOVE_ALL, name, version),
                                 err);
    if (code == 0)
        code =
            catalog_step_done(begin_statement(catalog, CATALOG_MODEL_REMOVE, name, version), err);
    arena_fini(&arena);
    code = catalog_end(catalog, code, err);
    if (code == 0)
        *ret_known = known == 1;
    return code;
}
