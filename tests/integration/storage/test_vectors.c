/* SPDX-License-Identifier: Apache-2.0 */
/* storage/vectors.h through a real storage process: what the client adds to the store, which is
 * splitting by size, fetching what does not fit in a reply, and errors that arrive as they left. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/limits.h"
#include "storage/vectors.h"
#include "tests/integration/storage/storage_process.h"

#define WIDTH 1024

static struct storage_process process;

static int setup(void **state)
{
    (void)state;
    storage_process_open(&process, "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    storage_process_close(&process);
    return 0;
}

static void ok(int code, const struct error *err)
{
    if (code != 0)
        fail_msg("%s", err->text);
}

static struct vector_upload_options upload_of(const char *document, const char *upload)
{
    return (struct vector_upload_options){.collection = "papers",
                                          .document = document,
                                          .upload = upload,
                                          .model = "m",
                                          .dimension = WIDTH};
}

/* count chunks, each with a text of text_size bytes that begins with its number, nearer to axis 0
 * the smaller the number. */
struct chunks {
    struct vector_chunk *chunks;
    float (*vectors)[WIDTH];
    char *texts;
};

static struct chunks chunks_make(uint32_t count, size_t text_size)
{
    struct chunks made = {calloc(count, sizeof *made.chunks), calloc(count, sizeof *made.vectors),
                          malloc(count * (text_size + 1))};
    for (uint32_t i = 0; i < count; i++) {
        char *text = made.texts + i * (text_size + 1);
        memset(text, 'a' + (int)(i % 26), text_size);
        text[text_size] = '\0';
        int size = snprintf(text, text_size + 1, "%u", i);
        text[size] = ' ';
        made.vectors[i][0] = 1;
        made.vectors[i][1] = (float)i / 1000;
        made.chunks[i] = (struct vector_chunk){
            .ordinal = i, .text = text, .text_size = text_size, .vector = made.vectors[i]};
        memcpy(made.chunks[i].hash, &i, sizeof i);
    }
    return made;
}

static void chunks_free(struct chunks *made)
{
    free(made->chunks);
    free(made->vectors);
    free(made->texts);
}

/* 20 MB of texts and vectors, several messages of them, go there and come back. */
static void test_large(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct error err = {0};
    struct arena arena;
    struct vector_upload_options options = upload_of("a", "one");
    struct chunks made = chunks_make(COUNT, VECTOR_TEXT_SIZE_MAX);
    ok(vectors_upload(process.client, &options, made.chunks, COUNT, &err), &err);
    ok(vectors_commit(process.client, &options, COUNT, "{\"lang\": \"en\"}", &err), &err);
    const struct vector_query query = {.collection = "papers",
                                       .model = "m",
                                       .vector = made.vectors[0],
                                       .dimension = WIDTH,
                                       .neighbour_count = 1000};
    const struct vector_neighbour *neighbours;
    size_t count = 0;
    arena_init(&arena, ARENA_NO_LIMIT);
    ok(vectors_search(process.client, &query, &arena, &neighbours, &count, &err), &err);
    assert_int_equal(count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(neighbours[i].ordinal, i);
        assert_string_equal(neighbours[i].document, "a");
        assert_string_equal(neighbours[i].text, made.chunks[i].text);
        assert_string_equal(neighbours[i].metadata, "{\"lang\":\"en\"}");
    }
    /* An arena that is too small is an error. */
    struct arena small;
    arena_init(&small, LIMIT_MIB);
    assert_int_equal(vectors_search(process.client, &query, &small, &neighbours, &count, &err),
                     ERR_LIMIT);
    arena_fini(&small);
    arena_fini(&arena);
    chunks_free(&made);
}

/* More chunks than a message has elements, more hashes than a page. */
static void test_many(void **state)
{
    (void)state;
    enum { COUNT = 33000, DIMENSION = 4 };
    struct error err = {0};
    struct arena arena;
    float vector[DIMENSION] = {1, 2, 3, 4};
    struct vector_chunk *chunks = calloc(COUNT, sizeof *chunks);
    struct vector_upload_options options = upload_of("many", "one");
    options.collection = "many";
    options.dimension = DIMENSION;
    for (uint32_t i = 0; i < COUNT; i++) {
        chunks[i] =
            (struct vector_chunk){.ordinal = i, .text = "t", .text_size = 1, .vector = vector};
        memcpy(chunks[i].hash, &i, sizeof i);
    }
    ok(vectors_upload(process.client, &options, chunks, COUNT, &err), &err);
    ok(vectors_commit(process.client, &options, COUNT, NULL, &err), &err);
    const uint8_t(*hashes)[VECTOR_HASH_SIZE];
    size_t count = 0;
    arena_init(&arena, ARENA_NO_LIMIT);
    ok(vectors_document_hashes(process.client, "many", "many", &arena, &hashes, &count, &err),
       &err);
    assert_int_equal(count, COUNT);
    static bool is_seen[COUNT];
    for (size_t i = 0; i < count; i++) {
        uint32_t number;
        memcpy(&number, hashes[i], sizeof number);
        assert_in_range(number, 0, COUNT - 1);
        assert_false(is_seen[number]);
        is_seen[number] = true;
    }
    ok(vectors_document_hashes(process.client, "many", "none", &arena, &hashes, &count, &err),
       &err);
    assert_int_equal(count, 0);
    /* None of them needs its vector again. */
    options.upload = "two";
    for (uint32_t i = 0; i < COUNT; i++)
        chunks[i].vector = NULL;
    ok(vectors_upload(process.client, &options, chunks, COUNT, &err), &err);
    ok(vectors_commit(process.client, &options, COUNT, NULL, &err), &err);
    arena_fini(&arena);
    free(chunks);
}

