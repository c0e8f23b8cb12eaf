/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same random data and queries in both stores: the same neighbours in the same order, with the
 * same metadata and texts. Scores have the same bits (vector_math.h), so the tolerance is zero.
 */
#include "tests/unit/vectors/vector_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vectors/postgres_fixture.h"

#define WIDTH      96
#define DOCUMENTS  60
#define CHUNKS_MAX 40
#define QUERIES    60

static char address[256];

/* A few are exactly alike, many nearly: what floats cannot tell apart doubles must order alike. */
static void next_vector(uint64_t *seed, float *vector)
{
    static float last[WIDTH];
    int kind = (int)((random_value(seed) + 1) * 2);
    if (kind < 2)
        random_vector(seed, last, WIDTH);
    else if (kind == 2)
        last[(size_t)((random_value(seed) + 1) * (WIDTH / 2)) % WIDTH] += 1e-7f;
    memcpy(vector, last, WIDTH * sizeof(float));
}

static void put_both(struct vector_fixture fixtures[2], uint32_t number, const char *upload,
                     uint64_t *seed)
{
    static float vectors[CHUNKS_MAX][WIDTH];
    static char metadata[CHUNKS_MAX][64], texts[CHUNKS_MAX][32];
    struct vector_chunk chunks[CHUNKS_MAX];
    struct error err = {0};
    char name[16], document_metadata[48];
    uint32_t count = 1 + (uint32_t)((random_value(seed) + 1) * (CHUNKS_MAX / 2)) % CHUNKS_MAX;
    snprintf(name, sizeof name, "%u", number * 7919);
    snprintf(document_metadata, sizeof document_metadata, "{\"lang\":\"%s\",\"year\":%u}",
             number % 3 == 0 ? "de" : "en", 2000 + number % 20);
    struct vector_upload_options options = upload_of("both", name, upload);
    options.dimension = WIDTH;
    for (uint32_t i = 0; i < count; i++) {
        next_vector(seed, vectors[i]);
        snprintf(metadata[i], sizeof metadata[i], "{\"page\":%d,\"weight\":%.3f}", (int)i / 4,
                 (double)random_value(seed));
        snprintf(texts[i], sizeof texts[i], "%s:%u", name, i);
        chunks[i] = (struct vector_chunk){.ordinal = i,
                                          .text = texts[i],
                                          .text_size = strlen(texts[i]),
                                          .metadata = i % 5 == 0 ? NULL : metadata[i],
                                          .vector = vectors[i]};
        hash_of(number * 1000 + i, chunks[i].hash);
    }
    for (size_t at = 0; at < 2; at++) {
        ok(vector_store_upload(fixtures[at].store, &options, chunks, count, &err), &err);
        ok(vector_store_commit(fixtures[at].store, &options, count, document_metadata, &err), &err);
    }
}

static void check_query(struct vector_fixture fixtures[2], const struct vector_query *query)
{
    struct vector_hit *hits[2];
    size_t counts[2] = {0, 0};
    struct error err = {0};
    for (size_t at = 0; at < 2; at++)
        ok(vector_store_search(fixtures[at].store, query, SIZE_MAX, &fixtures[at].arena, &hits[at],
                               &counts[at], &err),
           &err);
    assert_int_equal(counts[0], counts[1]);
    for (size_t i = 0; i < counts[0]; i++) {
        assert_string_equal(hits[0][i].document, hits[1][i].document);
        assert_int_equal(hits[0][i].ordinal, hits[1][i].ordinal);
        assert_true(hits[0][i].score == hits[1][i].score);
        assert_string_equal(hits[0][i].text, hits[1][i].text);
        assert_string_equal(hits[0][i].metadata, hits[1][i].metadata);
    }
}

static void test_alike(void **state)
{
    (void)state;
    static struct vector_fixture fixtures[2];
    uint64_t seed = 20261121;
    const char *const filters[] = {
        NULL,
        "{\"lang\":\"de\"}",
        "{\"year\":{\"gte\":2005,\"lt\":2011},\"page\":{\"in\":[0,2]}}",
        "{\"weight\":{\"gt\":0.25}}",
        "{\"document_id\":{\"lte\":\"3\"}}",
        "{\"lang\":{\"gt\":\"dz\"},\"page\":1}",
    };
    fixture_open(&fixtures[0], "sqlite");
    fixture_open(&fixtures[1], address);
    for (uint32_t i = 0; i < DOCUMENTS; i++)
        put_both(fixtures, i, "one", &seed);
    for (uint32_t i = 0; i < DOCUMENTS; i += 5)
        put_both(fixtures, i, "two", &seed);
    for (uint32_t i = 0; i < QUERIES; i++) {
        float vector[WIDTH];
        const struct vector_query query = {
            .collection = "both",
            .model = MODEL,
            .vector = vector,
            .dimension = WIDTH,
            .neighbour_count = i % 7 == 0 ? 1000 : 1 + i * 3,
            .filter = filters[i % (sizeof filters / sizeof filters[0])],
        };
        next_vector(&seed, vector);
        check_query(fixtures, &query);
    }
    fixture_close(&fixtures[1]);
    fixture_close(&fixtures[0]);
}

/* Thousands of chunks that are exactly as near as the last neighbour: names and ordinals decide. */
static void test_many_ties(void **state)
{
    (void)state;
    enum { COPIES = 1500 };
    static struct vector_fixture fixtures[2];
    static struct vector_chunk chunks[COPIES];
    const char *const names[] = {"b", "a", "c"};
    struct error err = {0};
    float same[DIMENSION], best[DIMENSION], vector[DIMENSION];
    axis_vector(same, 0, 0.5f);
    axis_vector(best, 0, 0.1f);
    axis_vector(vector, 0, 0);
    fixture_open(&fixtures[0], "sqlite");
    fixture_open(&fixtures[1], address);
    for (size_t at = 0; at < 6; at++) {
        struct vector_upload_options options = upload_of("both", names[at / 2], "one");
        for (uint32_t i = 0; i < COPIES; i++) {
            chunks[i] = (struct vector_chunk){
                .ordinal = i, .text = "t", .text_size = 1, .vector = i == 1000 ? best : same};
            hash_of(i, chunks[i].hash);
        }
        struct vector_store *store = fixtures[at % 2].store;
        ok(vector_store_upload(store, &options, chunks, COPIES, &err), &err);
        ok(vector_store_commit(store, &options, COPIES, NULL, &err), &err);
    }
    struct vector_query query = {
        .collection = "both", .model = MODEL, .vector = vector, .dimension = DIMENSION};
    for (query.neighbour_count = 1; query.neighbour_count <= 1000; query.neighbour_count += 333)
        check_query(fixtures, &query);
    query.neighbour_count = 5;
    const uint32_t ordinals[] = {1000, 1000, 1000, 0, 1};
    struct vector_hit *hits;
    size_t count = 0;
    ok(vector_store_search(fixtures[1].store, &query, 0, &fixtures[1].arena, &hits, &count, &err),
       &err);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(hits[i].ordinal, ordinals[i]);
        assert_string_equal(hits[i].document, i == 1 ? "b" : i == 2 ? "c" : "a");
    }
    fixture_close(&fixtures[1]);
    fixture_close(&fixtures[0]);
}

int main(void)
{
    if (!postgres_start(address, sizeof address))
        return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_alike),
                                       cmocka_unit_test(test_many_ties)};
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failures;
}
