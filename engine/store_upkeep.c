/* SPDX-License-Identifier: Apache-2.0 */
/* store_upkeep: see store_upkeep.h. */
#include "engine/store_upkeep.h"

#include <stdbool.h>
#include <stdlib.h>

#include "engine/store_file.h"

struct store_upkeep {
    sqlite3 *db; /* for checkpoints alone */
    struct store_index *index;
    pthread_mutex_t *commit_lock;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under lock */
    bool stopping;
    int wal_pages;          /* in the write-ahead log after the last commit */
    int checkpointed_pages; /* of them copied to the file */
    struct error failure;
};

/* Copies what is in the log and no reader needs; *ret_left is what was added meanwhile. */
static int checkpoint_once(struct store_upkeep *upkeep, int *ret_pages, int *ret_left,
                           struct error *err)
{
    int pages = 0, copied = 0;
    int status =
        sqlite3_wal_checkpoint_v2(upkeep->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied);
    if (status != SQLITE_OK && status != SQLITE_BUSY)
        return sqlite_fail(upkeep->db, status, err, "could not checkpoint the store");
    *ret_pages = copied;
    *ret_left = pages - copied;
    return 0;
}

static int checkpoint(struct store_upkeep *upkeep, int wal_pages, struct error *err)
{
    int copied, left;
    int code = checkpoint_once(upkeep, &copied, &left, err);
    if (code == 0 && wal_pages >= STORE_UPKEEP_WAL_PAGES_MAX) {
        pthread_mutex_lock(upkeep->commit_lock);
        code = checkpoint_once(upkeep, &copied, &left, err);
        pthread_mutex_unlock(upkeep->commit_lock);
    }
    if (code != 0)
        return code;
    pthread_mutex_lock(&upkeep->lock);
    upkeep->checkpointed_pages = copied;
    pthread_mutex_unlock(&upkeep->lock);
    return 0;
}

static bool is_checkpoint_due(const struct store_upkeep *upkeep)
{
    return upkeep->wal_pages - upkeep->checkpointed_pages >= STORE_UPKEEP_WAL_PAGES;
}

static void *run(void *arg)
{
    struct store_upkeep *upkeep = arg;
    struct error err = {0};
    int code = 0;
    pthread_mutex_lock(&upkeep->lock);
    while (code == 0 && !upkeep->stopping) {
        bool checkpoint_due = is_checkpoint_due(upkeep);
        bool flush_due = store_index_is_flush_due(upkeep->index);
        if (!checkpoint_due && !flush_due) {
            pthread_cond_wait(&upkeep->wake, &upkeep->lock);
            continue;
        }
        int wal_pages = upkeep->wal_pages;
        pthread_mutex_unlock(&upkeep->lock);
        if (checkpoint_due)
            code = checkpoint(upkeep, wal_pages, &err);
        if (code == 0 && flush_due)
            code = store_index_flush(upkeep->index, &err);
        pthread_mutex_lock(&upkeep->lock);
    }
    if (code != 0)
        upkeep->failure = err;
    pthread_mutex_unlock(&upkeep->lock);
    /* What a failed last flush would have saved is read again at the next opening. */
    if (code == 0)
        store_index_flush(upkeep->index, NULL);
    return NULL;
}

int store_upkeep_start(const char *path, struct store_index *index, pthread_mutex_t *commit_lock,
                       struct store_upkeep **ret_upkeep, struct error *err)
{
    struct store_upkeep *upkeep = calloc(1, sizeof *upkeep);
    if (upkeep == NULL)
        return error_set(err, ERR_MEMORY, "no memory for the store's upkeep");
    upkeep->index = index;
    upkeep->commit_lock = commit_lock;
    int code = store_file_connect(path, &upkeep->db, err);
    if (code != 0)
        goto fail;
    pthread_mutex_init(&upkeep->lock, NULL);
    pthread_cond_init(&upkeep->wake, NULL);
    int status = pthread_create(&upkeep->thread, NULL, run, upkeep);
    if (status != 0) {
        code = error_set_errno(err, ERR_MEMORY, status, "could not start a thread");
        goto fail;
    }
    *ret_upkeep = upkeep;
    return 0;

fail:
    sqlite_close(upkeep->db);
    free(upkeep);
    return code;
}

void store_upkeep_stop(struct store_upkeep *upkeep)
{
    if (upkeep == NULL)
        return;
    pthread_mutex_lock(&upkeep->lock);
    upkeep->stopping = true;
    pthread_cond_signal(&upkeep->wake);
    pthread_mutex_unlock(&upkeep->lock);
    pthread_join(upkeep->thread, NULL);
    sqlite_close(upkeep->db);
    pthread_cond_destroy(&upkeep->wake);
    pthread_mutex_destroy(&upkeep->lock);
    free(upkeep);
}

void store_upkeep_tell(struct store_upkeep *upkeep, int wal_pages)
{
    bool flush_due = store_index_is_flush_due(upkeep->index);
    pthread_mutex_lock(&upkeep->lock);
    if (wal_pages < upkeep->wal_pages) /* the log started over */
        upkeep->checkpointed_pages = 0;
    upkeep->wal_pages = wal_pages;
    if (flush_due || is_checkpoint_due(upkeep))
        pthread_cond_signal(&upkeep->wake);
    pthread_mutex_unlock(&upkeep->lock);
}

int store_upkeep_check(struct store_upkeep *upkeep, struct error *err)
{
    pthread_mutex_lock(&upkeep->lock);
    int code = upkeep->failure.code;
    if (code != 0 && err != NULL)
        *err = upkeep->failure;
    pthread_mutex_unlock(&upkeep->lock);
    return code;
}
