/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_activity: what validate_input, preprocess and preprocess_batch give for every kind of
 * input, and that what they refuse is never tried again. */
#include "workflows/text_activity.h"

#include <argosy/failure.h>
#include <argosy/registry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/test.h"
#include "workflows/shipped.h"

typedef int text_function(const struct argosy_payload *input, struct argosy_arena *arena,
                          struct argosy_payload *ret_result, struct argosy_error *err);

static struct argosy_arena *arena;

static int arena_setup(void **state)
{
    (void)state;
    arena = argosy_arena_create();
    return arena != NULL ? 0 : -1;
}

static int arena_teardown(void **state)
{
    (void)state;
    argosy_arena_destroy(arena);
    return 0;
}

static void assert_result(text_function *function, const char *input, const char *want)
{
    struct argosy_payload payload = argosy_payload_json(input), result = {0};
    struct argosy_error err = {0};
    if (function(&payload, arena, &result, &err) != 0)
        fail_msg("%s: %s", input, err.text);
    assert_string_equal(result.encoding, ARGOSY_ENCODING_JSON);
    assert_int_equal(result.size, strlen(want));
    assert_memory_equal(result.data, want, result.size);
}

static void assert_failure(text_function *function, const struct argosy_payload *payload,
                           const char *type, const char *message)
{
    struct argosy_payload result = {.size = 77};
    struct argosy_error err = {0};
    assert_int_equal(function(payload, arena, &result, &err), ARGOSY_ERR_FAILED);
    assert_non_null(err.failure);
    assert_string_equal(argosy_failure_message(err.failure), message);
    assert_string_equal(argosy_failure_type(err.failure), type);
    assert_true(argosy_failure_is_non_retryable(err.failure));
    assert_int_equal(result.size, 77);
}

static void assert_json_failure(text_function *function, const char *input, const char *type,
                                const char *message)
{
    struct argosy_payload payload = argosy_payload_json(input);
    assert_failure(function, &payload, type, message);
}

/* A JSON string of count times the unit, with `before` and `after` around it inside the quotes. */
static const char *long_text(const char *before, const char *unit, size_t count, const char *after)
{
    size_t unit_size = strlen(unit);
    char *text = malloc(strlen(before) + count * unit_size + strlen(after) + 3);
    assert_non_null(text);
    char *at = text + sprintf(text, "\"%s", before);
    for (size_t i = 0; i < count; i++, at += unit_size)
        memcpy(at, unit, unit_size);
    sprintf(at, "%s\"", after);
    const char *copy = argosy_arena_printf(arena, "%s", text);
    free(text);
    return copy;
}

static void valid_texts_pass_unchanged(void **state)
{
    (void)state;
    assert_result(text_validate, "\"  Hello  world  \"", "\"  Hello  world  \"");
    assert_result(text_validate, "\"\\u0000x\"", "\"\\u0000x\"");
    const char *longest = long_text("", "x", TEXT_LENGTH_MAX, "");
    assert_result(text_validate, longest, longest);
}

static void blank_texts_are_empty(void **state)
{
    (void)state;
    static const char *const blank[] = {"\"\"", "\"   \"", "\"\\t\\n\\r\"", "\"\\u200b\\u0000\"",
                                        "\"\\u3000\\u00a0\""};
    for (size_t i = 0; i < sizeof(blank) / sizeof(blank[0]); i++)
        assert_json_failure(text_validate, blank[i], "EmptyInput", "Input text is empty");
    assert_json_failure(text_validate, long_text("", " ", TEXT_LENGTH_MAX + 5, ""), "EmptyInput",
                        "Input text is empty");
}

static void the_limit_counts_code_points_before_trimming(void **state)
{
    (void)state;
    const char *at_limit = long_text(" ", "\U0001F600", TEXT_LENGTH_MAX - 2, " ");
    assert_result(text_validate, at_limit, at_limit);
    assert_json_failure(text_validate, long_text(" ", "\U0001F600", TEXT_LENGTH_MAX - 1, " "),
                        "InputTooLong", "Input text exceeds token limit");
}

static void too_long_a_text_tells_its_length_and_place(void **state)
{
    (void)state;
    struct argosy_payload result;
    struct argosy_error err = {0};
    const char *batch =
        argosy_arena_printf(arena, "[\"ok\", %s]", long_text("", "y", TEXT_LENGTH_MAX + 1, ""));
    struct argosy_payload payload = argosy_payload_json(batch);
    assert_int_equal(text_preprocess_batch(&payload, arena, &result, &err), ARGOSY_ERR_FAILED);
    assert_string_equal(argosy_failure_message(err.failure), "Input text exceeds token limit");
    struct argosy_payloads details = argosy_failure_details(err.failure, arena);
    assert_int_equal(details.count, 1);
    json_t *detail = json_loadb(details.items[0].data, details.items[0].size, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(detail, "length")), TEXT_LENGTH_MAX + 1);
    assert_int_equal(json_integer_value(json_object_get(detail, "index")), 1);
    json_decref(detail);
}

