/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promises of storage/vectors.h, held against both stores: run with "sqlite" or "postgres" as
 * argument.
 */
#include "tests/unit/vectors/vector_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vectors/postgres_fixture.h"

static char address[256] = "sqlite";

static int setup(void **state)
{
    struct vector_fixture *fixture = calloc(1, sizeof *fixture);
    fixture_open(fixture, address);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static size_t hash_count(struct vector_fixture *fixture, const char *collection,
                         const char *document)
{
    const uint8_t(*hashes)[VECTOR_HASH_SIZE];
    size_t count = 0;
    struct error err = {0};
    ok(vector_store_hashes(fixture->store, collection, document, NULL, 1000, &fixture->arena,
                           &hashes, &count, &err),
       &err);
    return count;
}

/* Exactly these texts, in this order. */
static void check_texts(struct vector_fixture *fixture, const char *collection, const char *filter,
                        const char *expected)
{
    struct vector_hit *hits;
    char texts[4096] = "";
    size_t count = search_all(fixture, collection, filter, &hits), used = 0;
    for (size_t i = 0; i < count && used < sizeof texts; i++)
        used += (size_t)snprintf(texts + used, sizeof texts - used, "%s%s", i > 0 ? "|" : "",
                                 hits[i].text);
    assert_string_equal(texts, expected);
}

/* An uncommitted upload shows nowhere; a committed one as a whole. */
static void test_commit_makes_visible(void **state)
{
    struct vector_fixture *fixture = *state;
    struct vector_upload_options options = upload_of("papers", "a", "one");
    struct error err = {0};
    struct vector_collection *collections;
    size_t count = 1;
    put_chunk(fixture, &options, 0, 8, NULL, true);
    put_chunk(fixture, &options, 1, 16, NULL, true);
    assert_int_equal(hash_count(fixture, "papers", "a"), 0);
    ok(vector_store_collections(fixture->store, "", 10, &fixture->arena, &collections, &count,
                                &err),
       &err);
    assert_int_equal(count, 0);
    ok(vector_store_commit(fixture->store, &options, 2, NULL, &err), &err);
    assert_int_equal(hash_count(fixture, "papers", "a"), 2);
    check_texts(fixture, "papers", NULL, "text 8|text 16");
    fixture_reopen(fixture);
    check_texts(fixture, "papers", NULL, "text 8|text 16");
    ok(vector_store_collections(fixture->store, "", 10, &fixture->arena, &collections, &count,
                                &err),
       &err);
    assert_int_equal(count, 1);
    assert_string_equal(collections[0].name, "papers");
    assert_string_equal(collections[0].model, MODEL);
    assert_int_equal(collections[0].dimension, DIMENSION);
    assert_int_equal(collections[0].document_count, 1);
    assert_int_equal(collections[0].chunk_count, 2);
    assert_false(collections[0].is_streamed);
}

/* Scores are cosines, whatever the vectors' lengths; best first. */
static void test_scores(void **state)
{
    struct vector_fixture *fixture = *state;
    struct vector_upload_options options = upload_of("papers", "a", "one");
    struct error err = {0};
    const float values[3][DIMENSION] = {{3, 4}, {0, -5}, {200}};
    struct vector_chunk chunks[3] = {{0}};
    for (uint32_t i = 0; i < 3; i++) {
        chunks[i] =
            (struct vector_chunk){.ordinal = i, .text = "t", .text_size = 1, .vector = values[i]};
        hash_of(i, chunks[i].hash);
    }
    ok(vector_store_upload(fixture->store, &options, chunks, 3, &err), &err);
    ok(vector_store_commit(fixture->store, &options, 3, NULL, &err), &err);
    const float query_vector[DIMENSION] = {0.5f};
    const struct vector_query query = {.collection = "papers",
                                       .model = MODEL,
                                       .vector = query_vector,
                                       .dimension = DIMENSION,
                                       .neighbour_count = 3};
    struct vector_hit *hits;
    size_t count = 0;
    ok(vector_store_search(fixture->store, &query, 1000, &fixture->arena, &hits, &count, &err),
       &err);
    assert_int_equal(count, 3);
    const double expected[] = {1.0, 0.6, 0.0};
    const uint32_t ordinals[] = {2, 0, 1};
    for (size_t i = 0; i < 3; i++) {
        assert_true(fabs(hits[i].score - expected[i]) <= 1e-6);
        assert_int_equal(hits[i].ordinal, ordinals[i]);
        assert_string_equal(hits[i].document, "a");
    }
}

/* Equal scores: by document, then ordinal; the cut between them, too. */
static void test_ties(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    const char *const names[] = {"b", "Z", "a", "\xc3\xa4"};
    for (size_t i = 0; i < 4; i++) {
        struct vector_upload_options options = upload_of("papers", names[i], "one");
        for (uint32_t ordinal = 0; ordinal < 3; ordinal++)
            put_chunk(fixture, &options, ordinal, 0, NULL, true);
        ok(vector_store_commit(fixture->store, &options, 3, NULL, &err), &err);
    }
    float vector[DIMENSION];
    axis_vector(vector, 0, 0);
    const char *const documents[] = {"Z", "Z", "Z", "a", "a", "a", "b", "b", "b", "\xc3\xa4"};
    for (uint32_t k = 1; k <= 10; k++) {
        const struct vector_query query = {.collection = "papers",
                                           .model = MODEL,
                                           .vector = vector,
                                           .dimension = DIMENSION,
                                           .neighbour_count = k};
        struct vector_hit *hits;
        size_t count = 0;
        ok(vector_store_search(fixture->store, &query, 1000, &fixture->arena, &hits, &count, &err),
           &err);
        assert_int_equal(count, k);
        for (uint32_t i = 0; i < k; i++) {
            assert_string_equal(hits[i].document, documents[i]);
            assert_int_equal(hits[i].ordinal, i % 3);
        }
    }
}

/* A replacement shows nothing of the version before; chunks with a known hash need no vector. */
static void test_replace(void **state)
{
    struct vector_fixture *fixture = *state;
    struct vector_upload_options options = upload_of("papers", "a", "two");
    struct error err = {0};
    put_document(fixture, "papers", "a", "one", 8, 3, NULL);
    put_chunk(fixture, &options, 0, 9, NULL, false);
    put_chunk(fixture, &options, 1, 24, NULL, true);
    check_texts(fixture, "papers", NULL, "text 8|text 9|text 10");
    ok(vector_store_commit(fixture->store, &options, 2, NULL, &err), &err);
    check_texts(fixture, "papers", NULL, "text 24|text 9");
    /* What is gone is no source of vectors any more, what was kept is. */
    struct vector_upload_options third = upload_of("papers", "a", "three");
    put_chunk(fixture, &third, 0, 9, NULL, false);
    struct vector_chunk gone = {.ordinal = 1, .text = "t", .text_size = 1};
    hash_of(8, gone.hash);
    assert_int_equal(vector_store_upload(fixture->store, &third, &gone, 1, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "chunk 1"));
    ok(vector_store_commit(fixture->store, &third, 1, NULL, &err), &err);
    check_texts(fixture, "papers", NULL, "text 9");
    struct vector_collection *collections;
    size_t count = 0;
    ok(vector_store_collections(fixture->store, "", 10, &fixture->arena, &collections, &count,
                                &err),
       &err);
    assert_int_equal(collections[0].document_count, 1);
    assert_int_equal(collections[0].chunk_count, 1);
}

static void test_ordinals(void **state)
{
    struct vector_fixture *fixture = *state;
    struct vector_upload_options options = upload_of("papers", "a", "one");
    struct error err = {0};
    assert_int_equal(vector_store_commit(fixture->store, &options, 1, NULL, &err), ERR_STATE);
    put_chunk(fixture, &options, 0, 8, NULL, true);
    put_chunk(fixture, &options, 2, 9, NULL, true);
    assert_int_equal(vector_store_commit(fixture->store, &options, 2, NULL, &err), ERR_STATE);
    assert_int_equal(vector_store_commit(fixture->store, &options, 3, NULL, &err), ERR_STATE);
    put_chunk(fixture, &options, 1, 10, NULL, true);
    assert_int_equal(vector_store_commit(fixture->store, &options, 2, NULL, &err), ERR_STATE);
    put_chunk(fixture, &options, 1, 11, NULL, true); /* sent again: takes the other's place */
    ok(vector_store_commit(fixture->store, &options, 3, NULL, &err), &err);
    check_texts(fixture, "papers", NULL, "text 8|text 11|text 9");
}

/* What is repeated after the answer was lost changes nothing. */
static void test_repeated(void **state)
{
    struct vector_fixture *fixture = *state;
    struct vector_upload_options one = upload_of("papers", "a", "one");
    struct vector_upload_options two = upload_of("papers", "a", "two");
    struct error err = {0};
    put_document(fixture, "papers", "a", "one", 8, 2, NULL);
    ok(vector_store_commit(fixture->store, &one, 2, NULL, &err), &err);
    put_chunk(fixture, &one, 1, 9, NULL, true);
    ok(vector_store_commit(fixture->store, &one, 2, NULL, &err), &err);
    struct vector_chunk other = {.ordinal = 1, .text = "t", .text_size = 1};
    float vector[DIMENSION] = {1};
    other.vector = vector;
    hash_of(77, other.hash);
    assert_int_equal(vector_store_upload(fixture->store, &one, &other, 1, &err), ERR_STATE);
    check_texts(fixture, "papers", NULL, "text 8|text 9");
    /* A late repetition of an earlier commit does not bring it back. */
    put_document(fixture, "papers", "a", "two", 16, 1, NULL);
    ok(vector_store_commit(fixture->store, &one, 2, NULL, &err), &err);
    check_texts(fixture, "papers", NULL, "text 16");
    /* Removal, twice; a late one after the document came again. */
    struct vector_upload_options removal = upload_of("papers", "a", "gone");
    ok(vector_store_commit(fixture->store, &removal, 0, NULL, &err), &err);
    check_texts(fixture, "papers", NULL, "");
    ok(vector_store_commit(fixture->store, &removal, 0, NULL, &err), &err);
    ok(vector_store_commit(fixture->store, &two, 1, NULL, &err), &err);
    put_document(fixture, "papers", "a", "four", 24, 1, NULL);
    ok(vector_store_commit(fixture->store, &removal, 0, NULL, &err), &err);
    check_texts(fixture, "papers", NULL, "text 24");
    fixture_reopen(fixture);
    ok(vector_store_commit(fixture->store, &removal, 0, NULL, &err), &err);
    check_texts(fixture, "papers", NULL, "text 24");
}

static void test_model_and_dimension(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    put_document(fixture, "papers", "a", "one", 8, 1, NULL);
    struct vector_upload_options options = upload_of("papers", "b", "one");
    float vector[DIMENSION + 1] = {1};
    struct vector_chunk chunk = {.text = "t", .text_size = 1, .vector = vector};
    options.model = "other";
    assert_int_equal(vector_store_upload(fixture->store, &options, &chunk, 1, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "\"tiny\""));
    options.model = MODEL;
    options.dimension = DIMENSION + 1;
    assert_int_equal(vector_store_upload(fixture->store, &options, &chunk, 1, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "dimension 8, not 9"));
    options.dimension = VECTOR_DIMENSION_MAX + 1;
    assert_int_equal(vector_store_upload(fixture->store, &options, &chunk, 1, &err), ERR_INVALID);
    struct vector_query query = {.collection = "papers",
                                 .model = "other",
                                 .vector = vector,
                                 .dimension = DIMENSION,
                                 .neighbour_count = 1};
    struct vector_hit *hits;
    size_t count;
    assert_int_equal(
        vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
        ERR_INVALID);
    query.model = MODEL;
    query.dimension = DIMENSION + 1;
    assert_int_equal(
        vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
        ERR_INVALID);
    query.dimension = DIMENSION;
    query.collection = "paper";
    assert_int_equal(
        vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
        ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "\"papers\""));
    query.collection = "papers";
    query.neighbour_count = 0;
    assert_int_equal(
        vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
        ERR_INVALID);
    query.neighbour_count = VECTOR_NEIGHBOURS_MAX + 1;
    assert_int_equal(
        vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
        ERR_INVALID);
}

