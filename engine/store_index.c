/* SPDX-License-Identifier: Apache-2.0 */
/* store_index: see store_index.h. The file's part is store_index_file.c. */
#include "engine/store_index.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/hash.h"
#include "engine/store_index_file.h"
#include "engine/store_pending.h"

/* An open run: where its log ends. */
struct head {
    int64_t run_key;
    int64_t last_seq;         /* published; 0 until the run's first transaction is durable */
    int64_t staged_seq;       /* of the transaction under way; the committing thread's own */
    struct head *prev, *next; /* published ones, by when last_seq changed, oldest first */
    UT_hash_handle hh;        /* by run_key; iterates in the order of opening */
};

struct store_index {
    struct store_index_file file;
    pthread_mutex_t lock; /* of all below, except staged_seq */
    struct head *heads;
    struct head *heads_by_change;
    struct store_pending pending;
    int64_t published_seq; /* the newest row of the log that is published */
    /* How far the last flush, done or under way, reads the store. */
    int64_t flushed_seq;
    int64_t flushed_run_key;
    int64_t *gone; /* runs closed since that flush which the file has as open */
    size_t gone_count, gone_capacity;
};

static struct head *head_get(struct store_index *index, int64_t run_key)
{
    struct head *head;
    HASH_FIND(hh, index->heads, &run_key, sizeof run_key, head);
    return head;
}

static struct head *head_add(struct store_index *index, int64_t run_key, int64_t last_seq)
{
    struct head *head = malloc(sizeof *head);
    ASSERT(head != NULL);
    *head = (struct head){.run_key = run_key, .last_seq = last_seq, .staged_seq = last_seq};
    HASH_ADD(hh, index->heads, run_key, sizeof head->run_key, head);
    return head;
}

static void gone_add(struct store_index *index, int64_t run_key)
{
    if (index->gone_count == index->gone_capacity) {
        index->gone_capacity = index->gone_capacity != 0 ? index->gone_capacity * 2 : 64;
        index->gone = reallocarray(index->gone, index->gone_capacity, sizeof *index->gone);
        ASSERT(index->gone != NULL);
    }
    index->gone[index->gone_count++] = run_key;
}

void store_index_stage_open(struct store_index *index, int64_t run_key)
{
    pthread_mutex_lock(&index->lock);
    head_add(index, run_key, 0);
    pthread_mutex_unlock(&index->lock);
}

/* Only this thread adds and removes heads, so it may look them up without the lock. */
int64_t store_index_stage(struct store_index *index, int64_t run_key, int64_t seq)
{
    struct head *head = head_get(index, run_key);
    ASSERT(head != NULL);
    int64_t before = head->staged_seq;
    if (seq != 0)
        head->staged_seq = seq;
    return before;
}

static void publish_write(struct store_index *index, const struct store_write *write)
{
    struct head *head = head_get(index, write->run_key);
    ASSERT(head != NULL);
    if (write->opened) {
        DL_APPEND(index->heads_by_change, head);
        store_pending_add(&index->pending,
                          store_id_hash(write->run.namespace_name, write->run.workflow_id),
                          write->run_key);
    }
    if (write->closed) {
        if (head->last_seq != 0 && write->run_key <= index->flushed_run_key)
            gone_add(index, write->run_key);
        if (head->staged_seq > index->published_seq)
            index->published_seq = head->staged_seq;
        DL_DELETE(index->heads_by_change, head);
        HASH_DEL(index->heads, head);
        free(head);
        return;
    }
    if (head->last_seq == head->staged_seq)
        return;
    head->last_seq = head->staged_seq;
    if (head->last_seq > index->published_seq)
        index->published_seq = head->last_seq;
    DL_DELETE(index->heads_by_change, head);
    DL_APPEND(index->heads_by_change, head);
}