static void wrong_types_are_named(void **state)
{
    (void)state;
    assert_json_failure(text_validate, "42", "InvalidInput",
                        "the input must be a string, not a number");
    assert_json_failure(text_validate, "[\"a\"]", "InvalidInput",
                        "the input must be a string, not a list");
    assert_json_failure(text_preprocess, "true", "InvalidInput",
                        "the input must be a string, not a boolean");
    assert_json_failure(text_preprocess_batch, "\"a\"", "InvalidInput",
                        "the input must be a list of strings, not a string");
    assert_json_failure(text_preprocess_batch, "[\"a\", 1.5]", "InvalidInput",
                        "text 1 of the input must be a string, not a number");

    text_function *const functions[] = {text_validate, text_preprocess, text_preprocess_batch};
    for (size_t i = 0; i < 3; i++) {
        struct argosy_payload null = argosy_payload_null(), absent = {0};
        struct argosy_payload binary = argosy_payload_binary("\1\2", 2);
        assert_failure(functions[i], &null, "InvalidInput", "the input is missing or null");
        assert_failure(functions[i], &absent, "InvalidInput", "the input is missing or null");
        assert_json_failure(functions[i], "null", "InvalidInput", "the input is missing or null");
        assert_failure(functions[i], &binary, "InvalidInput",
                       "the input is not JSON but binary/plain");
        assert_json_failure(functions[i], "\"\\ud800\"", "InvalidInput",
                            "the input is not JSON: line 1, column 8: invalid Unicode '\\uD800' "
                            "near '\"\\ud800\"'");
    }
}

static void a_text_may_come_with_the_model_that_labels_it(void **state)
{
    (void)state;
    static const char input[] = "{\"model\": \"Tickets@2\", \"text\": \" Hello \"}";
    assert_result(text_validate, input, input);
    assert_result(text_preprocess, input, "{\"model\":\"Tickets@2\",\"text\":\"hello\"}");
    assert_result(text_preprocess, "{\"text\": \"A\"}", "{\"text\":\"a\"}");
    assert_json_failure(text_validate, "{\"text\": \" \", \"model\": \"m\"}", "EmptyInput",
                        "Input text is empty");

    static const struct {
        const char *input, *message;
    } wrong[] = {
        {"{}", "\"text\" of the input is missing"},
        {"{\"model\": \"m\"}", "\"text\" of the input is missing"},
        {"{\"text\": 4}", "\"text\" of the input must be a string, not a number"},
        {"{\"text\": \"a\", \"model\": null}", "\"model\" of the input must be a string, not null"},
        {"{\"text\": \"a\", \"modle\": \"m\"}",
         "the input has no member \"modle\" (did you mean \"model\"?)"},
        {"{\"text\": \"a\", \"priority\": 1}", "the input has no member \"priority\""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_json_failure(text_validate, wrong[i].input, "InvalidInput", wrong[i].message);
        assert_json_failure(text_preprocess, wrong[i].input, "InvalidInput", wrong[i].message);
    }
}

static void preprocessing_cleans_as_python_would(void **state)
{
    (void)state;
    assert_result(text_preprocess, "\"  Hello  world  \"", "\"hello world\"");
    assert_result(text_preprocess, "\"Tab\\tNew\\nLine \\\"Q\\\"\"", "\"tab new line \\\"q\\\"\"");
    assert_result(text_preprocess, "\"ΟΔΥΣΣΕΥΣ \\u0130\"", "\"οδυσσευς i̇\"");
    assert_result(text_preprocess, "\"a\\u0000b\\u200dc\"", "\"abc\"");
}

static void a_batch_drops_blank_texts(void **state)
{
    (void)state;
    assert_result(text_preprocess_batch, "[\" One \", \"\", \"\\u200b\", \"TWO\\n\"]",
                  "[\"one\",\"two\"]");
    assert_result(text_preprocess_batch, "[]", "[]");
    assert_result(text_preprocess_batch, "[\" \"]", "[]");
}

static void registration_takes_each_name_once(void **state)
{
    (void)state;
    static const struct shipped_context context;
    struct argosy_error err = {0};
    struct argosy_registry *registry = argosy_registry_create();
    assert_int_equal(shipped_register(registry, &context, &err), 0);
    assert_int_equal(shipped_register(registry, &context, &err), ARGOSY_ERR_EXISTS);
    argosy_registry_destroy(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_pass_unchanged),
        cmocka_unit_test(blank_texts_are_empty),
        cmocka_unit_test(the_limit_counts_code_points_before_trimming),
        cmocka_unit_test(too_long_a_text_tells_its_length_and_place),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(a_text_may_come_with_the_model_that_labels_it),
        cmocka_unit_test(preprocessing_cleans_as_python_would),
        cmocka_unit_test(a_batch_drops_blank_texts),
        cmocka_unit_test(registration_takes_each_name_once),
    };
    return cmocka_run_group_tests(tests, arena_setup, arena_teardown);
}
