/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of input_check.h: what each keyword lets through and what it says. The verdicts are those
 * of the JSON Schema standard (2020-12), worked out by hand; schemas are in YAML's flow style, of
 * which JSON is a part.
 */
#include "sdk/input_check.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/limits.h"
#include "tests/test.h"

struct check_case {
    const char *schema;
    const char *input;
    const char *problem; /* NULL: it fits */
};

static int check(const char *schema_text, const char *input, struct error *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    static const struct yaml_source source = {.name = "schema"};
    struct yaml_node *root;
    const struct input_schema *schema;
    int code = yaml_parse(schema_text, strlen(schema_text), &source, &arena, &root, err);
    if (code == 0)
        code = input_schema_compile(root, &arena, &schema, err);
    if (code != 0)
        fail_msg("%s: %s", schema_text, err->text);
    json_t *value;
    code = input_parse(input, strlen(input), &value, err);
    if (code == 0) {
        code = input_check(schema, value, err);
        json_decref(value);
    }
    arena_fini(&arena);
    return code;
}

static void expect(const struct check_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        int code = check(cases[i].schema, cases[i].input, &err);
        if (cases[i].problem == NULL && code != 0)
            fail_msg("%s refuses %s: %s", cases[i].schema, cases[i].input, err.text);
        if (cases[i].problem == NULL)
            continue;
        if (code == 0)
            fail_msg("%s accepts %s", cases[i].schema, cases[i].input);
        assert_int_equal(code, ERR_INVALID);
        assert_string_equal(err.text, cases[i].problem);
    }
}
#define EXPECT(cases) expect(cases, sizeof(cases) / sizeof(cases)[0])

static void types(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"{}", "null", NULL},
        {"{}", "[1, {\"a\": 2}]", NULL},
        {"{type: string}", "\"\"", NULL},
        {"{type: string}", "1", "$: expected string, got number"},
        {"{type: integer}", "1", NULL},
        {"{type: integer}", "1.0", NULL},
        {"{type: integer}", "-1e2", NULL},
        {"{type: integer}", "1.5", "$: expected integer, got number"},
        {"{type: number}", "1", NULL},
        {"{type: number}", "1.5", NULL},
        {"{type: number}", "\"1\"", "$: expected number, got string"},
        {"{type: boolean}", "false", NULL},
        {"{type: boolean}", "0", "$: expected boolean, got number"},
        {"{type: 'null'}", "null", NULL},
        {"{type: null}", "null", NULL},
        {"{type: null}", "false", "$: expected null, got boolean"},
        {"{type: array}", "[]", NULL},
        {"{type: array}", "{}", "$: expected array, got object"},
        {"{type: object}", "{}", NULL},
        {"{type: object}", "[]", "$: expected object, got array"},
        {"{type: [string, array]}", "[]", NULL},
        {"{type: [string, array, integer]}", "{}",
         "$: expected integer or string or array, got object"},
    };
    EXPECT(cases);
}

static void numbers(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"{minimum: 1}", "1", NULL},
        {"{minimum: 1}", "0.99", "$: 0.99 must be at least 1"},
        {"{minimum: 1}", "\"not a number: says nothing\"", NULL},
        {"{maximum: 1.5}", "1.5", NULL},
        {"{maximum: 1.5}", "2", "$: 2 must be at most 1.5"},
        {"{exclusiveMinimum: 0}", "0", "$: 0 must be above 0"},
        {"{exclusiveMinimum: 0}", "1e-300", NULL},
        {"{exclusiveMaximum: 3}", "3", "$: 3 must be below 3"},
        {"{minimum: -5, exclusiveMaximum: 3}", "2.999", NULL},
        /* exact beyond the 53 bits of a double */
        {"{maximum: 9007199254740992}", "9007199254740992", NULL},
        {"{exclusiveMaximum: 9223372036854775807}", "9223372036854775806", NULL},
        {"{const: 9007199254740993}", "9007199254740993", NULL},
        {"{const: 9007199254740993}", "9007199254740992", "$: this number is not 9007199254740993"},
        {"{const: 0.1}", "0.1", NULL},
        {"{const: 1}", "1.0", NULL},
    };
    EXPECT(cases);
}

static void values(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"{enum: [mean, cls]}", "\"mean\"", NULL},
        {"{enum: [mean, cls]}", "\"maen\"",
         "$: \"maen\" is none of \"mean\", \"cls\" (did you mean \"mean\"?)"},
        {"{enum: [mean, cls]}", "7", "$: this number is none of \"mean\", \"cls\""},
        {"{enum: [1, \"1\", true, null]}", "\"1\"", NULL},
        {"{enum: [1, true]}", "\"1\"", "$: \"1\" is none of 1, true"},
        {"{enum: [\"true\"]}", "true", "$: this boolean is not \"true\""},
        {"{enum: [1, true, null]}", "null", NULL},
        {"{enum: [0, false]}", "[]", "$: this array is none of 0, false"},
        {"{const: yes}", "\"yes\"", NULL},
        {"{enum: [a, b, c, d, e, f, g, h, i]}", "1",
         "$: this number is none of \"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", ..."},
        {"{enum: [a]}", "\"a\\u0000\"", "$: \"a\\u0000\" is not \"a\" (did you mean \"a\"?)"},
    };
    EXPECT(cases);
}

