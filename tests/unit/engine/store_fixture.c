/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture: see store_fixture.h. */
#include "tests/unit/engine/store_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void folder_create(char folder[64])
{
    snprintf(folder, 64, "/tmp/argosy-store-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

void folder_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(folder);
}

static void open_store(struct store_fixture *fixture)
{
    struct error err = {0};
    if (store_open(fixture->path, &fixture->store, &err) != 0)
        fail_msg("%s", err.text);
}

void fixture_open(struct store_fixture *fixture, bool is_memory)
{
    *fixture = (struct store_fixture){0};
    arena_init(&fixture->arena, ARENA_NO_LIMIT);
    if (!is_memory) {
        folder_create(fixture->folder);
        snprintf(fixture->path, sizeof fixture->path, "%s/engine.db", fixture->folder);
    }
    open_store(fixture);
}

void fixture_close(struct store_fixture *fixture)
{
    store_close(fixture->store);
    arena_fini(&fixture->arena);
    if (fixture->folder[0] != '\0')
        folder_remove(fixture->folder);
}

void fixture_reopen(struct store_fixture *fixture)
{
    if (fixture->path[0] == '\0')
        return;
    store_close(fixture->store);
    fixture->store = NULL;
    open_store(fixture);
}

static uint8_t pattern(int64_t run_key, int number, size_t offset)
{
    return (uint8_t)((uint64_t)run_key * 131 + (uint64_t)number * 31 + offset * 7);
}

struct store_blob blob_make(struct arena *arena, int64_t run_key, int number, size_t size)
{
    uint8_t *data = arena_alloc(arena, size);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = pattern(run_key, number, i);
    return (struct store_blob){.data = data, .size = size};
}

bool blob_is(const struct store_blob *blob, int64_t run_key, int number, size_t size)
{
    if (blob->size != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (blob->data[i] != pattern(run_key, number, i))
            return false;
    }
    return true;
}

struct store_write write_open(struct arena *arena, int64_t run_key, const char *workflow_id,
                              size_t size)
{
    return (struct store_write){
        .run_key = run_key,
        .records = blob_make(arena, run_key, 1, size),
        .opened = true,
        .run = {.run_key = run_key,
                .namespace_name = "default",
                .workflow_id = arena_strdup(arena, workflow_id),
                .run_id = arena_printf(arena, "run-%lld", (long long)run_key),
                .workflow_type = run_key % 2 == 0 ? "Even" : "Odd",
                .task_queue = "cpu-queue",
                .start_utc_us = 1000 + run_key,
                .status = RUNNING,
                .history_length = 2}};
}

struct store_write write_more(struct arena *arena, int64_t run_key, int number, size_t size)
{
    return (struct store_write){.run_key = run_key,
                                .records = blob_make(arena, run_key, number, size)};
}

struct store_write write_close(struct arena *arena, int64_t run_key, int number, size_t size)
{
    return (struct store_write){
        .run_key = run_key,
        .records = blob_make(arena, run_key, number, size),
        .closed = true,
        .run = {.status = COMPLETED, .close_utc_us = 2000 + run_key, .history_length = 11}};
}

void commit_all(struct store *store, const struct store_write *writes, size_t count)
{
    struct error err = {0};
    if (store_commit(store, writes, count, &err) != 0)
        fail_msg("%s", err.text);
}

void commit_one(struct store *store, struct store_write write)
{
    commit_all(store, &write, 1);
}

void check_log(struct store_fixture *fixture, int64_t run_key, int count, size_t size)
{
    struct store_blob *records;
    size_t record_count;
    struct error err = {0};
    if (store_load(fixture->store, run_key, &fixture->arena, &records, &record_count, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(record_count, count);
    for (int i = 0; i < count; i++)
        assert_true(blob_is(&records[i], run_key, i + 1, size));
}