void store_index_publish(struct store_index *index, const struct store_write *writes, size_t count)
{
    pthread_mutex_lock(&index->lock);
    for (size_t i = 0; i < count; i++) {
        if (writes[i].setting == NULL)
            publish_write(index, &writes[i]);
    }
    pthread_mutex_unlock(&index->lock);
}

/* Runs of one id that are still pending: nearly always none or one. */
#define PENDING_INLINE 16

int store_index_each(struct store_index *index, const char *namespace_name, const char *workflow_id,
                     store_index_fn *each, void *arg, struct error *err)
{
    uint64_t hash = store_id_hash(namespace_name, workflow_id);
    int64_t some[PENDING_INLINE];
    int64_t *keys = some;
    pthread_mutex_lock(&index->lock);
    size_t count = store_pending_find(&index->pending, hash, some, PENDING_INLINE);
    if (count > PENDING_INLINE) {
        keys = calloc(count, sizeof *keys);
        ASSERT(keys != NULL);
        store_pending_find(&index->pending, hash, keys, count);
    }
    pthread_mutex_unlock(&index->lock);

    /* What a flush moves to the file between the two looks is seen in both: the file is asked only
     * for what is older. */
    int64_t before_run_key = count > 0 ? keys[0] : INT64_MAX;
    int code = 0;
    for (size_t i = count; i > 0 && code == 0; i--)
        code = each(arg, keys[i - 1], err);
    if (keys != some)
        free(keys);
    if (code == 0)
        code = store_index_file_each(&index->file, hash, before_run_key, each, arg, err);
    return code;
}

int store_index_open_runs(struct store_index *index, int64_t before_run_key, struct arena *arena,
                          int64_t **ret_keys, size_t *ret_count, struct error *err)
{
    pthread_mutex_lock(&index->lock);
    int64_t *keys = arena_alloc(arena, HASH_COUNT(index->heads) * sizeof *keys);
    size_t count = 0;
    /* The table remembers the order of opening, so from its tail back keys fall. */
    struct head *head = NULL;
    if (keys != NULL && index->heads != NULL)
        head = ELMT_FROM_HH(index->heads->hh.tbl, index->heads->hh.tbl->tail);
    for (; head != NULL; head = head->hh.prev) {
        if (head->last_seq != 0 && head->run_key < before_run_key)
            keys[count++] = head->run_key;
    }
    pthread_mutex_unlock(&index->lock);
    if (keys == NULL)
        return error_set(err, ERR_LIMIT, "the open runs do not fit in an arena");
    *ret_keys = keys;
    *ret_count = count;
    return 0;
}

int64_t store_index_head(struct store_index *index, int64_t run_key)
{
    pthread_mutex_lock(&index->lock);
    struct head *head = head_get(index, run_key);
    int64_t last_seq = head != NULL ? head->last_seq : 0;
    pthread_mutex_unlock(&index->lock);
    return last_seq;
}

bool store_index_is_flush_due(struct store_index *index)
{
    pthread_mutex_lock(&index->lock);
    bool is_due = index->pending.count >= STORE_INDEX_FLUSH_RUNS ||
                  index->published_seq - index->flushed_seq >= STORE_INDEX_FLUSH_ROWS;
    pthread_mutex_unlock(&index->lock);
    return is_due;
}

/* A copy of what changed since the last flush, so that the file is written without the lock. Runs
 * opened later than the batch's last are in none of its lists: those are read from the store again.
 */