static void strings(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"{minLength: 1}", "\"\"", "$: has 0 characters, must have at least 1"},
        {"{maxLength: 2}", "\"abc\"", "$: has 3 characters, must have at most 2"},
        {"{maxLength: 0}", "\"a\"", "$: has 1 character, must have at most 0"},
        /* code points, not bytes or UTF-16 units: é, an emoji beyond the basic plane */
        {"{maxLength: 2}", "\"\\u00e9\\ud83d\\ude00\"", NULL},
        {"{minLength: 3}", "\"\\u00e9\\ud83d\\ude00\"",
         "$: has 2 characters, must have at least 3"},
        {"{maxLength: 1}", "[1, 2, 3]", NULL},
    };
    EXPECT(cases);
}

static void arrays(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {"{items: {type: string}}", "[]", NULL},
        {"{items: {type: string}}", "[\"a\", \"b\"]", NULL},
        {"{items: {type: string}}", "[\"a\", \"b\", \"c\", 4]",
         "$[3]: expected string, got number"},
        {"{items: {items: {maximum: 1}}}", "[[], [0, 1], [0, 2]]", "$[2][1]: 2 must be at most 1"},
        {"{minItems: 2}", "[1]", "$: has 1 item, must have at least 2"},
        {"{maxItems: 1}", "[1, 2]", "$: has 2 items, must have at most 1"},
        {"{maxItems: 1}", "\"not a list\"", NULL},
    };
    EXPECT(cases);
}

#define PERSON                                                                                     \
    "{type: object, properties: {name: {type: string}, tags: {type: array, items: {type: "         \
    "string}}}, required: [name]}"

static void objects(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {PERSON, "{\"name\": \"Ada\"}", NULL},
        {PERSON, "{\"name\": \"Ada\", \"other\": 1}", NULL},
        {PERSON, "{}", "$: member \"name\" is missing"},
        {PERSON, "{\"name\": null}", "$.name: expected string, got null"},
        {PERSON, "{\"name\": \"Ada\", \"tags\": [\"x\", 2]}",
         "$.tags[1]: expected string, got number"},
        {"{additionalProperties: false}", "{\"a\": 1}", "$.a: unknown member"},
        {"{properties: {text: {}}, additionalProperties: false}", "{\"tetx\": 1}",
         "$.tetx: unknown member (did you mean \"text\"?)"},
        /* a misspelt name is unknown before the right one is missing */
        {"{properties: {text: {}}, required: [text], additionalProperties: false}", "{\"txt\": 1}",
         "$.txt: unknown member (did you mean \"text\"?)"},
        {"{properties: {a: {}}, additionalProperties: {type: number}}", "{\"a\": \"x\", \"b\": 1}",
         NULL},
        {"{properties: {a: {}}, additionalProperties: {type: number}}", "{\"b\": \"x\"}",
         "$.b: expected number, got string"},
        {"{additionalProperties: {type: number}}", "{\"two words\": \"x\"}",
         "$[\"two words\"]: expected number, got string"},
        {"{additionalProperties: {type: number}}", "{\"q\\\"\\n\\u0085\": \"x\"}",
         "$[\"q\\\"\\u000a\\u0085\"]: expected number, got string"},
        {"{additionalProperties: {type: number}}",
         "{\"0123456789012345678901234567890123456789012345678901234567890123456789\": \"x\"}",
         "$[\"0123456789012345678901234567890123456789012345678901234567890123...\"]: expected "
         "number, got string"},
        {PERSON, "[\"says nothing\"]", "$: expected object, got array"},
        {"{properties: {a: {type: string}}}", "[{\"a\": 1}]", NULL},
    };
    EXPECT(cases);
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *value = NULL;
    static const char *const texts[] = {"",         "nul",     "{\"a\": 1, \"a\": 2}", "[1", "1 2",
                                        "\"\xff\"", "[1e999]", "{\"a\\u0000\": 1}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(input_parse(texts[i], strlen(texts[i]), &value, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "the input is not JSON: line 1, column"));
    }
    assert_null(value);
}

static void depth_and_size_are_bounded(void **state)
{
    (void)state;
    struct error err = {0};
    json_t *value;
    char text[2 * INPUT_DEPTH_MAX + 3];
    memset(text, '[', INPUT_DEPTH_MAX);
    memset(text + INPUT_DEPTH_MAX, ']', INPUT_DEPTH_MAX);
    assert_int_equal(input_parse(text, 2 * INPUT_DEPTH_MAX, &value, &err), 0);
    json_decref(value);
    memset(text, '[', INPUT_DEPTH_MAX + 1);
    memset(text + INPUT_DEPTH_MAX + 1, ']', INPUT_DEPTH_MAX + 1);
    assert_int_equal(input_parse(text, 2 * INPUT_DEPTH_MAX + 2, &value, &err), ERR_INVALID);
    assert_string_equal(err.text, "the input is nested deeper than 64 levels");
    /* brackets inside of strings do not count */
    assert_int_equal(check("{type: array}",
                           "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                           "[[[[[[[[[[[[[[[[[\\\"[[[[[[[\"]",
                           &err),
                     0);
    char *long_text = malloc(LIMIT_PAYLOAD_SIZE + 1);
    assert_non_null(long_text);
    memset(long_text, ' ', LIMIT_PAYLOAD_SIZE + 1);
    long_text[0] = '1';
    assert_int_equal(input_parse(long_text, LIMIT_PAYLOAD_SIZE, &value, &err), 0);
    json_decref(value);
    assert_int_equal(input_parse(long_text, LIMIT_PAYLOAD_SIZE + 1, &value, &err), ERR_INVALID);
    free(long_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),
        cmocka_unit_test(numbers),
        cmocka_unit_test(values),
        cmocka_unit_test(strings),
        cmocka_unit_test(arrays),
        cmocka_unit_test(objects),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(depth_and_size_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
