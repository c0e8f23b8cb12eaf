/* SPDX-License-Identifier: Apache-2.0 */
/* What only the SQLite store has: collections in memory and streamed, sweeping, its file, and that
 * searches beside commits see a document as it was before or after. */
#include "tests/unit/vectors/vector_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/sqlite.h"
#include "storage/vectors/vector_segment.h"

static int setup(void **state)
{
    struct vector_fixture *fixture = calloc(1, sizeof *fixture);
    fixture_open(fixture, "sqlite");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static bool is_streamed(struct vector_fixture *fixture, const char *collection)
{
    struct vector_collection *collections;
    struct error err = {0};
    size_t count = 0;
    ok(vector_store_collections(fixture->store, "", 100, &fixture->arena, &collections, &count,
                                &err),
       &err);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(collections[i].name, collection) == 0)
            return collections[i].is_streamed;
    }
    fail_msg("no collection %s", collection);
    return false;
}

static void put_random(struct vector_fixture *fixture, const char *collection, uint32_t documents,
                       uint32_t count, uint64_t *seed)
{
    struct error err = {0};
    struct vector_chunk *chunks = calloc(count, sizeof *chunks);
    float(*vectors)[DIMENSION] = calloc(count, sizeof *vectors);
    for (uint32_t i = 0; i < documents; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%u", i);
        struct vector_upload_options options = upload_of(collection, name, "one");
        for (uint32_t at = 0; at < count; at++) {
            random_vector(seed, vectors[at], DIMENSION);
            chunks[at] =
                (struct vector_chunk){.ordinal = at,
                                      .text = "t",
                                      .text_size = 1,
                                      .metadata = at % 2 == 0 ? "{\"half\":0}" : "{\"half\":1}",
                                      .vector = vectors[at]};
            hash_of(at, chunks[at].hash);
        }
        ok(vector_store_upload(fixture->store, &options, chunks, count, &err), &err);
        ok(vector_store_commit(fixture->store, &options, count, NULL, &err), &err);
    }
    free(vectors);
    free(chunks);
}

static void check_same(const struct vector_hit *a, const struct vector_hit *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(a[i].document, b[i].document);
        assert_int_equal(a[i].ordinal, b[i].ordinal);
        assert_true(a[i].score == b[i].score);
        assert_string_equal(a[i].metadata, b[i].metadata);
    }
}

/* Over the bound the file is read, with the same results, and the listing says so. */
static void check_streamed(struct vector_fixture *fixture, const char *collection)
{
    struct vector_hit *hits[3], *filtered[3];
    size_t counts[3], filtered_counts[3];
    const size_t memory[] = {(size_t)1 << 30, 100, 1000};
    for (size_t i = 0; i < 3; i++) {
        fixture->memory_bytes = memory[i];
        fixture_reopen(fixture);
        counts[i] = search_all(fixture, collection, NULL, &hits[i]);
        filtered_counts[i] = search_all(fixture, collection, "{\"half\":1}", &filtered[i]);
        assert_true(is_streamed(fixture, collection) == (i > 0));
        assert_int_equal(counts[i], counts[0]);
        assert_int_equal(filtered_counts[i], filtered_counts[0]);
        check_same(hits[i], hits[0], counts[0]);
        check_same(filtered[i], filtered[0], filtered_counts[0]);
    }
}

static void test_streamed(void **state)
{
    struct vector_fixture *fixture = *state;
    uint64_t seed = 3;
    put_random(fixture, "small documents", 30, 3, &seed);
    put_random(fixture, "two segments", 1, VECTOR_SEGMENT_ROWS + 100, &seed);
    check_streamed(fixture, "small documents");
    check_streamed(fixture, "two segments");
}