static void test_errors(void **state)
{
    (void)state;
    struct error err = {0};
    struct arena arena;
    struct chunks made = chunks_make(2, 10);
    struct vector_upload_options options = upload_of("a", "one");
    const struct vector_neighbour *neighbours = NULL;
    size_t count = 7;
    arena_init(&arena, ARENA_NO_LIMIT);
    ok(vectors_upload(process.client, &options, made.chunks, 2, &err), &err);
    assert_int_equal(vectors_commit(process.client, &options, 3, NULL, &err), ERR_STATE);
    assert_int_equal(vectors_commit(process.client, &options, 2, "{\"a\": []}", &err), ERR_INVALID);
    ok(vectors_commit(process.client, &options, 2, NULL, &err), &err);
    options.upload = "two";
    made.chunks[1].vector = NULL;
    made.chunks[1].hash[20] = 1;
    assert_int_equal(vectors_upload(process.client, &options, made.chunks, 2, &err), ERR_NOT_FOUND);
    made.chunks[1].text = "a\0b";
    made.chunks[1].text_size = 3;
    assert_int_equal(vectors_upload(process.client, &options, made.chunks, 2, &err), ERR_INVALID);
    options.dimension = 0;
    assert_int_equal(vectors_upload(process.client, &options, made.chunks, 1, &err), ERR_INVALID);
    struct vector_query query = {.collection = "papres",
                                 .model = "m",
                                 .vector = made.vectors[0],
                                 .dimension = WIDTH,
                                 .neighbour_count = 1};
    assert_int_equal(vectors_search(process.client, &query, &arena, &neighbours, &count, &err),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "\"papers\""));
    query.collection = "papers";
    query.filter = "{\"a\": {\"gt\": true}}";
    assert_int_equal(vectors_search(process.client, &query, &arena, &neighbours, &count, &err),
                     ERR_INVALID);
    assert_non_null(strstr(err.text, "filter.a.gt"));
    query.filter = NULL;
    query.model = "other";
    assert_int_equal(vectors_search(process.client, &query, &arena, &neighbours, &count, &err),
                     ERR_INVALID);
    assert_null(neighbours);
    assert_int_equal(count, 7);
    arena_fini(&arena);
    chunks_free(&made);
}

static void test_collections(void **state)
{
    (void)state;
    enum { COUNT = 1203 };
    struct error err = {0};
    struct arena arena;
    const struct vector_collection *collections;
    size_t count = 0;
    float vector[1] = {1};
    const struct vector_chunk chunk = {.text = "t", .text_size = 1, .vector = vector};
    arena_init(&arena, ARENA_NO_LIMIT);
    ok(vectors_collections(process.client, &arena, &collections, &count, &err), &err);
    assert_int_equal(count, 0);
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%04d", i);
        struct vector_upload_options options = upload_of("d", "u");
        options.collection = name;
        options.dimension = 1;
        ok(vectors_upload(process.client, &options, &chunk, 1, &err), &err);
        ok(vectors_commit(process.client, &options, 1, NULL, &err), &err);
    }
    ok(vectors_collections(process.client, &arena, &collections, &count, &err), &err);
    assert_int_equal(count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%04d", i);
        assert_string_equal(collections[i].name, name);
        assert_string_equal(collections[i].model, "m");
        assert_int_equal(collections[i].dimension, 1);
        assert_int_equal(collections[i].chunk_count, 1);
    }
    ok(vectors_collection_delete(process.client, "c0007", &err), &err);
    assert_int_equal(vectors_collection_delete(process.client, "c0007", &err), ERR_NOT_FOUND);
    ok(vectors_collections(process.client, &arena, &collections, &count, &err), &err);
    assert_int_equal(count, COUNT - 1);
    arena_fini(&arena);
}

/* What `argosy collection ...` prints; fails the test where its status is another. */
static const char *run_command(const char *arguments, int status_wanted)
{
    static char output[4096];
    char command[1024];
    snprintf(command, sizeof command, "%s/argosy collection %s --config %s/fleet.yaml 2>&1",
             getenv("ARGOSY_BIN_DIR"), arguments, process.folder);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int status = pclose(pipe);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != status_wanted)
        fail_msg("%s: status %d: %s", arguments, status, output);
    return output;
}

static void test_command_line(void **state)
{
    (void)state;
    struct error err = {0};
    struct chunks made = chunks_make(2, 10);
    struct vector_upload_options options = upload_of("a", "one");
    assert_string_equal(run_command("list", 0), "no collections\n");
    options.collection = "col\x1b[1m";
    ok(vectors_upload(process.client, &options, made.chunks, 2, &err), &err);
    ok(vectors_commit(process.client, &options, 2, NULL, &err), &err);
    assert_string_equal(run_command("list", 0),
                        "NAME        MODEL  DIMENSION  DOCUMENTS  CHUNKS  STREAMED\n"
                        "col\\x1b[1m  m      1024       1          2       no\n");
    options.collection = "papers";
    options.document = "b";
    ok(vectors_upload(process.client, &options, made.chunks, 1, &err), &err);
    ok(vectors_commit(process.client, &options, 1, NULL, &err), &err);
    const char *described = run_command("show papers --output json", 0);
    assert_non_null(strstr(described, "\"chunks\": 1"));
    assert_non_null(strstr(described, "\"streamed\": false"));
    assert_non_null(strstr(run_command("show paper", 66), "\"papers\""));
    assert_non_null(strstr(run_command("delete", 64), "missing"));
    assert_string_equal(run_command("delete papers", 0), "deleted collection papers\n");
    assert_non_null(strstr(run_command("delete papers", 66), "no collection"));
    chunks_free(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_collections, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_line, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
