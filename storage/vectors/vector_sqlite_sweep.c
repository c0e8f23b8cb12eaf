/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_sqlite_sweep: removes from the file what no search can see: chunks of replaced documents
 * and of uploads that nobody committed. In steps small enough that writers hardly wait, on a thread
 * of its own with low urgency; killed at any step, the next start goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "storage/vectors/vector_sqlite.h"

/* Chunks removed in one transaction: some 10 ms. */
#define STEP_CHUNKS 512

/* After a failure (a full disk), until the next try. */
#define RETRY_S 10

/* Forgets uploads that were not used for VECTOR_UPLOAD_KEEP_US: names of those that are committed
 * and shown no more; those never committed with their chunks. */
static int prune(struct vector_sqlite *sqlite, struct error *err)
{
    char sql[512];
    long long before = (long long)(clock_utc_us() - VECTOR_UPLOAD_KEEP_US);
    snprintf(sql, sizeof sql,
             "BEGIN IMMEDIATE;"
             "INSERT OR IGNORE INTO garbage SELECT upload_key FROM upload"
             " WHERE used_utc_us < %lld AND NOT is_committed;"
             "DELETE FROM upload WHERE used_utc_us < %lld"
             " AND upload_key NOT IN (SELECT upload_key FROM document);"
             "COMMIT",
             before, before);
    int code = sqlite_exec(sqlite->writer, sql, err);
    if (code != 0 && !sqlite3_get_autocommit(sqlite->writer))
        sqlite_exec(sqlite->writer, "ROLLBACK", NULL);
    return code;
}

/* The first key of garbage, 0 where there is none, and how far this step goes: up to the key of its
 * STEP_CHUNKS-th chunk, or to its end. */
static int plan_step(struct vector_sqlite *sqlite, int64_t *ret_upload, int64_t *ret_last,
                     struct error *err)
{
    char sql[160];
    int64_t last = 0;
    int code =
        sqlite_get_int64(sqlite->writer, "SELECT min(upload_key) FROM garbage", ret_upload, err);
    if (code != 0 || *ret_upload == 0)
        return code;
    snprintf(sql, sizeof sql,
             "SELECT chunk_key FROM chunk WHERE chunk_key >= %lld AND chunk_key < %lld"
             " ORDER BY chunk_key LIMIT 1 OFFSET %d",
             (long long)vector_chunk_key(*ret_upload, 0),
             (long long)vector_chunk_key(*ret_upload + 1, 0), STEP_CHUNKS - 1);
    code = sqlite_get_int64(sqlite->writer, sql, &last, err);
    *ret_last = last;
    return code;
}

/* 1 while there is more. */
static int sweep_step(struct vector_sqlite *sqlite, struct error *err)
{
    int64_t upload = 0, last = 0;
    int code = plan_step(sqlite, &upload, &last, err);
    if (code != 0 || upload == 0)
        return code;
    long long first = vector_chunk_key(upload, 0);
    long long end = last != 0 ? last + 1 : vector_chunk_key(upload + 1, 0);
    char sql[512];
    snprintf(sql, sizeof sql,
             "BEGIN IMMEDIATE;"
             "DELETE FROM chunk WHERE chunk_key >= %lld AND chunk_key < %lld;"
             "DELETE FROM vector WHERE chunk_key >= %lld AND chunk_key < %lld;"
             "DELETE FROM text WHERE chunk_key >= %lld AND chunk_key < %lld;"
             "DELETE FROM garbage WHERE upload_key = %lld AND %d;"
             "COMMIT",
             first, end, first, end, first, end, (long long)upload, last == 0);
    code = sqlite_exec(sqlite->writer, sql, err);
    if (code != 0 && !sqlite3_get_autocommit(sqlite->writer))
        sqlite_exec(sqlite->writer, "ROLLBACK", NULL);
    return code == 0 ? 1 : code;
}

static bool is_closing(struct vector_sqlite *sqlite)
{
    pthread_mutex_lock(&sqlite->sweep_lock);
    bool closing = sqlite->is_closing;
    pthread_mutex_unlock(&sqlite->sweep_lock);
    return closing;
}

/* All that is there now. */
static int sweep(struct vector_sqlite *sqlite, bool with_prune, struct error *err)
{
    int code = 1;
    while (code == 1 && !is_closing(sqlite)) {
        pthread_mutex_lock(&sqlite->writer_lock);
        code = with_prune ? prune(sqlite, err) : 0;
        with_prune = false;
        if (code == 0)
            code = sweep_step(sqlite, err);
        pthread_mutex_unlock(&sqlite->writer_lock);
    }
    return code < 0 ? code : 0;
}

/* Until it is woken, or for that long; false when the store closes. */
static bool sweeper_wait(struct vector_sqlite *sqlite, int64_t wait_s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_s;
    pthread_mutex_lock(&sqlite->sweep_lock);
    int status = 0;
    while (!sqlite->sweep_wanted && !sqlite->is_closing && status != ETIMEDOUT)
        status = pthread_cond_timedwait(&sqlite->sweep_wake, &sqlite->sweep_lock, &until);
    sqlite->sweep_wanted = false;
    bool goes_on = !sqlite->is_closing;
    pthread_mutex_unlock(&sqlite->sweep_lock);
    return goes_on;
}

static void *sweeper_main(void *arg)
{
    struct vector_sqlite *sqlite = arg;
    uint64_t pruned_ns = 0;
    bool failed = false;
    do {
        struct error err = {0};
        uint64_t now_ns = clock_monotonic_ns();
        bool with_prune = pruned_ns == 0 || now_ns - pruned_ns > VECTOR_UPLOAD_PRUNE_US * 1000;
        bool fails = sweep(sqlite, with_prune, &err) != 0;
        if (with_prune && !fails)
            pruned_ns = now_ns;
        if (fails && !failed) {
            char quoted[ERROR_TEXT_MAX + 64];
            log_warn("vectors.unswept", "reason=%s", log_quote(err.text, quoted, sizeof quoted));
        }
        failed = fails;
    } while (sweeper_wait(sqlite, failed ? RETRY_S : VECTOR_UPLOAD_PRUNE_US / 1000000 + 1));
    return NULL;
}

int vector_sweeper_start(struct vector_sqlite *sqlite, struct error *err)
{
    if (pthread_create(&sqlite->sweeper, NULL, sweeper_main, sqlite) != 0)
        return error_set(err, ERR_MEMORY, "could not start a thread");
    sqlite->has_sweeper = true;
    return 0;
}

void vector_sweeper_wake(struct vector_sqlite *sqlite)
{
    pthread_mutex_lock(&sqlite->sweep_lock);
    sqlite->sweep_wanted = true;
    pthread_cond_signal(&sqlite->sweep_wake);
    pthread_mutex_unlock(&sqlite->sweep_lock);
}

void vector_sweeper_stop(struct vector_sqlite *sqlite)
{
    if (!sqlite->has_sweeper)
        return;
    pthread_mutex_lock(&sqlite->sweep_lock);
    sqlite->is_closing = true;
    pthread_cond_signal(&sqlite->sweep_wake);
    pthread_mutex_unlock(&sqlite->sweep_lock);
    pthread_join(sqlite->sweeper, NULL);
    sqlite->has_sweeper = false;
}