/* A collection that grows over the bound is streamed from then on; one that goes makes room. */
static void test_outgrown(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_hit *hits;
    uint64_t seed = 4;
    fixture->memory_bytes = 30000;
    fixture_reopen(fixture);
    put_random(fixture, "a", 2, 20, &seed);
    assert_int_equal(search_all(fixture, "a", NULL, &hits), 40);
    assert_false(is_streamed(fixture, "a"));
    put_random(fixture, "b", 40, 20, &seed);
    assert_int_equal(search_all(fixture, "b", NULL, &hits), 800);
    assert_true(is_streamed(fixture, "b"));
    assert_false(is_streamed(fixture, "a"));
    put_document(fixture, "a", "more", "one", 0, 400, NULL);
    assert_true(is_streamed(fixture, "a"));
    assert_int_equal(search_all(fixture, "a", NULL, &hits), 440);
    ok(vector_store_collection_delete(fixture->store, "b", &err), &err);
    put_document(fixture, "a", "more", "two", 0, 4, NULL);
    assert_int_equal(search_all(fixture, "a", NULL, &hits), 44);
    assert_false(is_streamed(fixture, "a"));
}

static int64_t count_rows(struct vector_fixture *fixture, const char *sql)
{
    char path[128];
    sqlite3 *db;
    int64_t count = -1;
    struct error err = {0};
    snprintf(path, sizeof path, "%s/vectors.db", fixture->folder);
    ok(sqlite_open(path, false, &db, &err), &err);
    ok(sqlite_get_int64(db, sql, &count, &err), &err);
    sqlite_close(db);
    return count;
}

/* Waits until sql gives the number: the sweeper works by itself. */
static void wait_rows(struct vector_fixture *fixture, const char *sql, int64_t wanted)
{
    for (int i = 0; count_rows(fixture, sql) != wanted; i++) {
        if (i == 3000)
            fail_msg("%s is %lld", sql, (long long)count_rows(fixture, sql));
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

#define COUNT_ALL                                                                                  \
    "SELECT (SELECT count(*) FROM chunk) + (SELECT count(*) FROM vector)"                          \
    " + (SELECT count(*) FROM text) + (SELECT count(*) FROM garbage)"

/* What no search can see leaves the file. */
static void test_swept(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    uint64_t seed = 6;
    put_random(fixture, "a", 1, 2000, &seed);
    put_document(fixture, "a", "d0", "two", 0, 3, NULL);
    put_random(fixture, "b", 2, 600, &seed);
    ok(vector_store_collection_delete(fixture->store, "b", &err), &err);
    wait_rows(fixture, COUNT_ALL, 9);
    struct vector_upload_options options = upload_of("a", "d0", "never");
    put_chunk(fixture, &options, 0, 1, NULL, true);
    ok(vector_store_commit(fixture->store, &options, 0, NULL, &err), &err);
    wait_rows(fixture, COUNT_ALL, 0);
}

/* An upload that nobody has touched for a week is forgotten when the store opens. */
static void test_forgotten(void **state)
{
    struct vector_fixture *fixture = *state;
    char path[128];
    sqlite3 *db;
    struct error err = {0};
    struct vector_hit *hits;
    struct vector_upload_options left = upload_of("a", "x", "left");
    put_chunk(fixture, &left, 0, 1, NULL, true);
    put_document(fixture, "a", "y", "old", 0, 2, NULL);
    put_document(fixture, "a", "y", "now", 0, 1, NULL);
    wait_rows(fixture, COUNT_ALL, 6);
    vector_store_close(fixture->store);
    fixture->store = NULL;
    snprintf(path, sizeof path, "%s/vectors.db", fixture->folder);
    ok(sqlite_open(path, false, &db, &err), &err);
    ok(sqlite_exec(db, "UPDATE upload SET used_utc_us = used_utc_us - 8 * 86400000000", &err),
       &err);
    sqlite_close(db);
    fixture_reopen(fixture);
    wait_rows(fixture, COUNT_ALL, 3);
    assert_int_equal(count_rows(fixture, "SELECT count(*) FROM upload"), 1);
    assert_int_equal(search_all(fixture, "a", NULL, &hits), 1);
}

/* Searches in a row beside commits in a row: all chunks of a hit list are of one version. */
struct race {
    struct vector_fixture *fixture;
    _Atomic bool is_done;
    _Atomic int mixed, searches;
};

static void *search_again(void *arg)
{
    struct race *race = arg;
    struct error err = {0};
    struct arena arena;
    float vector[DIMENSION];
    axis_vector(vector, 0, 0.5f);
    arena_init(&arena, ARENA_NO_LIMIT);
    while (!atomic_load(&race->is_done)) {
        const struct vector_query query = {.collection = "a",
                                           .model = MODEL,
                                           .vector = vector,
                                           .dimension = DIMENSION,
                                           .neighbour_count = 100};
        struct vector_hit *hits;
        size_t count = 0;
        arena_reset(&arena);
        if (vector_store_search(race->fixture->store, &query, SIZE_MAX, &arena, &hits, &count,
                                &err) != 0) {
            atomic_fetch_add(&race->mixed, 1);
            break;
        }
        /* Version v has v % 5 + 1 chunks, all with metadata {"v": v}. */
        int version = count > 0 ? atoi(strchr(hits[0].metadata, ':') + 1) : -1;
        bool is_whole = count == (size_t)(version % 5 + 1);
        for (size_t i = 0; i < count; i++)
            is_whole = is_whole && strcmp(hits[i].metadata, hits[0].metadata) == 0;
        atomic_fetch_add(&race->mixed, !is_whole);
        atomic_fetch_add(&race->searches, 1);
    }
    arena_fini(&arena);
    return NULL;
}

static void run_race(struct vector_fixture *fixture)
{
    enum { VERSIONS = 60 };
    struct race race = {.fixture = fixture};
    pthread_t threads[3];
    put_document(fixture, "a", "x", "0", 0, 1, "{\"v\":0}");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_again, &race), 0);
    /* Until there were as many searches, too: each has its chance to go wrong. */
    for (int version = 1; version <= VERSIONS || atomic_load(&race.searches) < VERSIONS;
         version++) {
        char upload[16], metadata[32];
        snprintf(upload, sizeof upload, "%d", version);
        snprintf(metadata, sizeof metadata, "{\"v\":%d}", version);
        put_document(fixture, "a", "x", upload, (uint32_t)version, (uint32_t)version % 5 + 1,
                     metadata);
        if (atomic_load(&race.mixed) > 0)
            break;
    }
    atomic_store(&race.is_done, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&race.mixed), 0);
}

