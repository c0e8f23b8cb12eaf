/* SPDX-License-Identifier: Apache-2.0 */
/* Filters and metadata: what is refused, and where the error says it is. What filters mean is held
 * against both stores in test_vector_store.c. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "storage/vectors/vector_filter.h"
#include "storage/vectors.h"

static int parse(const char *text, struct error *err)
{
    struct arena arena;
    const struct vector_filter *filter;
    arena_init(&arena, ARENA_NO_LIMIT);
    int code = vector_filter_parse(text, &arena, &filter, err);
    arena_fini(&arena);
    return code;
}

static void test_refused(void **state)
{
    (void)state;
    const struct {
        const char *text, *says;
        int code;
    } cases[] = {
        {"", "line 1", ERR_INVALID},
        {"{\"a\":1", "line 1, column", ERR_INVALID},
        {"{\"a\":1} x", "end of file", ERR_INVALID},
        {"[]", "object", ERR_INVALID},
        {"3", "", ERR_INVALID},
        {"{\"a\":null}", "filter.a", ERR_INVALID},
        {"{\"a\":[1]}", "filter.a", ERR_INVALID},
        {"{\"a\":{}}", "filter.a", ERR_INVALID},
        {"{\"a\":{\"gt\":true}}", "filter.a.gt", ERR_INVALID},
        {"{\"a\":{\"gt\":{}}}", "filter.a.gt", ERR_INVALID},
        {"{\"a\":{\"get\":1}}", "filter.a: unknown operator \"get\"", ERR_INVALID},
        {"{\"a\":{\"in\":[]}}", "filter.a.in", ERR_INVALID},
        {"{\"a\":{\"in\":1}}", "filter.a.in", ERR_INVALID},
        {"{\"a\":{\"in\":[1,null]}}", "filter.a.in", ERR_INVALID},
        {"{\"\":1}", "name", ERR_INVALID},
        {"{\"a\":1,\"a\":2}", "duplicate", ERR_INVALID},
        {"{\"a\":\"\\u0000\"}", "line 1", ERR_INVALID},
        {"{\"a\":1e999}", "line 1", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        int code = parse(cases[i].text, &err);
        if (code != cases[i].code || strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s: %d \"%s\"", cases[i].text, code, err.text);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct error err = {0};
    struct buffer text = {0};
    buffer_append_byte(&text, '{');
    for (int i = 0; i < VECTOR_FILTER_CONDITIONS_MAX; i++)
        buffer_printf(&text, "%s\"n%d\":%d", i > 0 ? "," : "", i, i);
    buffer_append_byte(&text, '}');
    assert_int_equal(parse(buffer_text(&text), &err), 0);
    text.data[--text.size] = ',';
    text.size++;
    buffer_append_text(&text, "\"one_more\":1}");
    assert_int_equal(parse(buffer_text(&text), &err), ERR_LIMIT);
    buffer_clear(&text);
    buffer_append_text(&text, "{\"a\":{\"in\":[0");
    for (int i = 0; i < VECTOR_FILTER_VALUES_MAX; i++)
        buffer_append_text(&text, ",1");
    buffer_append_text(&text, "]}}");
    assert_int_equal(parse(buffer_text(&text), &err), ERR_LIMIT);
    buffer_clear(&text);
    for (size_t i = 0; i <= VECTOR_FILTER_SIZE_MAX; i++)
        buffer_append_byte(&text, ' ');
    assert_int_equal(parse(buffer_text(&text), &err), ERR_LIMIT);
    buffer_fini(&text);
}

static void test_metadata(void **state)
{
    (void)state;
    struct arena arena;
    struct error err = {0};
    const char *text = "unset";
    arena_init(&arena, ARENA_NO_LIMIT);
    assert_int_equal(vector_metadata_read(NULL, &arena, &text, &err), 0);
    assert_null(text);
    assert_int_equal(vector_metadata_read(" { } ", &arena, &text, &err), 0);
    assert_null(text);
    assert_int_equal(
        vector_metadata_read("{\"z\": true, \"a\": 1.5, \"m\": \"\xc3\xa9\"}", &arena, &text, &err),
        0);
    assert_string_equal(text, "{\"a\":1.5,\"m\":\"\xc3\xa9\",\"z\":true}");
    struct buffer packed = {0};
    assert_int_equal(vector_metadata_pack(text, &packed, &err), 0);
    struct vector_value value;
    const struct vector_packed view = {packed.data, packed.size};
    assert_true(vector_metadata_find(view, "m", 1, &value));
    assert_int_equal(value.type, VECTOR_VALUE_TEXT);
    assert_int_equal(value.size, 2);
    assert_memory_equal(value.text, "\xc3\xa9", 2);
    assert_true(vector_metadata_find(view, "a", 1, &value));
    assert_true(value.type == VECTOR_VALUE_NUMBER && value.number == 1.5);
    assert_true(vector_metadata_find(view, "z", 1, &value));
    assert_true(value.type == VECTOR_VALUE_BOOLEAN && value.is_true);
    assert_false(vector_metadata_find(view, "zz", 2, &value));
    assert_int_equal(vector_metadata_pack("{\"a\":[]}", &packed, &err), ERR_CORRUPT);
    buffer_fini(&packed);
    char *large = malloc(VECTOR_METADATA_SIZE_MAX + 2);
    memset(large, ' ', VECTOR_METADATA_SIZE_MAX + 1);
    large[VECTOR_METADATA_SIZE_MAX + 1] = '\0';
    assert_int_equal(vector_metadata_read(large, &arena, &text, &err), ERR_LIMIT);
    free(large);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
