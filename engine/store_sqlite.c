/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_sqlite: the store in an SQLite file: WAL, synchronous FULL, 8 KiB pages.
 *
 * A commit touches few pages: rows of `run` and `log` are appended in the order of their integer
 * keys, one row of `log` per transition, chained backwards by prev_seq so that no index on run keys
 * is needed; closing a run updates its young row of `run`. Everything else that is written is
 * written behind (store_index.h, store_upkeep.h). A failed commit leaves the store unusable: its
 * owner stops and recovers from the file.
 *
 * Threads: store_commit has the writing connection, the read functions the reading one.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/enums.h"
#include "common/assert.h"
#include "engine/store_file.h"
#include "engine/store_index.h"
#include "engine/store_ops.h"
#include "engine/store_upkeep.h"

struct store_sqlite {
    struct store store;
    int lock_fd;
    struct store_index *index;
    struct store_upkeep *upkeep;
    /* The committing thread's; upkeep holds commit_lock to keep commits out. */
    pthread_mutex_t commit_lock;
    sqlite3 *writer;
    sqlite3_stmt *begin, *commit, *insert_run, *close_run, *insert_row, *set, *unset;
    int64_t next_seq;
    int wal_pages;
    bool failed;
    /* The reading thread's. */
    sqlite3 *reader;
    sqlite3_stmt *select_run, *select_runs, *select_row;
};

static const char commit_failed[] = "could not write to the store";
static const char read_failed[] = "could not read from the store";

#define RUN_COLUMNS                                                                                \
    "run_key, namespace, workflow_id, run_id, workflow_type, task_queue, start_utc_us,"            \
    " close_utc_us, status, history_length, last_seq"

/* Binds text that outlives the step. */
static void bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
    sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

static int insert_run(struct store_sqlite *sqlite, const struct store_run *run, struct error *err)
{
    sqlite3_stmt *stmt = sqlite->insert_run;
    sqlite3_bind_int64(stmt, 1, run->run_key);
    bind_text(stmt, 2, run->namespace_name);
    bind_text(stmt, 3, run->workflow_id);
    bind_text(stmt, 4, run->run_id);
    bind_text(stmt, 5, run->workflow_type);
    bind_text(stmt, 6, run->task_queue);
    sqlite3_bind_int64(stmt, 7, run->start_utc_us);
    sqlite3_bind_int(stmt, 8, run->status);
    sqlite3_bind_int64(stmt, 9, run->history_length);
    return sqlite_step_done(stmt, err, commit_failed);
}

static int insert_row(struct store_sqlite *sqlite, const struct store_write *write,
                      struct error *err)
{
    sqlite3_stmt *stmt = sqlite->insert_row;
    int64_t seq = sqlite->next_seq++;
    sqlite3_bind_int64(stmt, 1, seq);
    sqlite3_bind_int64(stmt, 2, write->run_key);
    sqlite3_bind_int64(stmt, 3, store_index_stage(sqlite->index, write->run_key, seq));
    sqlite3_bind_blob64(stmt, 4, write->records.data, write->records.size, SQLITE_STATIC);
    return sqlite_step_done(stmt, err, commit_failed);
}

static int close_run(struct store_sqlite *sqlite, const struct store_write *write,
                     struct error *err)
{
    sqlite3_stmt *stmt = sqlite->close_run;
    sqlite3_bind_int64(stmt, 1, write->run.close_utc_us);
    sqlite3_bind_int(stmt, 2, write->run.status);
    sqlite3_bind_int64(stmt, 3, write->run.history_length);
    sqlite3_bind_int64(stmt, 4, store_index_stage(sqlite->index, write->run_key, 0));
    sqlite3_bind_int64(stmt, 5, write->run_key);
    return sqlite_step_done(stmt, err, commit_failed);
}

static int change_setting(struct store_sqlite *sqlite, const struct store_write *write,
                          struct error *err)
{
    sqlite3_stmt *stmt = write->records.size > 0 ? sqlite->set : sqlite->unset;
    bind_text(stmt, 1, write->setting);
    if (write->records.size > 0)
        sqlite3_bind_blob64(stmt, 2, write->records.data, write->records.size, SQLITE_STATIC);
    return sqlite_step_done(stmt, err, commit_failed);
}