static void test_one_state(void **state)
{
    run_race(*state);
}

static void test_one_state_streamed(void **state)
{
    struct vector_fixture *fixture = *state;
    fixture->memory_bytes = 1;
    fixture_reopen(fixture);
    run_race(fixture);
}

static void damage(struct vector_fixture *fixture, const char *sql)
{
    char path[128];
    sqlite3 *db;
    struct error err = {0};
    vector_store_close(fixture->store);
    fixture->store = NULL;
    snprintf(path, sizeof path, "%s/vectors.db", fixture->folder);
    ok(sqlite_open(path, false, &db, &err), &err);
    ok(sqlite_exec(db, sql, &err), &err);
    sqlite_close(db);
}

/* What is damaged is said, and never searched as if it were whole. */
static void test_damaged(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_hit *hits;
    size_t count = 0;
    float vector[DIMENSION] = {1};
    put_document(fixture, "a", "x", "one", 0, 3, NULL);
    damage(fixture, "DELETE FROM vector WHERE chunk_key = (SELECT max(chunk_key) FROM vector)");
    fixture_reopen(fixture);
    const struct vector_query query = {.collection = "a",
                                       .model = MODEL,
                                       .vector = vector,
                                       .dimension = DIMENSION,
                                       .neighbour_count = 1};
    assert_int_equal(
        vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
        ERR_CORRUPT);
    damage(fixture, "UPDATE vector SET value = x'00'");
    fixture_reopen(fixture);
    assert_int_equal(
        vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
        ERR_CORRUPT);
    damage(fixture, "PRAGMA user_version = 99");
    const struct vector_store_options options = {.address = "sqlite", .folder = fixture->folder};
    assert_int_equal(vector_store_open(&options, &fixture->store, &err), ERR_UNSUPPORTED);
    damage(fixture, "PRAGMA application_id = 1");
    assert_int_equal(vector_store_open(&options, &fixture->store, &err), ERR_STORAGE);
    fixture->store = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_streamed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outgrown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_state_streamed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
