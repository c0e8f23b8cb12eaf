/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_memory: the store of tests, of the simulator and of `--store memory`: the same promises as
 * SQLite's, kept until the process ends.
 *
 * Runs are in one list by rising run key; tables find them by key and by (namespace, workflow id).
 * A mutex stands in for SQLite's isolation between the committing and the reading thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/hash.h"
#include "engine/store_ops.h"

struct memory_record {
    struct memory_record *next;
    size_t size;
    uint8_t data[];
};

struct memory_run {
    struct store_run run;                        /* its strings are in the store's arena */
    struct memory_record *records, *last_record; /* oldest first */
    size_t record_count;
    struct memory_run *same_id; /* the next older run of the same workflow id */
    struct memory_run *prev, *next;
    UT_hash_handle hh;
};

/* The runs of one workflow id. */
struct memory_id {
    struct memory_run *newest;
    UT_hash_handle hh;
    char key[]; /* namespace, NUL, workflow id */
};

struct memory_setting {
    struct memory_setting *next;
    struct memory_record *value;
    char name[];
};

struct store_memory {
    struct store store;
    pthread_mutex_t lock;
    struct arena arena;      /* the runs' strings */
    struct memory_run *runs; /* rising run keys */
    struct memory_run *runs_by_key;
    struct memory_id *ids;
    struct memory_setting *settings;
};

static struct memory_run *run_get(struct store_memory *memory, int64_t run_key)
{
    struct memory_run *run;
    HASH_FIND(hh, memory->runs_by_key, &run_key, sizeof run_key, run);
    return run;
}

static void run_destroy(struct memory_run *run)
{
    while (run->records != NULL) {
        struct memory_record *record = run->records;
        run->records = record->next;
        free(record);
    }
    free(run);
}

/* A new struct memory_id's key, or one to look up; the caller frees it. */
static struct memory_id *id_create(const char *namespace_name, const char *workflow_id,
                                   size_t *ret_size)
{
    size_t namespace_size = strlen(namespace_name) + 1;
    size_t id_size = strlen(workflow_id);
    struct memory_id *id = calloc(1, sizeof *id + namespace_size + id_size);
    ASSERT(id != NULL);
    memcpy(id->key, namespace_name, namespace_size);
    memcpy(id->key + namespace_size, workflow_id, id_size);
    *ret_size = namespace_size + id_size;
    return id;
}

static struct memory_id *id_get(struct store_memory *memory, const char *namespace_name,
                                const char *workflow_id, bool create)
{
    size_t size;
    struct memory_id *wanted = id_create(namespace_name, workflow_id, &size);
    struct memory_id *found;
    HASH_FIND(hh, memory->ids, wanted->key, size, found);
    if (found == NULL && create) {
        HASH_ADD_KEYPTR(hh, memory->ids, wanted->key, size, wanted);
        return wanted;
    }
    free(wanted);
    return found;
}

static void run_open(struct store_memory *memory, const struct store_run *source)
{
    struct memory_run *last = memory->runs != NULL ? memory->runs->prev : NULL;
    ASSERT(last == NULL || last->run.run_key < source->run_key);
    struct memory_run *run = calloc(1, sizeof *run);
    ASSERT(run != NULL);
    int code = store_run_copy(source, &memory->arena, &run->run, NULL);
    ASSERT(code == 0);
    DL_APPEND(memory->runs, run);
    HASH_ADD(hh, memory->runs_by_key, run.run_key, sizeof run->run.run_key, run);
    struct memory_id *id = id_get(memory, run->run.namespace_name, run->run.workflow_id, true);
    run->same_id = id->newest;
    id->newest = run;
}

static struct memory_record *record_create(const struct store_blob *blob)
{
    struct memory_record *record = malloc(sizeof *record + blob->size);
    ASSERT(record != NULL);
    *record = (struct memory_record){.size = blob->size};
    memcpy(record->data, blob->data, blob->size);
    return record;
}

