/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage process is killed (SIGKILL) again and again while documents are uploaded and
 * committed by several threads, which repeat what was not acknowledged. After each start, and at
 * the end,
 *   - every document is one version as a whole: never parts of two, never some of its chunks;
 *   - it is at least the version whose commit was acknowledged before the kill;
 *   - it is at most the version that somebody had begun to commit.
 */
#include "tests/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/vectors.h"
#include "tests/integration/storage/storage_process.h"

#define DIMENSION 16
#define DOCUMENTS 3
#define VERSIONS  40
#define KILLS     10
/* Calls that the writers begin between two kills: some two versions of each document. */
#define CALLS_PER_KILL 20

/* One writer's document, and its ledger. */
struct document {
    char name[16];
    _Atomic int acknowledged; /* version whose commit was acknowledged */
    _Atomic int begun;        /* version whose commit was sent */
    bool failed;
};

static struct storage_process process;
static struct document documents[DOCUMENTS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER;
static size_t calls;
static int writing; /* writers that have not ended */

static void count_call(void)
{
    pthread_mutex_lock(&mutex);
    calls++;
    pthread_cond_signal(&progress);
    pthread_mutex_unlock(&mutex);
}

/* Waits until that many calls have begun; false when the writers ended before. */
static bool wait_calls(size_t wanted)
{
    pthread_mutex_lock(&mutex);
    while (calls < wanted && writing > 0)
        pthread_cond_wait(&progress, &mutex);
    bool is_reached = calls >= wanted && writing > 0;
    pthread_mutex_unlock(&mutex);
    return is_reached;
}

/* Version v has v % 7 + 1 chunks; some of them as in the version before, sent without a vector. */
static uint32_t chunk_count(int version)
{
    return (uint32_t)(version % 7 + 1);
}

static bool is_lost(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT;
}

/* Each call until it is acknowledged. */
static int write_version(struct document *document, int version, struct error *err)
{
    char upload[16], metadata[48], text[48];
    snprintf(upload, sizeof upload, "v%d", version);
    snprintf(metadata, sizeof metadata, "{\"version\":%d}", version);
    const struct vector_upload_options options = {.collection = "papers",
                                                  .document = document->name,
                                                  .upload = upload,
                                                  .model = "m",
                                                  .dimension = DIMENSION};
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < chunk_count(version); i++) {
        float vector[DIMENSION] = {1, (float)i};
        bool is_old = version > 1 && i < chunk_count(version - 1);
        struct vector_chunk chunk = {.ordinal = i, .text = text, .vector = is_old ? NULL : vector};
        memcpy(chunk.hash, &i, sizeof i);
        chunk.text_size =
            (size_t)snprintf(text, sizeof text, "%s %d %u", document->name, version, i);
        do {
            count_call();
            code = vectors_upload(process.client, &options, &chunk, 1, err);
        } while (is_lost(code));
    }
    if (code != 0)
        return code;
    atomic_store(&document->begun, version);
    do {
        count_call();
        code = vectors_commit(process.client, &options, chunk_count(version), metadata, err);
    } while (is_lost(code));
    if (code == 0)
        atomic_store(&document->acknowledged, version);
    return code;
}

static void *write_document(void *arg)
{
    struct document *document = arg;
    struct error err = {0};
    int code = 0;
    for (int version = 1; code == 0 && version <= VERSIONS; version++)
        code = write_version(document, version, &err);
    document->failed = code != 0;
    if (code != 0)
        print_error("%s: %s\n", document->name, err.text);
    pthread_mutex_lock(&mutex);
    writing--;
    pthread_cond_signal(&progress);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void check_document(const struct document *document, int acknowledged)
{
    struct error err = {0};
    struct arena arena;
    char filter[64];
    float vector[DIMENSION] = {1};
    snprintf(filter, sizeof filter, "{\"document_id\":\"%s\"}", document->name);
    const struct vector_query query = {.collection = "papers",
                                       .model = "m",
                                       .vector = vector,
                                       .dimension = DIMENSION,
                                       .neighbour_count = 100,
                                       .filter = filter};
    const struct vector_neighbour *neighbours;
    size_t count = 0;
    arena_init(&arena, ARENA_NO_LIMIT);
    int code;
    do {
        code = vectors_search(process.client, &query, &arena, &neighbours, &count, &err);
    } while (is_lost(code));
    int begun = atomic_load(&document->begun);
    if (code == ERR_NOT_FOUND || (code == 0 && count == 0)) {
        assert_int_equal(acknowledged, 0);
        arena_fini(&arena);
        return;
    }
    if (code != 0)
        fail_msg("%s", err.text);
    int version = atoi(strchr(neighbours[0].metadata, ':') + 1);
    assert_in_range(version, acknowledged > 1 ? acknowledged : 1, begun);
    assert_int_equal(count, chunk_count(version));
    for (uint32_t i = 0; i < count; i++) {
        char text[48];
        snprintf(text, sizeof text, "%s %d %u", document->name, version, i);
        /* Chunk i is at a distance that grows with i. */
        assert_int_equal(neighbours[i].ordinal, i);
        assert_string_equal(neighbours[i].text, text);
        assert_string_equal(neighbours[i].metadata, neighbours[0].metadata);
    }
    arena_fini(&arena);
}

static void test_killed(void **state)
{
    (void)state;
    pthread_t threads[DOCUMENTS];
    int kills = 0;
    storage_process_open(&process, "");
    writing = DOCUMENTS;
    for (int i = 0; i < DOCUMENTS; i++) {
        snprintf(documents[i].name, sizeof documents[i].name, "d%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, write_document, &documents[i]), 0);
    }
    for (; kills < KILLS && wait_calls((size_t)(kills + 1) * CALLS_PER_KILL); kills++) {
        int acknowledged[DOCUMENTS];
        for (int i = 0; i < DOCUMENTS; i++)
            acknowledged[i] = atomic_load(&documents[i].acknowledged);
        storage_process_kill(&process, SIGKILL);
        storage_process_start(&process);
        for (int i = 0; i < DOCUMENTS; i++)
            check_document(&documents[i], acknowledged[i]);
    }
    for (int i = 0; i < DOCUMENTS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(kills, KILLS);
    storage_process_kill(&process, SIGKILL);
    storage_process_start(&process);
    for (int i = 0; i < DOCUMENTS; i++) {
        assert_false(documents[i].failed);
        assert_int_equal(atomic_load(&documents[i].acknowledged), VERSIONS);
        check_document(&documents[i], VERSIONS);
    }
    storage_process_close(&process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
