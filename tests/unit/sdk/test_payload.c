/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads, failures and errors by their public functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <argosy/failure.h>

#include "sdk/payload.h"

static struct argosy_arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = argosy_arena_create();
    return arena == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    argosy_arena_destroy(arena);
    return 0;
}

static void test_values(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    struct argosy_payload payload = argosy_payload_string(arena, "a \"b\" \xc3\xa4");
    assert_string_equal(argosy_payload_text(&payload, arena), "\"a \\\"b\\\" \xc3\xa4\"");
    const char *text;
    assert_int_equal(argosy_payload_get_string(&payload, arena, &text, &err), 0);
    assert_string_equal(text, "a \"b\" \xc3\xa4");
    int64_t integer = 5;
    assert_int_equal(argosy_payload_get_integer(&payload, &integer, &err), ARGOSY_ERR_INVALID);
    assert_int_equal(integer, 5);
    assert_string_equal(err.text, "the payload holds a string, not an integer");

    payload = argosy_payload_integer(arena, INT64_MIN);
    assert_int_equal(argosy_payload_get_integer(&payload, &integer, &err), 0);
    assert_int_equal(integer, INT64_MIN);
    double number;
    payload = argosy_payload_number(arena, 0.25);
    assert_int_equal(argosy_payload_get_number(&payload, &number, &err), 0);
    assert_true(number == 0.25);
    /* Not UTF-8. */
    payload = argosy_payload_string(arena, "\xff");
    assert_null(payload.encoding);
}

static void test_objects(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    struct argosy_payload payload;
    assert_int_equal(
        argosy_payload_pack(arena, &payload, &err, "{s:s, s:[i, b]}", "a", "x", "b", 1, 1), 0);
    struct argosy_payload member;
    assert_int_equal(argosy_payload_get_member(&payload, "b", arena, &member, &err), 0);
    assert_string_equal(argosy_payload_text(&member, arena), "[1,true]");
    assert_int_equal(argosy_payload_get_member(&payload, "c", arena, &member, &err), 0);
    assert_true(argosy_payload_is_null(&member));
    assert_int_equal(argosy_payload_get_member(&member, "c", arena, &member, &err),
                     ARGOSY_ERR_INVALID);
    assert_int_equal(argosy_payload_pack(arena, &payload, &err, "{s:", "a"), ARGOSY_ERR_INVALID);
}

static void test_malformed(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    struct argosy_payload bad = argosy_payload_json("{\"a\": }");
    assert_int_equal(argosy_payload_check(&bad, &err), ARGOSY_ERR_INVALID);
    assert_non_null(strstr(err.text, "the payload is not JSON: line 1 column 7"));
    struct argosy_payload binary = argosy_payload_binary("\0\1", 2);
    assert_int_equal(argosy_payload_check(&binary, &err), 0);
    const char *text;
    assert_int_equal(argosy_payload_get_string(&binary, arena, &text, &err), ARGOSY_ERR_INVALID);
    assert_string_equal(err.text, "the payload is binary/plain, not JSON");
    assert_string_equal(argosy_payload_text(&binary, arena), "<binary/plain, 2 bytes>");
    struct argosy_payload null = argosy_payload_json("null");
    assert_true(argosy_payload_is_null(&null));
    struct argosy_payload absent = {0};
    assert_true(argosy_payload_is_null(&absent));
}

/* Through the message and back: what another SDK put beside the encoding is kept. */
static void test_message_round_trip(void **state)
{
    (void)state;
    struct arena inner;
    arena_init(&inner, ARENA_NO_LIMIT);
    struct argosy_metadata metadata = {"messageType", "vec.V1", 6};
    struct argosy_payload sent[] = {
        {.encoding = "json/protobuf",
         .data = "{}",
         .size = 2,
         .metadata = &metadata,
         .metadata_count = 1},
        argosy_payload_binary(NULL, 0),
        {0},
    };
    Api__Payloads *message = payloads_message((struct argosy_payloads){sent, 3}, &inner);
    struct argosy_payloads got;
    assert_true(payloads_view(message, &inner, &got));
    assert_int_equal(got.count, 3);
    assert_string_equal(got.items[0].encoding, "json/protobuf");
    assert_int_equal(got.items[0].metadata_count, 1);
    assert_string_equal(got.items[0].metadata[0].key, "messageType");
    assert_memory_equal(got.items[0].metadata[0].data, "vec.V1", 6);
    assert_string_equal(got.items[1].encoding, ARGOSY_ENCODING_BINARY);
    assert_int_equal(got.items[1].size, 0);
    assert_true(argosy_payload_is_null(&got.items[2]));
    struct argosy_payloads copy;
    assert_true(payloads_copy(got, &inner, &copy));
    assert_memory_equal(copy.items[0].data, "{}", 2);
    assert_ptr_not_equal(copy.items[0].data, got.items[0].data);
    arena_fini(&inner);
}