static int apply_write(struct store_sqlite *sqlite, const struct store_write *write,
                       struct error *err)
{
    if (write->setting != NULL)
        return change_setting(sqlite, write, err);
    ASSERT(write->records.size > 0 || (write->closed && !write->opened));
    int code = 0;
    if (write->opened) {
        store_index_stage_open(sqlite->index, write->run_key);
        code = insert_run(sqlite, &write->run, err);
    }
    if (code == 0 && write->records.size > 0)
        code = insert_row(sqlite, write, err);
    if (code == 0 && write->closed)
        code = close_run(sqlite, write, err);
    return code;
}

static int run_transaction(struct store_sqlite *sqlite, const struct store_write *writes,
                           size_t count, struct error *err)
{
    int code = sqlite_step_done(sqlite->begin, err, commit_failed);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = apply_write(sqlite, &writes[i], err);
    if (code == 0)
        code = sqlite_step_done(sqlite->commit, err, commit_failed);
    return code;
}

static int sqlite_commit(struct store *store, const struct store_write *writes, size_t count,
                         struct error *err)
{
    struct store_sqlite *sqlite = (struct store_sqlite *)store;
    if (sqlite->failed)
        return error_set(err, ERR_STORAGE, "the store failed before");
    int code = store_upkeep_check(sqlite->upkeep, err);
    pthread_mutex_lock(&sqlite->commit_lock);
    if (code == 0)
        code = run_transaction(sqlite, writes, count, err);
    pthread_mutex_unlock(&sqlite->commit_lock);
    if (code != 0) {
        sqlite->failed = true;
        return code;
    }
    store_index_publish(sqlite->index, writes, count);
    store_upkeep_tell(sqlite->upkeep, sqlite->wal_pages);
    return 0;
}

/* SQLite's report after each commit. */
static int remember_wal_pages(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct store_sqlite *sqlite = arg;
    (void)db;
    (void)name;
    sqlite->wal_pages = pages;
    return SQLITE_OK;
}

/* A row of RUN_COLUMNS; strings are the statement's. */
static struct store_run row_run(sqlite3_stmt *stmt)
{
    return (struct store_run){.run_key = sqlite3_column_int64(stmt, 0),
                              .namespace_name = sqlite_column_text(stmt, 1),
                              .workflow_id = sqlite_column_text(stmt, 2),
                              .run_id = sqlite_column_text(stmt, 3),
                              .workflow_type = sqlite_column_text(stmt, 4),
                              .task_queue = sqlite_column_text(stmt, 5),
                              .start_utc_us = sqlite3_column_int64(stmt, 6),
                              .close_utc_us = sqlite3_column_int64(stmt, 7),
                              .status = sqlite3_column_int(stmt, 8),
                              .history_length = sqlite3_column_int64(stmt, 9)};
}

#define COLUMN_LAST_SEQ 10

/* Positions select_run on a run: 1 when it is there. The caller resets the statement. */
static int get_run(struct store_sqlite *sqlite, int64_t run_key, struct error *err)
{
    sqlite3_bind_int64(sqlite->select_run, 1, run_key);
    return sqlite_step_row(sqlite->select_run, err, read_failed);
}

/* A search for one run of a workflow id. */
struct search {
    struct store_sqlite *sqlite;
    const char *namespace_name, *workflow_id, *run_id;
    struct arena *arena;
    struct store_run *ret_run;
};

/* 1 when this run is the one, and copied. */
static int search_run(void *arg, int64_t run_key, struct error *err)
{
    struct search *search = arg;
    int code = get_run(search->sqlite, run_key, err);
    if (code != 1)
        return code;
    struct store_run run = row_run(search->sqlite->select_run);
    bool is_wanted = strcmp(run.namespace_name, search->namespace_name) == 0 &&
                     strcmp(run.workflow_id, search->workflow_id) == 0 &&
                     (search->run_id[0] == '\0' || strcmp(run.run_id, search->run_id) == 0);
    code = is_wanted ? store_run_copy(&run, search->arena, search->ret_run, err) : 0;
    sqlite3_reset(search->sqlite->select_run);
    return code == 0 ? is_wanted : code;
}