static void setting_destroy(struct store_memory *memory, struct memory_setting *setting)
{
    LL_DELETE(memory->settings, setting);
    free(setting->value);
    free(setting);
}

static void setting_change(struct store_memory *memory, const char *name,
                           const struct store_blob *value)
{
    struct memory_setting *setting;
    LL_FOREACH (memory->settings, setting) {
        if (strcmp(setting->name, name) == 0)
            break;
    }
    if (setting != NULL)
        setting_destroy(memory, setting);
    if (value->size == 0)
        return;
    setting = malloc(sizeof *setting + strlen(name) + 1);
    ASSERT(setting != NULL);
    setting->value = record_create(value);
    strcpy(setting->name, name);
    LL_PREPEND(memory->settings, setting);
}

static void run_append(struct memory_run *run, const struct store_blob *records)
{
    struct memory_record *record = record_create(records);
    if (run->records == NULL)
        run->records = record;
    else
        run->last_record->next = record;
    run->last_record = record;
    run->record_count++;
}

static int memory_commit(struct store *store, const struct store_write *writes, size_t count,
                         struct error *err)
{
    struct store_memory *memory = (struct store_memory *)store;
    (void)err;
    pthread_mutex_lock(&memory->lock);
    for (size_t i = 0; i < count; i++) {
        const struct store_write *write = &writes[i];
        if (write->setting != NULL) {
            setting_change(memory, write->setting, &write->records);
            continue;
        }
        if (write->opened)
            run_open(memory, &write->run);
        struct memory_run *run = run_get(memory, write->run_key);
        ASSERT(run != NULL && run->run.close_utc_us == 0);
        ASSERT(write->records.size > 0 || write->closed);
        if (write->records.size > 0)
            run_append(run, &write->records);
        if (write->closed) {
            run->run.status = write->run.status;
            run->run.close_utc_us = write->run.close_utc_us;
            run->run.history_length = write->run.history_length;
        }
    }
    pthread_mutex_unlock(&memory->lock);
    return 0;
}

/* The run's log; the blobs' list is in arena, the bytes are the store's. */
static int list_records(const struct memory_run *run, struct arena *arena,
                        struct store_blob **ret_records, struct error *err)
{
    struct store_blob *blobs = arena_calloc(arena, run->record_count, sizeof *blobs);
    if (blobs == NULL)
        return error_set(err, ERR_LIMIT, "a run's log does not fit in its arena");
    size_t count = 0;
    for (const struct memory_record *record = run->records; record != NULL; record = record->next)
        blobs[count++] = (struct store_blob){.data = record->data, .size = record->size};
    *ret_records = blobs;
    return 0;
}

/* Runs before the first commit, so no lock is held while each is called. */
static int memory_scan_open(struct store *store, store_run_fn *each, void *arg, struct error *err)
{
    struct store_memory *memory = (struct store_memory *)store;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    int code = 0;
    for (struct memory_run *run = memory->runs; run != NULL && code == 0; run = run->next) {
        if (run->run.close_utc_us != 0)
            continue;
        struct store_blob *records;
        arena_reset(&arena);
        code = list_records(run, &arena, &records, err);
        if (code == 0)
            code = each(arg, &run->run, records, run->record_count, err);
    }
    arena_fini(&arena);
    return code;
}

/* As above, before the first commit. */
static int memory_scan_settings(struct store *store, store_setting_fn *each, void *arg,
                                struct error *err)
{
    const struct store_memory *memory = (const struct store_memory *)store;
    const struct memory_setting *setting;
    int code = 0;
    LL_FOREACH (memory->settings, setting) {
        const struct store_blob value = {.data = setting->value->data,
                                         .size = setting->value->size};
        code = each(arg, setting->name, &value, err);
        if (code != 0)
            break;
    }
    return code;
}

static int memory_next_run_key(struct store *store, int64_t *ret_run_key, struct error *err)
{
    struct store_memory *memory = (struct store_memory *)store;
    (void)err;
    pthread_mutex_lock(&memory->lock);
    *ret_run_key = memory->runs != NULL ? memory->runs->prev->run.run_key + 1 : 1;
    pthread_mutex_unlock(&memory->lock);
    return 0;
}

