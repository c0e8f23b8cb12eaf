/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_index_file: see store_index_file.h. Synchronous NORMAL: a power cut may take the last
 * flushes, never the order of them, and what is missing is read from the store again.
 */
#include "engine/store_index_file.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "common/uuid.h"
#include "engine/store_file.h"

/* Raised when the tables change: older index files are rebuilt. */
#define INDEX_VERSION 1

static const char schema[] =
    "BEGIN;"
    "CREATE TABLE state ("
    "  store_id TEXT NOT NULL,"
    "  indexed_run_key INTEGER NOT NULL,"
    "  head_seq INTEGER NOT NULL) STRICT;"
    "CREATE TABLE workflow ("
    "  hash INTEGER NOT NULL,"
    "  run_key INTEGER NOT NULL,"
    "  PRIMARY KEY (hash, run_key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE head (run_key INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT;";

static int run_sql(sqlite3 *db, struct error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    if (sql == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a statement");
    int code = sqlite_exec(db, sql, err);
    sqlite3_free(sql);
    return code;
}

static int configure(sqlite3 *db, struct error *err)
{
    return sqlite_exec(db,
                       "PRAGMA page_size = 8192;"
                       "PRAGMA journal_mode = WAL;"
                       "PRAGMA synchronous = NORMAL;"
                       "PRAGMA cache_size = -2048;",
                       err);
}

/* Opens the file at path as it is and reads its state; *ret_fits is false when it is not an index
 * of this very store at this moment or earlier. */
static int open_existing(struct store_index_file *file, const char *path, const char *store_id,
                         sqlite3 *db, bool *ret_fits, struct error *err)
{
    int64_t version = 0, tables = 0, run_key_max = 0, seq_max = 0;
    *ret_fits = false;
    int code = sqlite_open(path, true, &file->writer, err);
    if (code == 0)
        code = configure(file->writer, err);
    if (code == 0)
        code = sqlite_get_int64(file->writer, "PRAGMA user_version", &version, err);
    if (code == 0)
        code = sqlite_get_int64(file->writer, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (code != 0 || version != INDEX_VERSION || tables == 0)
        return code;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM state WHERE store_id = %Q", store_id);
    int64_t same_store = 0;
    code = sqlite_get_int64(file->writer, sql, &same_store, err);
    sqlite3_free(sql);
    if (code == 0)
        code = sqlite_get_int64(file->writer, "SELECT indexed_run_key FROM state",
                                &file->indexed_run_key, err);
    if (code == 0)
        code = sqlite_get_int64(file->writer, "SELECT head_seq FROM state", &file->head_seq, err);
    if (code == 0)
        code = sqlite_get_int64(db, "SELECT max(run_key) FROM run", &run_key_max, err);
    if (code == 0)
        code = sqlite_get_int64(db, "SELECT max(seq) FROM log", &seq_max, err);
    *ret_fits = code == 0 && same_store == 1 && file->indexed_run_key <= run_key_max &&
                file->head_seq <= seq_max;
    return code;
}

/* Replaces whatever is at path by an empty index. */
static int create(struct store_index_file *file, const char *path, const char *store_id,
                  struct error *err)
{
    sqlite_close(file->writer);
    *file = (struct store_index_file){0};
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char *name = sqlite3_mprintf("%s%s", path, suffixes[i]);
        if (name == NULL)
            return error_set(err, ERR_MEMORY, "no memory for a path");
        int code = 0;
        if (unlink(name) != 0 && errno != ENOENT)
            code = error_set_errno(err, ERR_STORAGE, errno, "could not remove %s", name);
        sqlite3_free(name);
        if (code != 0)
            return code;
    }
    int code = sqlite_open(path, true, &file->writer, err);
    if (code == 0)
        code = configure(file->writer, err);
    if (code == 0)
        code = run_sql(file->writer, err,
                       "%s INSERT INTO state VALUES (%Q, 0, 0); PRAGMA user_version = %d; COMMIT",
                       schema, store_id, INDEX_VERSION);
    return code;
}

static int prepare(struct store_index_file *file, struct error *err)
{
    const struct {
        sqlite3 *db;
        sqlite3_stmt **ret_stmt;
        const char *sql;
    } statements[] = {
        {file->writer, &file->insert_run, "INSERT OR IGNORE INTO workflow VALUES (?, ?)"},
        {file->writer, &file->delete_head, "DELETE FROM head WHERE run_key = ?"},
        {file->writer, &file->put_head, "INSERT OR REPLACE INTO head VALUES (?, ?)"},
        {file->writer, &file->put_state, "UPDATE state SET indexed_run_key = ?, head_seq = ?"},
        {file->reader, &file->select_runs,
         "SELECT run_key FROM workflow WHERE hash = ? AND run_key < ? ORDER BY run_key DESC"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof statements / sizeof statements[0]; i++)
        code = sqlite_prepare(statements[i].db, statements[i].sql, statements[i].ret_stmt, err);
    return code;
}

int store_index_file_open(struct store_index_file *file, const char *path, sqlite3 *db,
                          struct error *err)
{
    char store_id[UUID_TEXT_SIZE];
    *file = (struct store_index_file){0};
    int code = store_file_id(db, store_id, err);
    if (code != 0)
        return code;
    char *index_path = sqlite3_mprintf("%s.index", path);
    if (index_path == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a path");
    bool fits;
    code = open_existing(file, index_path, store_id, db, &fits, err);
    if (code == ERR_CORRUPT || (code == 0 && !fits))
        code = create(file, index_path, store_id, err);
    if (code == 0)
        code = sqlite_open(index_path, false, &file->reader, err);
    if (code == 0)
        code = sqlite_exec(file->reader, "PRAGMA cache_size = -4096", err);
    if (code == 0)
        code = prepare(file, err);
    sqlite3_free(index_path);
    return code;
}

void store_index_file_close(struct store_index_file *file)
{
    sqlite3_stmt *const statements[] = {file->insert_run, file->delete_head, file->put_head,
                                        file->put_state, file->select_runs};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        sqlite3_finalize(statements[i]);
    sqlite_close(file->reader);
    sqlite_close(file->writer);
    *file = (struct store_index_file){0};
}

static const char index_failed[] = "could not write the store's index";

/* Binds up to two integers and steps. */
static int step_with(sqlite3_stmt *stmt, int64_t first, int64_t second, struct error *err)
{
    sqlite3_bind_int64(stmt, 1, first);
    if (sqlite3_bind_parameter_count(stmt) > 1)
        sqlite3_bind_int64(stmt, 2, second);
    return sqlite_step_done(stmt, err, index_failed);
}

static int write_batch(struct store_index_file *file, const struct store_index_batch *batch,
                       struct error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < batch->run_count; i++)
        code =
            step_with(file->insert_run, (int64_t)batch->runs[i].hash, batch->runs[i].run_key, err);
    for (size_t i = 0; code == 0 && i < batch->gone_count; i++)
        code = step_with(file->delete_head, batch->gone[i], 0, err);
    for (size_t i = 0; code == 0 && i < batch->head_count; i++)
        code = step_with(file->put_head, batch->heads[i].run_key, batch->heads[i].last_seq, err);
    if (code == 0)
        code = step_with(file->put_state, batch->indexed_run_key, batch->head_seq, err);
    return code;
}

int store_index_file_write(struct store_index_file *file, const struct store_index_batch *batch,
                           struct error *err)
{
    int code = sqlite_exec(file->writer, "BEGIN", err);
    if (code == 0)
        code = write_batch(file, batch, err);
    return code == 0 ? sqlite_exec(file->writer, "COMMIT", err) : code;
}

int store_index_file_each(struct store_index_file *file, uint64_t hash, int64_t before_run_key,
                          int (*each)(void *arg, int64_t run_key, struct error *err), void *arg,
                          struct error *err)
{
    sqlite3_bind_int64(file->select_runs, 1, (int64_t)hash);
    sqlite3_bind_int64(file->select_runs, 2, before_run_key);
    int code = 0, step;
    while ((step = sqlite_step_row(file->select_runs, err, "could not read the store's index")) ==
           1) {
        code = each(arg, sqlite3_column_int64(file->select_runs, 0), err);
        if (code != 0) {
            sqlite3_reset(file->select_runs);
            return code;
        }
    }
    return step;
}

/* One recovery under way. */
struct recovery {
    struct store_index_file *file;
    const struct store_index_visitor *visitor;
    sqlite3_stmt *is_open;
};

/* Calls each row of the query, whose only parameter is after. */
static int each_row(struct recovery *recovery, sqlite3 *db, const char *sql, int64_t after,
                    int (*row)(struct recovery *recovery, sqlite3_stmt *stmt, struct error *err),
                    struct error *err)
{
    sqlite3_stmt *stmt;
    int code = sqlite_prepare(db, sql, &stmt, err);
    if (code != 0)
        return code;
    sqlite3_bind_int64(stmt, 1, after);
    while ((code = sqlite_step_row(stmt, err, "could not read the store for its index")) == 1) {
        code = row(recovery, stmt, err);
        if (code != 0)
            break;
    }
    sqlite3_finalize(stmt);
    return code;
}

/* A run that the file has as open: still open, or closed since? */
static int recover_head(struct recovery *recovery, sqlite3_stmt *stmt, struct error *err)
{
    const struct store_index_visitor *visitor = recovery->visitor;
    int64_t run_key = sqlite3_column_int64(stmt, 0);
    sqlite3_bind_int64(recovery->is_open, 1, run_key);
    int code = sqlite_step_row(recovery->is_open, err, "could not read a run");
    sqlite3_reset(recovery->is_open);
    if (code < 0)
        return code;
    if (code == 1)
        visitor->run_is_open(visitor->arg, run_key, sqlite3_column_int64(stmt, 1));
    else
        visitor->run_is_closed(visitor->arg, run_key);
    return 0;
}

static int recover_run(struct recovery *recovery, sqlite3_stmt *stmt, struct error *err)
{
    int64_t run_key = sqlite3_column_int64(stmt, 0);
    uint64_t hash = store_id_hash(sqlite_column_text(stmt, 1), sqlite_column_text(stmt, 2));
    if (sqlite3_column_int64(stmt, 3) == 0)
        recovery->visitor->run_is_open(recovery->visitor->arg, run_key, 0);
    return step_with(recovery->file->insert_run, (int64_t)hash, run_key, err);
}

static int recover_row(struct recovery *recovery, sqlite3_stmt *stmt, struct error *err)
{
    (void)err;
    recovery->visitor->row_is_new(recovery->visitor->arg, sqlite3_column_int64(stmt, 1),
                                  sqlite3_column_int64(stmt, 0));
    return 0;
}

int store_index_file_recover(struct store_index_file *file, sqlite3 *db,
                             const struct store_index_visitor *visitor, struct error *err)
{
    struct recovery recovery = {.file = file, .visitor = visitor};
    int code = sqlite_prepare(db, "SELECT 1 FROM run WHERE run_key = ? AND last_seq = 0",
                              &recovery.is_open, err);
    if (code == 0)
        code = each_row(&recovery, file->writer,
                        "SELECT run_key, last_seq FROM head WHERE run_key > ? ORDER BY run_key", 0,
                        recover_head, err);
    if (code == 0)
        code = sqlite_exec(file->writer, "BEGIN", err);
    if (code == 0)
        code = each_row(&recovery, db,
                        "SELECT run_key, namespace, workflow_id, last_seq FROM run"
                        " WHERE run_key > ? ORDER BY run_key",
                        file->indexed_run_key, recover_run, err);
    if (code == 0)
        code = sqlite_exec(file->writer, "COMMIT", err);
    if (code == 0)
        code = each_row(&recovery, db, "SELECT seq, run_key FROM log WHERE seq > ? ORDER BY seq",
                        file->head_seq, recover_row, err);
    sqlite3_finalize(recovery.is_open);
    return code;
}