static int sqlite_find(struct store *store, const char *namespace_name, const char *workflow_id,
                       const char *run_id, struct arena *arena, struct store_run *ret_run,
                       struct error *err)
{
    struct store_sqlite *sqlite = (struct store_sqlite *)store;
    struct search search = {.sqlite = sqlite,
                            .namespace_name = namespace_name,
                            .workflow_id = workflow_id,
                            .run_id = run_id,
                            .arena = arena,
                            .ret_run = ret_run};
    int code =
        store_index_each(sqlite->index, namespace_name, workflow_id, search_run, &search, err);
    if (code == 0)
        return error_set(err, ERR_NOT_FOUND, "no run of workflow \"%s\"", workflow_id);
    return code < 0 ? code : 0;
}

/* The row of the log where the run's chain ends. */
static int get_last_seq(struct store_sqlite *sqlite, int64_t run_key, int64_t *ret_seq,
                        struct error *err)
{
    int code = get_run(sqlite, run_key, err);
    if (code < 0)
        return code;
    int64_t seq = code == 1 ? sqlite3_column_int64(sqlite->select_run, COLUMN_LAST_SEQ) : 0;
    sqlite3_reset(sqlite->select_run);
    if (seq == 0)
        seq = store_index_head(sqlite->index, run_key);
    if (seq == 0)
        return error_set(err, ERR_NOT_FOUND, "no run with key %lld", (long long)run_key);
    *ret_seq = seq;
    return 0;
}

/* A run's log while its chain is followed backwards. */
struct chain {
    struct chain *newer;
    struct store_blob records;
};

static int read_link(struct store_sqlite *sqlite, int64_t run_key, int64_t *seq,
                     struct arena *arena, struct chain **chain, struct error *err)
{
    sqlite3_stmt *stmt = sqlite->select_row;
    sqlite3_bind_int64(stmt, 1, *seq);
    int code = sqlite_step_row(stmt, err, read_failed);
    if (code < 0)
        return code;
    int64_t prev_seq = code == 1 ? sqlite3_column_int64(stmt, 1) : *seq;
    /* Chains lead backwards; anything else is not what was written. */
    if (code == 0 || sqlite3_column_int64(stmt, 0) != run_key || prev_seq >= *seq) {
        sqlite3_reset(stmt);
        return error_set(err, ERR_CORRUPT, "the log of run %lld is broken at row %lld",
                         (long long)run_key, (long long)*seq);
    }
    size_t size = (size_t)sqlite3_column_bytes(stmt, 2);
    struct chain *link = arena_alloc(arena, sizeof *link);
    void *data = arena_memdup(arena, sqlite3_column_blob(stmt, 2), size);
    sqlite3_reset(stmt);
    if (link == NULL || data == NULL)
        return error_set(err, ERR_LIMIT, "the log of run %lld does not fit in its arena",
                         (long long)run_key);
    *link = (struct chain){.newer = *chain, .records = {.data = data, .size = size}};
    *chain = link;
    *seq = prev_seq;
    return 0;
}

static int sqlite_load(struct store *store, int64_t run_key, struct arena *arena,
                       struct store_blob **ret_records, size_t *ret_count, struct error *err)
{
    struct store_sqlite *sqlite = (struct store_sqlite *)store;
    int64_t seq = 0;
    int code = get_last_seq(sqlite, run_key, &seq, err);
    struct chain *chain = NULL;
    size_t count = 0;
    while (code == 0 && seq != 0) {
        code = read_link(sqlite, run_key, &seq, arena, &chain, err);
        count++;
    }
    if (code != 0)
        return code;
    struct store_blob *records = arena_calloc(arena, count, sizeof *records);
    if (records == NULL)
        return error_set(err, ERR_LIMIT, "the log of run %lld does not fit in its arena",
                         (long long)run_key);
    for (size_t i = 0; i < count; i++, chain = chain->newer)
        records[i] = chain->records;
    *ret_records = records;
    *ret_count = count;
    return 0;
}