static int memory_find(struct store *store, const char *namespace_name, const char *workflow_id,
                       const char *run_id, struct arena *arena, struct store_run *ret_run,
                       struct error *err)
{
    struct store_memory *memory = (struct store_memory *)store;
    pthread_mutex_lock(&memory->lock);
    struct memory_id *id = id_get(memory, namespace_name, workflow_id, false);
    struct memory_run *run = id != NULL ? id->newest : NULL;
    while (run != NULL && run_id[0] != '\0' && strcmp(run->run.run_id, run_id) != 0)
        run = run->same_id;
    int code = run != NULL
                   ? store_run_copy(&run->run, arena, ret_run, err)
                   : error_set(err, ERR_NOT_FOUND, "no run of workflow \"%s\"", workflow_id);
    pthread_mutex_unlock(&memory->lock);
    return code;
}

static int memory_load(struct store *store, int64_t run_key, struct arena *arena,
                       struct store_blob **ret_records, size_t *ret_count, struct error *err)
{
    struct store_memory *memory = (struct store_memory *)store;
    int code = 0;
    pthread_mutex_lock(&memory->lock);
    struct memory_run *run = run_get(memory, run_key);
    struct store_blob *records = NULL;
    if (run == NULL)
        code = error_set(err, ERR_NOT_FOUND, "no run with key %lld", (long long)run_key);
    else
        code = list_records(run, arena, &records, err);
    for (size_t i = 0; code == 0 && i < run->record_count; i++) {
        records[i].data = arena_memdup(arena, records[i].data, records[i].size);
        if (records[i].data == NULL)
            code = error_set(err, ERR_LIMIT, "a run's log does not fit in its arena");
    }
    if (code == 0) {
        *ret_records = records;
        *ret_count = run->record_count;
    }
    pthread_mutex_unlock(&memory->lock);
    return code;
}

static int memory_each(struct store *store, const struct store_filter *filter,
                       int (*each)(void *arg, const struct store_run *run), void *arg,
                       struct error *err)
{
    struct store_memory *memory = (struct store_memory *)store;
    (void)err;
    pthread_mutex_lock(&memory->lock);
    /* In utlist's doubly linked lists the first element's prev is the last. */
    struct memory_run *last = memory->runs != NULL ? memory->runs->prev : NULL;
    for (struct memory_run *run = last; run != NULL; run = run == memory->runs ? NULL : run->prev) {
        if (store_filter_matches(filter, &run->run) && each(arg, &run->run) != 0)
            break;
    }
    pthread_mutex_unlock(&memory->lock);
    return 0;
}

static void memory_close(struct store *store)
{
    struct store_memory *memory = (struct store_memory *)store;
    HASH_CLEAR(hh, memory->runs_by_key);
    struct memory_run *run, *next_run;
    DL_FOREACH_SAFE (memory->runs, run, next_run) {
        run_destroy(run);
    }
    struct memory_id *id, *next_id;
    HASH_ITER (hh, memory->ids, id, next_id) {
        HASH_DEL(memory->ids, id);
        free(id);
    }
    while (memory->settings != NULL)
        setting_destroy(memory, memory->settings);
    arena_fini(&memory->arena);
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static const struct store_ops memory_ops = {
    .close = memory_close,
    .commit = memory_commit,
    .scan_open = memory_scan_open,
    .scan_settings = memory_scan_settings,
    .next_run_key = memory_next_run_key,
    .find = memory_find,
    .load = memory_load,
    .each = memory_each,
};

int store_memory_open(struct store **ret_store, struct error *err)
{
    struct store_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a store");
    memory->store.ops = &memory_ops;
    pthread_mutex_init(&memory->lock, NULL);
    arena_init(&memory->arena, ARENA_NO_LIMIT);
    *ret_store = &memory->store;
    return 0;
}
