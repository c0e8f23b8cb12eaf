/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the ingest that need no storage: its input, the file of chunks, the numbering of
 * hashes, the sections.
 */
#include <argosy/arena.h>
#include <argosy/failure.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"
#include "workflows/ingest/chunk_file.h"
#include "workflows/ingest/digest_table.h"
#include "workflows/failure.h"
#include "workflows/ingest/ingest_request.h"
#include "workflows/ingest/section_list.h"

#define ID      "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define SOURCE  "{\"artifact\": \"" ID "\", \"size\": 7, \"name\": \"a.md\"}"
#define REQUEST "{\"document_id\": \"a\", \"collection\": \"c\", \"source\": " SOURCE

/* ---- input ---- */

static int request_read(const char *json, struct argosy_arena *arena,
                        struct ingest_request *ret_request, struct argosy_error *err)
{
    struct argosy_payload payload = argosy_payload_json(json);
    return ingest_request_read(&payload, arena, ret_request, err);
}

static void a_request_is_read_whole(void **state)
{
    (void)state;
    struct argosy_arena *arena = argosy_arena_create();
    struct ingest_request request;
    struct argosy_error err;
    assert_int_equal(request_read(REQUEST "}", arena, &request, &err), 0);
    assert_string_equal(request.document_id, "a");
    assert_string_equal(request.source.id, ID);
    assert_int_equal(request.source.size, 7);
    assert_string_equal(request.name, "a.md");
    assert_null(request.type);
    assert_null(request.metadata);
    assert_null(request.model);
    assert_int_equal(request.chunk_tokens, 0);
    assert_int_equal(request.chunk_overlap, -1);

    assert_int_equal(request_read(REQUEST ", \"metadata\": {\"year\": 2026, \"ok\": true}, "
                                          "\"model\": \"m\", \"chunk_tokens\": 64, "
                                          "\"chunk_overlap\": 0}",
                                  arena, &request, &err),
                     0);
    assert_string_equal(request.metadata, "{\"year\":2026,\"ok\":true}");
    assert_string_equal(request.model, "m");
    assert_int_equal(request.chunk_tokens, 64);
    assert_int_equal(request.chunk_overlap, 0);
    argosy_arena_destroy(arena);
}

static void a_wrong_request_is_refused_by_member(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
    } wrong[] = {
        {"[]", "not a JSON object"},
        {"{", "line 1"},
        {"{}", "\"document_id\" is missing"},
        {"{\"document_id\": \"\", \"collection\": \"c\"}", "\"document_id\" must be"},
        {"{\"document_id\": \"d\", \"source\": " SOURCE "}", "\"collection\" is missing"},
        {"{\"document_id\": \"d\", \"collection\": \"c\"}", "\"source\""},
        {"{\"document_id\": \"d\", \"collection\": \"c\", \"source\": \"/etc/passwd\"}",
         "\"source\""},
        {REQUEST ", \"metdata\": {}}", "did you mean \"metadata\""},
        {REQUEST ", \"metadata\": []}", "\"metadata\" must be"},
        {REQUEST ", \"metadata\": {\"a\": {}}}", "\"metadata\": \"a\" must be"},
        {REQUEST ", \"metadata\": {\"\": 1}}", "0 bytes"},
        {REQUEST ", \"metadata\": {\"section\": \"s\"}}", "the chunks' own"},
        {REQUEST ", \"chunk_tokens\": -1}", "\"chunk_tokens\" must be"},
        {REQUEST ", \"chunk_tokens\": 1.5}", "\"chunk_tokens\" must be"},
        {REQUEST ", \"model\": 3}", "\"model\" must be"},
        {REQUEST ", \"model\": \"a\", \"model\": \"b\"}", "duplicate"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct argosy_arena *arena = argosy_arena_create();
        struct ingest_request request;
        struct argosy_error err = {0};
        assert_int_equal(request_read(wrong[i].json, arena, &request, &err), ARGOSY_ERR_FAILED);
        if (strstr(argosy_failure_message(err.failure), wrong[i].text) == NULL)
            fail_msg("%s: %s", wrong[i].json, argosy_failure_message(err.failure));
        assert_string_equal(argosy_failure_type(err.failure), FAILURE_INVALID_INPUT);
        assert_true(argosy_failure_is_non_retryable(err.failure));
        argosy_arena_destroy(arena);
    }
}

/* ---- chunks ---- */

