/* SPDX-License-Identifier: Apache-2.0 */
/* json_payload: values in and out of payloads. */
#include "workflows/json_payload.h"

#include <string.h>

#include "common/limits.h"
#include "tests/test.h"
#include "workflows/failure.h"

static void written_and_read_are_equal(void **state)
{
    struct argosy_arena *arena = *state;
    struct argosy_payload payload;
    struct error err = {0};
    json_t *read;
    assert_int_equal(
        json_payload_write(json_pack("{s:i, s:[s,n]}", "n", 7, "list", "a"), arena, &payload, &err),
        0);
    assert_string_equal(payload.encoding, ARGOSY_ENCODING_JSON);
    assert_int_equal(json_payload_read(&payload, &read, &err), 0);
    json_t *expected = json_loads("{\"n\": 7, \"list\": [\"a\", null]}", 0, NULL);
    assert_true(json_equal(read, expected));
    json_decref(expected);
    json_decref(read);
}

static void any_value_may_be_a_payload(void **state)
{
    struct argosy_arena *arena = *state;
    struct argosy_payload payload;
    assert_int_equal(json_payload_write(json_string("text"), arena, &payload, NULL), 0);
    assert_int_equal(payload.size, 6);
    assert_memory_equal(payload.data, "\"text\"", 6);
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        struct argosy_payload payload;
        const char *text;
    } cases[] = {
        {{0}, "the input is absent, not JSON"},
        {{.encoding = ARGOSY_ENCODING_BINARY, .data = "{}", .size = 2},
         "the input is binary/plain, not JSON"},
        {{.encoding = ARGOSY_ENCODING_JSON, .data = "{\"a\": ]", .size = 7}, "line 1, column"},
        {{.encoding = ARGOSY_ENCODING_JSON, .data = "{\"a\": 1, \"a\": 2}", .size = 16},
         "duplicate object key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        json_t *value = (json_t *)state;
        assert_int_equal(json_payload_read(&cases[i].payload, &value, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, cases[i].text));
        assert_ptr_equal(value, state);
    }
}

static void a_value_above_the_limit_is_refused(void **state)
{
    struct argosy_arena *arena = *state;
    struct argosy_payload payload = {.size = 1};
    struct error err = {0};
    size_t size = LIMIT_PAYLOAD_SIZE; /* and two quotes */
    char *text = test_malloc(size);
    memset(text, 'a', size);
    assert_int_equal(json_payload_write(json_stringn(text, size), arena, &payload, &err),
                     ERR_LIMIT);
    assert_int_equal(json_payload_write(json_stringn(text, size - 2), arena, &payload, &err), 0);
    test_free(text);
    assert_int_equal(json_payload_write(NULL, arena, &payload, &err), ERR_MEMORY);
}

static void what_must_be_an_object_is_one(void **state)
{
    struct argosy_arena *arena = *state;
    static const struct {
        struct argosy_payload payload;
        const char *text;
    } cases[] = {
        {{0}, "the input is missing or null"},
        {{.encoding = ARGOSY_ENCODING_JSON, .data = "[1]", .size = 3},
         "the input is not a JSON object"},
        {{.encoding = ARGOSY_ENCODING_JSON, .data = "{\"a\": ]", .size = 7}, "line 1, column"},
    };
    json_t *object;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct argosy_error err = {0};
        assert_int_equal(json_payload_read_object(&cases[i].payload, arena, &object, &err),
                         ARGOSY_ERR_FAILED);
        assert_string_equal(argosy_failure_type(err.failure), FAILURE_INVALID_INPUT);
        assert_true(argosy_failure_is_non_retryable(err.failure));
        assert_non_null(strstr(argosy_failure_message(err.failure), cases[i].text));
    }
    struct argosy_payload payload;
    assert_int_equal(json_payload_make(json_pack("{s:i}", "n", 7), arena, &payload, NULL), 0);
    assert_int_equal(json_payload_read_object(&payload, arena, &object, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(object, "n")), 7);
    json_decref(object);
}

static int setup(void **state)
{
    *state = argosy_arena_create();
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    argosy_arena_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_read_are_equal, setup, teardown),
        cmocka_unit_test_setup_teardown(any_value_may_be_a_payload, setup, teardown),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test_setup_teardown(a_value_above_the_limit_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_must_be_an_object_is_one, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