static int sqlite_scan_open(struct store *store, store_run_fn *each, void *arg, struct error *err)
{
    struct store_sqlite *sqlite = (struct store_sqlite *)store;
    struct arena keys_arena, arena;
    arena_init(&keys_arena, ARENA_NO_LIMIT);
    arena_init(&arena, ARENA_NO_LIMIT);
    int64_t *keys;
    size_t key_count;
    int code = store_index_open_runs(sqlite->index, INT64_MAX, &keys_arena, &keys, &key_count, err);
    for (size_t i = code == 0 ? key_count : 0; i > 0 && code == 0; i--) {
        struct store_run run;
        struct store_blob *records;
        size_t record_count;
        arena_reset(&arena);
        code = get_run(sqlite, keys[i - 1], err);
        if (code == 1) {
            struct store_run row = row_run(sqlite->select_run);
            code = store_run_copy(&row, &arena, &run, err);
            sqlite3_reset(sqlite->select_run);
        } else if (code == 0) {
            code = error_set(err, ERR_CORRUPT, "open run %lld is missing", (long long)keys[i - 1]);
        }
        if (code == 0)
            code = sqlite_load(store, run.run_key, &arena, &records, &record_count, err);
        if (code == 0)
            code = each(arg, &run, records, record_count, err);
    }
    arena_fini(&arena);
    arena_fini(&keys_arena);
    return code;
}

static int sqlite_scan_settings(struct store *store, store_setting_fn *each, void *arg,
                                struct error *err)
{
    struct store_sqlite *sqlite = (struct store_sqlite *)store;
    sqlite3_stmt *stmt;
    int code =
        sqlite_prepare(sqlite->reader, "SELECT name, value FROM setting ORDER BY name", &stmt, err);
    if (code != 0)
        return code;
    while ((code = sqlite_step_row(stmt, err, read_failed)) == 1) {
        const struct store_blob value = {.data = sqlite3_column_blob(stmt, 1),
                                         .size = (size_t)sqlite3_column_bytes(stmt, 1)};
        code = each(arg, sqlite_column_text(stmt, 0), &value, err);
        if (code != 0)
            break;
    }
    sqlite3_finalize(stmt);
    return code;
}

static int sqlite_next_run_key(struct store *store, int64_t *ret_run_key, struct error *err)
{
    struct store_sqlite *sqlite = (struct store_sqlite *)store;
    int64_t last;
    int code = sqlite_get_int64(sqlite->reader, "SELECT max(run_key) FROM run", &last, err);
    if (code == 0)
        *ret_run_key = last + 1;
    return code;
}

/* A listing under way. */
struct listing {
    struct store_sqlite *sqlite;
    const struct store_filter *filter;
    int (*each)(void *arg, const struct store_run *run);
    void *arg;
};

/* 1 when the caller has enough. */
static int list_run(void *arg, int64_t run_key, struct error *err)
{
    struct listing *listing = arg;
    int code = get_run(listing->sqlite, run_key, err);
    if (code != 1)
        return code;
    struct store_run run = row_run(listing->sqlite->select_run);
    bool is_enough =
        store_filter_matches(listing->filter, &run) && listing->each(listing->arg, &run) != 0;
    sqlite3_reset(listing->sqlite->select_run);
    return is_enough;
}

static int list_open_runs(struct listing *listing, struct error *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    int64_t *keys;
    size_t count;
    int code = store_index_open_runs(listing->sqlite->index, listing->filter->before_run_key,
                                     &arena, &keys, &count, err);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = list_run(listing, keys[i], err);
    arena_fini(&arena);
    return code;
}

static int list_all_runs(struct listing *listing, struct error *err)
{
    sqlite3_stmt *stmt = listing->sqlite->select_runs;
    sqlite3_bind_int64(stmt, 1, listing->filter->before_run_key);
    int code;
    while ((code = sqlite_step_row(stmt, err, read_failed)) == 1) {
        struct store_run run = row_run(stmt);
        if (store_filter_matches(listing->filter, &run) && listing->each(listing->arg, &run) != 0) {
            sqlite3_reset(stmt);
            break;
        }
    }
    return code;
}

/* By the shortest way: the runs of one id, the open runs, or all. */
static int sqlite_each(struct store *store, const struct store_filter *filter,
                       int (*each)(void *arg, const struct store_run *run), void *arg,
                       struct error *err)
{
    struct store_sqlite *sqlite = (struct store_sqlite *)store;
    struct listing listing = {.sqlite = sqlite, .filter = filter, .each = each, .arg = arg};
    int code;
    if (filter->workflow_id != NULL)
        code = store_index_each(sqlite->index, filter->namespace_name, filter->workflow_id,
                                list_run, &listing, err);
    else if (filter->status == WORKFLOW_EXECUTION_STATUS_RUNNING)
        code = list_open_runs(&listing, err);
    else
        code = list_all_runs(&listing, err);
    return code < 0 ? code : 0;
}