/* Two first documents of different models at the same time: the second commit finds out. */
static void test_model_race(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_upload_options ours = upload_of("papers", "a", "one");
    struct vector_upload_options theirs = upload_of("papers", "b", "one");
    theirs.model = "other";
    put_chunk(fixture, &ours, 0, 1, NULL, true);
    put_chunk(fixture, &theirs, 0, 2, NULL, true);
    ok(vector_store_commit(fixture->store, &ours, 1, NULL, &err), &err);
    assert_int_equal(vector_store_commit(fixture->store, &theirs, 1, NULL, &err), ERR_INVALID);
    check_texts(fixture, "papers", NULL, "text 1");
}

static void test_refused_chunks(void **state)
{
    struct vector_fixture *fixture = *state;
    struct vector_upload_options options = upload_of("papers", "a", "one");
    struct error err = {0};
    float good[DIMENSION] = {1}, zero[DIMENSION] = {0}, infinite[DIMENSION] = {1, 1.0f / 0.0f};
    char *large = calloc(1, VECTOR_TEXT_SIZE_MAX + 1);
    memset(large, 'x', VECTOR_TEXT_SIZE_MAX + 1);
    const struct {
        struct vector_chunk chunk;
        const char *says;
    } cases[] = {
        {{.text = "t", .text_size = 1, .vector = zero}, "zero"},
        {{.text = "t", .text_size = 1, .vector = infinite}, "finite"},
        {{.text = "\xff", .text_size = 1, .vector = good}, "UTF-8"},
        {{.text = "a\0b", .text_size = 3, .vector = good}, "NUL"},
        {{.text = large, .text_size = VECTOR_TEXT_SIZE_MAX + 1, .vector = good}, "65537"},
        {{.text = "t", .text_size = 1, .vector = good, .metadata = "[1]"}, "object"},
        {{.text = "t", .text_size = 1, .vector = good, .metadata = "{\"a\":[1]}"}, "metadata.a"},
        {{.text = "t", .text_size = 1, .vector = good, .metadata = "{\"a\":null}"}, "metadata.a"},
        {{.text = "t", .text_size = 1, .vector = good, .metadata = "{\"a\":1,\"a\":2}"}, "dup"},
        {{.ordinal = VECTOR_CHUNKS_MAX, .text = "t", .text_size = 1, .vector = good}, "ordinal"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(vector_store_upload(fixture->store, &options, &cases[i].chunk, 1, &err),
                         ERR_INVALID);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say %s", err.text, cases[i].says);
    }
    /* The whole call is refused: its good chunk is not there either. */
    struct vector_chunk both[] = {{.text = "t", .text_size = 1, .vector = good},
                                  {.ordinal = 1, .text = "t", .text_size = 1}};
    assert_int_equal(vector_store_upload(fixture->store, &options, both, 2, &err), ERR_NOT_FOUND);
    assert_int_equal(vector_store_commit(fixture->store, &options, 1, NULL, &err), ERR_STATE);
    options.collection = "";
    assert_int_equal(vector_store_upload(fixture->store, &options, both, 1, &err), ERR_INVALID);
    large[VECTOR_NAME_MAX + 1] = '\0';
    options.collection = large;
    assert_int_equal(vector_store_upload(fixture->store, &options, both, 1, &err), ERR_INVALID);
    free(large);
}

/* Large texts and any Unicode come back as they were; names, too. */
static void test_texts(void **state)
{
    struct vector_fixture *fixture = *state;
    static const char name[] = "\xe6\x96\x87\xe6\x9b\xb8 '\"\\ %s \xf0\x9f\x9a\xa2";
    struct vector_upload_options options = upload_of(name, name, name);
    struct error err = {0};
    char *large = malloc(VECTOR_TEXT_SIZE_MAX + 1);
    for (size_t i = 0; i < VECTOR_TEXT_SIZE_MAX; i++)
        large[i] = (char)('!' + i % 90);
    large[VECTOR_TEXT_SIZE_MAX] = '\0';
    const char *const texts[] = {large, "",
                                 "\xc3\xa9\xcc\x81 \xe2\x80\x8f\n\t\x01\xf4\x8f\xbf\xbf"};
    struct vector_chunk chunks[3];
    float vectors[3][DIMENSION];
    for (uint32_t i = 0; i < 3; i++) {
        axis_vector(vectors[i], 0, (float)i);
        chunks[i] = (struct vector_chunk){.ordinal = i,
                                          .text = texts[i],
                                          .text_size = strlen(texts[i]),
                                          .metadata = "{\"t\\u00eft\": \"\xf0\x9f\x9a\xa2\"}",
                                          .vector = vectors[i]};
        hash_of(i, chunks[i].hash);
    }
    ok(vector_store_upload(fixture->store, &options, chunks, 3, &err), &err);
    ok(vector_store_commit(fixture->store, &options, 3, NULL, &err), &err);
    struct vector_hit *hits;
    assert_int_equal(search_all(fixture, name, NULL, &hits), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(hits[i].text, texts[i]);
        assert_string_equal(hits[i].document, name);
        assert_string_equal(hits[i].metadata, "{\"t\xc3\xaft\":\"\xf0\x9f\x9a\xa2\"}");
    }
    free(large);
}

/* What does not fit in the answer is fetched by key, while it is there. */
static void test_contents(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_hit *hits;
    float vector[DIMENSION];
    size_t count = 0, filled = 0;
    put_document(fixture, "papers", "a", "one", 8, 5, "{\"k\":1}");
    axis_vector(vector, 0, 0);
    const struct vector_query query = {.collection = "papers",
                                       .model = MODEL,
                                       .vector = vector,
                                       .dimension = DIMENSION,
                                       .neighbour_count = 5};
    ok(vector_store_search(fixture->store, &query, 30, &fixture->arena, &hits, &count, &err), &err);
    assert_int_equal(count, 5);
    assert_string_equal(hits[0].text, "text 8");
    assert_string_equal(hits[1].text, "text 9");
    assert_null(hits[2].text);
    ok(vector_store_contents(fixture->store, hits + 2, 3, 0, &fixture->arena, &filled, &err), &err);
    assert_int_equal(filled, 1);
    assert_string_equal(hits[2].text, "text 10");
    assert_string_equal(hits[2].metadata, "{\"k\":1}");
    ok(vector_store_contents(fixture->store, hits + 3, 2, 100, &fixture->arena, &filled, &err),
       &err);
    assert_int_equal(filled, 2);
    assert_string_equal(hits[4].text, "text 12");
    put_document(fixture, "papers", "a", "two", 8, 5, NULL);
    assert_int_equal(
        vector_store_contents(fixture->store, hits, 5, 100, &fixture->arena, &filled, &err),
        ERR_ABORTED);
}

static void test_filters(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_upload_options options = upload_of("papers", "a", "one");
    put_chunk(fixture, &options, 0, 8, "{\"year\": 2019, \"tag\": \"x\", \"ok\": true}", true);
    put_chunk(fixture, &options, 1, 16, "{\"year\": 2020.5, \"lang\": \"de\"}", true);
    put_chunk(fixture, &options, 2, 24, NULL, true);
    ok(vector_store_commit(fixture->store, &options, 3,
                           "{\"lang\": \"en\", \"year\": \"2021\", \"ok\": false}", &err),
       &err);
    put_document(fixture, "papers", "b'c", "one", 32, 1,
                 "{\"lang\":\"de\",\"big\":1e300,\"n\":-0.0}");
    const struct {
        const char *filter, *texts;
    } cases[] = {
        {"{}", "text 8|text 16|text 24|text 32"},
        {"{\"lang\":\"en\"}", "text 8|text 24"},
        {"{\"lang\":\"de\"}", "text 16|text 32"},
        {"{\"year\":{\"gte\":2019}}", "text 8|text 16"},
        {"{\"year\":{\"gt\":2019, \"lt\":2020.5}}", ""},
        {"{\"year\":{\"gt\":2019, \"lte\":2020.5}}", "text 16"},
        {"{\"year\":2019.0}", "text 8"},
        {"{\"year\":\"2021\"}", "text 24"},
        {"{\"year\":{\"gte\":\"2021\"}}", "text 24"},
        {"{\"year\":{\"gt\":\"2021\"}}", ""},
        {"{\"ok\":true}", "text 8"},
        {"{\"ok\":false}", "text 16|text 24"},
        {"{\"ok\":\"true\"}", ""},
        {"{\"ok\":{\"in\":[false,\"x\",1]}}", "text 16|text 24"},
        {"{\"tag\":{\"in\":[\"a\",\"x\"]}}", "text 8"},
        {"{\"none\":1}", ""},
        {"{\"document_id\":\"b'c\"}", "text 32"},
        {"{\"document_id\":{\"gte\":\"b\"}, \"big\":{\"gt\":1}}", "text 32"},
        {"{\"document_id\":{\"in\":[\"a\",\"z\"]}, \"lang\":{\"lt\":\"e\"}}", "text 16"},
        {"{\"document_id\":1}", ""},
        {"{\"n\":0}", "text 32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_texts(fixture, "papers", cases[i].filter, cases[i].texts);
    float vector[DIMENSION] = {1};
    const struct vector_query query = {.collection = "papers",
                                       .model = MODEL,
                                       .vector = vector,
                                       .dimension = DIMENSION,
                                       .neighbour_count = 1,
                                       .filter = "{\"year\":{\"gtee\":1}}"};
    struct vector_hit *hits;
    size_t count;
    assert_int_equal(
        vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
        ERR_INVALID);
    assert_non_null(strstr(err.text, "filter.year"));
}

/* Document's metadata and chunk's together, the chunk's first. */
static void test_metadata(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_hit *hits;
    struct vector_upload_options options = upload_of("papers", "a", "one");
    put_chunk(fixture, &options, 0, 8, "{ \"page\" : 3, \"lang\": \"de\" }", true);
    ok(vector_store_commit(fixture->store, &options, 1, "{\"lang\":\"en\",\"author\":\"x\"}", &err),
       &err);
    put_document(fixture, "papers", "b", "one", 16, 1, NULL);
    assert_int_equal(search_all(fixture, "papers", NULL, &hits), 2);
    assert_string_equal(hits[0].metadata, "{\"author\":\"x\",\"lang\":\"de\",\"page\":3}");
    assert_string_equal(hits[1].metadata, "{}");
}

static void test_hashes(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_upload_options options = upload_of("papers", "a", "one");
    const uint8_t(*hashes)[VECTOR_HASH_SIZE];
    size_t count = 1;
    assert_int_equal(hash_count(fixture, "papers", "a"), 0);
    for (uint32_t i = 0; i < 10; i++)
        put_chunk(fixture, &options, i, i % 5, NULL, true);
    ok(vector_store_commit(fixture->store, &options, 10, NULL, &err), &err);
    uint8_t after[VECTOR_HASH_SIZE], expected[VECTOR_HASH_SIZE];
    for (uint32_t i = 0; i < 5; i += (uint32_t)count) {
        ok(vector_store_hashes(fixture->store, "papers", "a", i > 0 ? after : NULL, 2,
                               &fixture->arena, &hashes, &count, &err),
           &err);
        assert_int_equal(count, i < 4 ? 2 : 1);
        for (uint32_t at = 0; at < count; at++) {
            hash_of(i + at, expected);
            assert_memory_equal(hashes[at], expected, sizeof expected);
        }
        memcpy(after, hashes[count - 1], sizeof after);
    }
    assert_int_equal(hash_count(fixture, "papers", "b"), 0);
}

static void test_collections(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_collection *collections;
    struct vector_hit *hits;
    size_t count = 0;
    put_document(fixture, "b", "x", "one", 8, 2, NULL);
    put_document(fixture, "a", "x", "one", 8, 1, NULL);
    put_document(fixture, "a", "y", "one", 9, 1, NULL);
    put_document(fixture, "c", "x", "one", 8, 1, NULL);
    assert_int_equal(search_all(fixture, "a", NULL, &hits), 2);
    ok(vector_store_collections(fixture->store, "", 2, &fixture->arena, &collections, &count, &err),
       &err);
    assert_int_equal(count, 2);
    assert_string_equal(collections[0].name, "a");
    assert_int_equal(collections[0].document_count, 2);
    assert_string_equal(collections[1].name, "b");
    ok(vector_store_collections(fixture->store, "b", 2, &fixture->arena, &collections, &count,
                                &err),
       &err);
    assert_int_equal(count, 1);
    assert_string_equal(collections[0].name, "c");
    ok(vector_store_collection_delete(fixture->store, "a", &err), &err);
    assert_int_equal(vector_store_collection_delete(fixture->store, "a", &err), ERR_NOT_FOUND);
    ok(vector_store_collections(fixture->store, "", 9, &fixture->arena, &collections, &count, &err),
       &err);
    assert_int_equal(count, 2);
    check_texts(fixture, "b", NULL, "text 8|text 9");
    /* The name is free again, for another model, and for uploads of the same names. */
    struct vector_upload_options options = upload_of("a", "x", "one");
    options.model = "other";
    put_chunk(fixture, &options, 0, 3, NULL, true);
    ok(vector_store_commit(fixture->store, &options, 1, NULL, &err), &err);
}

/* The k best by brute force in long doubles, over documents of many sizes. */
static void test_random(void **state)
{
    enum { DOCUMENTS = 40, WIDTH = 67, QUERIES = 25 };
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    uint64_t seed = 42;
    static float vectors[DOCUMENTS * 40][WIDTH];
    static uint32_t document_of[DOCUMENTS * 40];
    size_t total = 0;
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        char name[16];
        struct vector_chunk chunks[40];
        uint32_t count = 1 + i % 40;
        snprintf(name, sizeof name, "d%02u", i);
        struct vector_upload_options options = upload_of("papers", name, "one");
        options.dimension = WIDTH;
        for (uint32_t at = 0; at < count; at++) {
            document_of[total] = i;
            random_vector(&seed, vectors[total], WIDTH);
            chunks[at] = (struct vector_chunk){
                .ordinal = at, .text = "t", .text_size = 1, .vector = vectors[total++]};
            hash_of(at, chunks[at].hash);
        }
        ok(vector_store_upload(fixture->store, &options, chunks, count, &err), &err);
        ok(vector_store_commit(fixture->store, &options, count, NULL, &err), &err);
    }
    for (int round = 0; round < QUERIES; round++) {
        float query_vector[WIDTH];
        random_vector(&seed, query_vector, WIDTH);
        const struct vector_query query = {.collection = "papers",
                                           .model = MODEL,
                                           .vector = query_vector,
                                           .dimension = WIDTH,
                                           .neighbour_count = 1 + (uint32_t)round * 2};
        struct vector_hit *hits;
        size_t count = 0;
        ok(vector_store_search(fixture->store, &query, 0, &fixture->arena, &hits, &count, &err),
           &err);
        assert_int_equal(count, query.neighbour_count);
        for (size_t i = 0; i < count; i++) {
            /* How many are better than this hit, and its own score. */
            char name[16];
            size_t better = 0;
            bool is_found = false;
            for (size_t row = 0, first = 0; row < total; row++) {
                first = row > 0 && document_of[row] == document_of[row - 1] ? first : row;
                long double dot = 0, a = 0, b = 0;
                for (size_t at = 0; at < WIDTH; at++) {
                    dot += (long double)vectors[row][at] * query_vector[at];
                    a += (long double)vectors[row][at] * vectors[row][at];
                    b += (long double)query_vector[at] * query_vector[at];
                }
                double cosine = (double)(dot / sqrtl(a * b));
                snprintf(name, sizeof name, "d%02u", document_of[row]);
                if (strcmp(hits[i].document, name) == 0 && hits[i].ordinal == row - first) {
                    is_found = true;
                    assert_true(fabs(hits[i].score - cosine) <= 1e-6);
                } else if (cosine > hits[i].score + 1e-6) {
                    better++;
                }
            }
            assert_true(is_found);
            assert_int_equal(better, i);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "postgres") == 0 && !postgres_start(address, sizeof address))
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commit_makes_visible, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ties, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ordinals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_model_and_dimension, setup, teardown),
        cmocka_unit_test_setup_teardown(test_model_race, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hashes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_collections, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failures;
}