static void take_batch(struct store_index *index, struct store_index_batch *batch)
{
    *batch = (struct store_index_batch){.run_count = index->pending.count,
                                        .gone_count = index->gone_count,
                                        .head_seq = index->published_seq,
                                        .indexed_run_key = index->flushed_run_key};
    if (batch->run_count > 0) {
        batch->runs = calloc(batch->run_count, sizeof *batch->runs);
        ASSERT(batch->runs != NULL);
        memcpy(batch->runs, index->pending.runs, batch->run_count * sizeof *batch->runs);
        batch->indexed_run_key = batch->runs[batch->run_count - 1].run_key;
    }
    batch->gone = index->gone;
    index->gone = NULL;
    index->gone_count = index->gone_capacity = 0;

    size_t capacity = 0;
    struct head *first = NULL;
    struct head *last = index->heads_by_change != NULL ? index->heads_by_change->prev : NULL;
    for (struct head *head = last; head != NULL && head->last_seq > index->flushed_seq;
         head = head == index->heads_by_change ? NULL : head->prev) {
        first = head;
        capacity++;
    }
    batch->heads = calloc(capacity > 0 ? capacity : 1, sizeof *batch->heads);
    ASSERT(batch->heads != NULL);
    for (struct head *head = first; head != NULL; head = head->next)
        batch->heads[batch->head_count++] =
            (struct store_index_head){.run_key = head->run_key, .last_seq = head->last_seq};
    index->flushed_seq = batch->head_seq;
    index->flushed_run_key = batch->indexed_run_key;
}

int store_index_flush(struct store_index *index, struct error *err)
{
    struct store_index_batch batch;
    pthread_mutex_lock(&index->lock);
    take_batch(index, &batch);
    pthread_mutex_unlock(&index->lock);

    int code = store_index_file_write(&index->file, &batch, err);
    if (code == 0) {
        pthread_mutex_lock(&index->lock);
        store_pending_remove(&index->pending, batch.run_count);
        pthread_mutex_unlock(&index->lock);
    }
    free(batch.runs);
    free(batch.gone);
    free(batch.heads);
    return code;
}

static void recover_open(void *arg, int64_t run_key, int64_t last_seq)
{
    struct store_index *index = arg;
    struct head *head = head_add(index, run_key, last_seq);
    DL_APPEND(index->heads_by_change, head);
}

static void recover_closed(void *arg, int64_t run_key)
{
    gone_add(arg, run_key);
}

static void recover_row(void *arg, int64_t run_key, int64_t seq)
{
    struct store_index *index = arg;
    struct head *head = head_get(index, run_key);
    index->published_seq = seq;
    if (head == NULL)
        return; /* of a run that has closed since */
    head->last_seq = seq;
    head->staged_seq = seq;
    DL_DELETE(index->heads_by_change, head);
    DL_APPEND(index->heads_by_change, head);
}

/* Fills the memory part from the file and what the store has beyond it, then makes the file
 * current, so that the next opening reads little. */
static int recover(struct store_index *index, sqlite3 *db, struct error *err)
{
    index->published_seq = index->flushed_seq = index->file.head_seq;
    int code = sqlite_get_int64(db, "SELECT max(run_key) FROM run", &index->flushed_run_key, err);
    if (code != 0)
        return code;
    const struct store_index_visitor visitor = {.arg = index,
                                                .run_is_open = recover_open,
                                                .run_is_closed = recover_closed,
                                                .row_is_new = recover_row};
    code = store_index_file_recover(&index->file, db, &visitor, err);
    if (code == 0 && index->published_seq != index->file.head_seq)
        code = store_index_flush(index, err);
    return code;
}

int store_index_open(const char *path, sqlite3 *db, struct store_index **ret_index,
                     struct error *err)
{
    struct store_index *index = calloc(1, sizeof *index);
    if (index == NULL)
        return error_set(err, ERR_MEMORY, "no memory for the store's index");
    pthread_mutex_init(&index->lock, NULL);
    int code = store_index_file_open(&index->file, path, db, err);
    if (code == 0)
        code = recover(index, db, err);
    if (code != 0) {
        store_index_close(index);
        return code;
    }
    *ret_index = index;
    return 0;
}

void store_index_close(struct store_index *index)
{
    if (index == NULL)
        return;
    struct head *head, *next;
    HASH_ITER (hh, index->heads, head, next) {
        HASH_DEL(index->heads, head);
        free(head);
    }
    store_pending_fini(&index->pending);
    free(index->gone);
    store_index_file_close(&index->file);
    pthread_mutex_destroy(&index->lock);
    free(index);
}