static void sqlite_store_close(struct store *store)
{
    struct store_sqlite *sqlite = (struct store_sqlite *)store;
    store_upkeep_stop(sqlite->upkeep);
    sqlite3_stmt *const statements[] = {sqlite->set,        sqlite->unset,      sqlite->begin,
                                        sqlite->commit,     sqlite->insert_run, sqlite->close_run,
                                        sqlite->insert_row, sqlite->select_run, sqlite->select_runs,
                                        sqlite->select_row};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        sqlite3_finalize(statements[i]);
    store_index_close(sqlite->index);
    sqlite_close(sqlite->reader);
    sqlite_close(sqlite->writer);
    pthread_mutex_destroy(&sqlite->commit_lock);
    if (sqlite->lock_fd >= 0)
        close(sqlite->lock_fd);
    free(sqlite);
}

static const struct store_ops sqlite_ops = {
    .close = sqlite_store_close,
    .commit = sqlite_commit,
    .scan_open = sqlite_scan_open,
    .scan_settings = sqlite_scan_settings,
    .next_run_key = sqlite_next_run_key,
    .find = sqlite_find,
    .load = sqlite_load,
    .each = sqlite_each,
};

static int prepare(struct store_sqlite *sqlite, struct error *err)
{
    const struct {
        sqlite3 *db;
        sqlite3_stmt **ret_stmt;
        const char *sql;
    } statements[] = {
        {sqlite->writer, &sqlite->begin, "BEGIN IMMEDIATE"},
        {sqlite->writer, &sqlite->commit, "COMMIT"},
        {sqlite->writer, &sqlite->insert_run,
         "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, 0)"},
        {sqlite->writer, &sqlite->close_run,
         "UPDATE run SET close_utc_us = ?, status = ?, history_length = ?, last_seq = ?"
         " WHERE run_key = ?"},
        {sqlite->writer, &sqlite->insert_row, "INSERT INTO log VALUES (?, ?, ?, ?)"},
        {sqlite->writer, &sqlite->set, "INSERT OR REPLACE INTO setting VALUES (?, ?)"},
        {sqlite->writer, &sqlite->unset, "DELETE FROM setting WHERE name = ?"},
        {sqlite->reader, &sqlite->select_run, "SELECT " RUN_COLUMNS " FROM run WHERE run_key = ?"},
        {sqlite->reader, &sqlite->select_runs,
         "SELECT " RUN_COLUMNS " FROM run WHERE run_key < ? ORDER BY run_key DESC"},
        {sqlite->reader, &sqlite->select_row,
         "SELECT run_key, prev_seq, records FROM log WHERE seq = ?"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof statements / sizeof statements[0]; i++)
        code = sqlite_prepare(statements[i].db, statements[i].sql, statements[i].ret_stmt, err);
    return code;
}

int store_sqlite_open(const char *path, struct store **ret_store, struct error *err)
{
    struct store_sqlite *sqlite = calloc(1, sizeof *sqlite);
    if (sqlite == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a store");
    sqlite->store.ops = &sqlite_ops;
    sqlite->lock_fd = -1;
    pthread_mutex_init(&sqlite->commit_lock, NULL);
    int code = store_file_lock(path, &sqlite->lock_fd, err);
    if (code == 0)
        code = store_file_open(path, &sqlite->writer, err);
    if (code == 0)
        code = store_file_connect(path, &sqlite->reader, err);
    if (code == 0)
        code = prepare(sqlite, err);
    if (code == 0)
        code = sqlite_get_int64(sqlite->reader, "SELECT coalesce(max(seq), 0) + 1 FROM log",
                                &sqlite->next_seq, err);
    if (code == 0)
        code = store_index_open(path, sqlite->reader, &sqlite->index, err);
    if (code == 0)
        code = store_upkeep_start(path, sqlite->index, &sqlite->commit_lock, &sqlite->upkeep, err);
    if (code != 0) {
        sqlite_store_close(&sqlite->store);
        return code;
    }
    sqlite3_wal_hook(sqlite->writer, remember_wal_pages, sqlite);
    *ret_store = &sqlite->store;
    return 0;
}