static int temporary_file(void)
{
    char path[] = "/tmp/argosy-chunks.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void chunks_come_back_as_they_were_written(void **state)
{
    (void)state;
    int fd = temporary_file();
    FILE *file = fdopen(dup(fd), "w");
    assert_non_null(file);
    const char text[] = "line one\nä \"quoted\" \x01 not of the text";
    struct chunk_record record = {.text = text, .size = 22, .offset = 5000000000, .section = "S"};
    memset(record.hash, 0xa5, sizeof record.hash);
    assert_int_equal(chunk_record_write(file, &record, NULL), 0);
    record.ordinal = 1;
    record.section = NULL;
    assert_int_equal(chunk_record_write(file, &record, NULL), 0);
    assert_int_equal(fclose(file), 0);

    struct chunk_reader *reader;
    struct chunk_line line;
    assert_int_equal(chunk_reader_open(fd, &reader, NULL), 0);
    assert_int_equal(chunk_reader_next(reader, &line, NULL), 0);
    assert_int_equal(line.text_size, 22);
    assert_memory_equal(line.text, text, 22);
    assert_memory_equal(line.hash, record.hash, sizeof record.hash);
    assert_string_equal(line.metadata, "{\"offset\":5000000000,\"section\":\"S\"}");
    assert_int_equal(chunk_reader_next(reader, &line, NULL), 0);
    assert_int_equal(line.ordinal, 1);
    assert_string_equal(line.metadata, "{\"offset\":5000000000}");
    assert_int_equal(chunk_reader_next(reader, &line, NULL), 0);
    assert_null(line.text);
    assert_int_equal(line.ordinal, 2);
    chunk_reader_close(reader);
}

static void lines_that_are_no_chunks_are_refused(void **state)
{
    (void)state;
#define HASH "\"0000000000000000000000000000000000000000000000000000000000000000\""
    static const char *const wrong[] = {
        "nothing\n",
        "{}\n",
        "{\"text\": \"a\", \"ordinal\": 0, \"hash\": " HASH ", \"metadata\": {}}", /* cut off */
        "{\"text\": \"a\", \"ordinal\": 1, \"hash\": " HASH ", \"metadata\": {}}\n",
        "{\"text\": \"a\", \"ordinal\": 0, \"hash\": \"00\", \"metadata\": {}}\n",
        "{\"text\": \"a\", \"ordinal\": 0, \"hash\": " HASH "}\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int fd = temporary_file();
        assert_int_equal(write(fd, wrong[i], strlen(wrong[i])), strlen(wrong[i]));
        struct chunk_reader *reader;
        struct chunk_line line;
        struct error err;
        assert_int_equal(chunk_reader_open(fd, &reader, NULL), 0);
        assert_int_equal(chunk_reader_next(reader, &line, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "line 1"));
        chunk_reader_close(reader);
    }
}

/* ---- hashes ---- */

static void digests_are_numbered_as_they_come(void **state)
{
    (void)state;
    struct digest_table table = {0};
    uint32_t number;
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < 5000; i++) {
            uint8_t digest[DIGEST_SIZE] = {0};
            /* All but 100 of them collide. */
            memcpy(digest + 8, &i, sizeof i);
            digest[0] = (uint8_t)(i < 100 ? i : 0);
            assert_int_equal(digest_table_add(&table, digest, &number, NULL), 0);
            assert_int_equal(number, i);
        }
    assert_int_equal(table.count, 5000);
    digest_table_fini(&table);
}

/* ---- sections ---- */

static void a_place_stands_under_the_heading_before_it(void **state)
{
    (void)state;
    struct section_list list = {0};
    assert_null(section_list_find(&list, 0));
    assert_int_equal(section_list_add(&list, 10, "One\n  more ", 11, NULL), 0);
    assert_int_equal(section_list_add(&list, 20, "Two", 3, NULL), 0);
    assert_null(section_list_find(&list, 9));
    assert_string_equal(section_list_find(&list, 10), "One more ");
    assert_string_equal(section_list_find(&list, 19), "One more ");
    assert_string_equal(section_list_find(&list, 20), "Two");
    char title[600];
    for (size_t i = 0; i < sizeof title; i += 3)
        memcpy(title + i, "€", 3);
    assert_int_equal(section_list_add(&list, 30, title, sizeof title, NULL), 0);
    const char *found = section_list_find(&list, 1000);
    assert_true(strlen(found) <= SECTION_TITLE_MAX && strlen(found) % 3 == 0);
    section_list_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_whole),
        cmocka_unit_test(a_wrong_request_is_refused_by_member),
        cmocka_unit_test(chunks_come_back_as_they_were_written),
        cmocka_unit_test(lines_that_are_no_chunks_are_refused),
        cmocka_unit_test(digests_are_numbered_as_they_come),
        cmocka_unit_test(a_place_stands_under_the_heading_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