/* A peer may leave a map entry's key out; the codec then leaves it NULL. */
static void test_metadata_without_key(void **state)
{
    (void)state;
    struct arena inner;
    arena_init(&inner, ARENA_NO_LIMIT);
    Api__Payload__MetadataEntry entry = API__PAYLOAD__METADATA_ENTRY__INIT;
    Api__Payload__MetadataEntry *entries[] = {&entry};
    Api__Payload message = API__PAYLOAD__INIT;
    message.n_metadata = 1;
    message.metadata = entries;
    struct argosy_payload payload;
    assert_true(payload_view(&message, &inner, &payload));
    assert_string_equal(payload.encoding, ARGOSY_ENCODING_BINARY);
    assert_int_equal(payload.metadata_count, 1);
    assert_string_equal(payload.metadata[0].key, "");
    arena_fini(&inner);
}

static void test_failures(void **state)
{
    (void)state;
    struct argosy_error cause = {0};
    struct argosy_error err = {0};
    assert_int_equal(
        argosy_failure_raise(
            arena,
            &(struct argosy_failure_options){.type = "Disk",
                                             .message = "disk full",
                                             .details = ARGOSY_PAYLOADS(argosy_payload_json("28"))},
            &cause),
        ARGOSY_ERR_FAILED);
    assert_int_equal(
        argosy_failure_raise(arena,
                             &(struct argosy_failure_options){.type = "Save",
                                                              .message = "could not save",
                                                              .non_retryable = true,
                                                              .cause = cause.failure},
                             &err),
        ARGOSY_ERR_FAILED);
    assert_string_equal(err.text, "could not save");
    assert_true(argosy_failure_is_non_retryable(err.failure));
    assert_string_equal(argosy_failure_type(err.failure), "Save");
    assert_int_equal(argosy_failure_kind(err.failure), ARGOSY_FAILURE_APPLICATION);
    assert_string_equal(argosy_failure_text(err.failure, arena), "could not save: disk full");
    const struct argosy_failure *root = argosy_failure_root(err.failure);
    assert_string_equal(argosy_failure_type(root), "Disk");
    assert_false(argosy_failure_is_non_retryable(root));
    struct argosy_payloads details = argosy_failure_details(root, arena);
    assert_int_equal(details.count, 1);
    assert_string_equal(argosy_payload_text(&details.items[0], arena), "28");
    assert_string_equal(argosy_failure_activity_type(root), "");
    assert_int_equal(argosy_failure_timeout_type(root), ARGOSY_TIMEOUT_UNSPECIFIED);
}

static void test_errors(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    assert_int_equal(argosy_error_set(&err, ARGOSY_ERR_RANGE, "%d is too much", 7),
                     ARGOSY_ERR_RANGE);
    /* err's own text as an argument. */
    argosy_error_set(&err, ARGOSY_ERR_INVALID, "line 3: %s", err.text);
    assert_int_equal(err.code, ARGOSY_ERR_INVALID);
    assert_string_equal(err.text, "line 3: 7 is too much");
    assert_int_equal(argosy_error_set(NULL, ARGOSY_ERR_RANGE, "unheard"), ARGOSY_ERR_RANGE);
    assert_string_equal(argosy_error_text(ARGOSY_ERR_FAILED), "failed");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values),
        TEST(objects),
        TEST(malformed),
        TEST(message_round_trip),
        TEST(metadata_without_key),
        TEST(failures),
        TEST(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
