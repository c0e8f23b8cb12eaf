/* SPDX-License-Identifier: Apache-2.0 */
/* text_activity: see text_activity.h. */
#include "workflows/text_activity.h"

#include <string.h>

#include <jansson.h>

#include "common/nearest.h"
#include "workflows/failure.h"
#include "workflows/text.h"

static int fail(struct argosy_arena *arena, const char *type, const char *message,
                struct argosy_payloads details, struct argosy_error *err)
{
    return argosy_failure_raise(
        arena,
        &(struct argosy_failure_options){
            .type = type, .message = message, .non_retryable = true, .details = details},
        err);
}

static const struct argosy_payloads no_details = {0};

static const char *json_type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

/* The JSON value of an argument; the caller releases it. NUL inside strings is text like any. */
static int input_load(const struct argosy_payload *input, struct argosy_arena *arena,
                      json_t **ret_value, struct argosy_error *err)
{
    if (argosy_payload_is_null(input))
        return fail(arena, FAILURE_INVALID_INPUT, "the input is missing or null", no_details, err);
    if (strcmp(input->encoding, ARGOSY_ENCODING_JSON) != 0)
        return fail(arena, FAILURE_INVALID_INPUT,
                    argosy_arena_printf(arena, "the input is not JSON but %s", input->encoding),
                    no_details, err);
    json_error_t at;
    json_t *value = json_loadb(input->data, input->size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
    if (value == NULL)
        return fail(arena, FAILURE_INVALID_INPUT,
                    argosy_arena_printf(arena, "the input is not JSON: line %d, column %d: %s",
                                        at.line, at.column, at.text),
                    no_details, err);
    *ret_value = value;
    return 0;
}

/* index < 0: the text is not one of a batch. */
static int wrong_type(const json_t *value, long index, struct argosy_arena *arena,
                      struct argosy_error *err)
{
    const char *message =
        index < 0 ? argosy_arena_printf(arena, "the input must be a string, not %s",
                                        json_type_name(value))
                  : argosy_arena_printf(arena, "text %ld of the input must be a string, not %s",
                                        index, json_type_name(value));
    return fail(arena, FAILURE_INVALID_INPUT, message, no_details, err);
}

/* ---- one text, and the model that labels it ---- */

static const char *const members[] = {"text", "model"};

static int unknown_member(const char *name, struct argosy_arena *arena, struct argosy_error *err)
{
    const char *nearest = nearest_name(name, members, sizeof members / sizeof members[0]);
    const char *message =
        nearest != NULL
            ? argosy_arena_printf(arena, "the input has no member \"%s\" (did you mean \"%s\"?)",
                                  name, nearest)
            : argosy_arena_printf(arena, "the input has no member \"%s\"", name);
    return fail(arena, FAILURE_INVALID_INPUT, message, no_details, err);
}

/* A member of the object; its value, if there is one, is a string. */
static int member_check(const char *name, const json_t *value, struct argosy_arena *arena,
                        struct argosy_error *err)
{
    if (strcmp(name, members[0]) != 0 && strcmp(name, members[1]) != 0)
        return unknown_member(name, arena, err);
    if (json_is_string(value))
        return 0;
    return fail(arena, FAILURE_INVALID_INPUT,
                argosy_arena_printf(arena, "\"%s\" of the input must be a string, not %s", name,
                                    json_type_name(value)),
                no_details, err);
}

/* The text of an input: the string itself, or that of {"text", "model"}. Borrowed from value. */
static int text_find(json_t *value, struct argosy_arena *arena, const json_t **ret_text,
                     struct argosy_error *err)
{
    if (!json_is_object(value)) {
        *ret_text = value;
        return json_is_string(value) ? 0 : wrong_type(value, -1, arena, err);
    }
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        int code = member_check(name, member, arena, err);
        if (code != 0)
            return code;
    }
    const json_t *text = json_object_get(value, "text");
    if (text == NULL)
        return fail(arena, FAILURE_INVALID_INPUT, "\"text\" of the input is missing", no_details,
                    err);
    *ret_text = text;
    return 0;
}

static int length_check(const struct text_measure *measure, long index, struct argosy_arena *arena,
                        struct argosy_error *err)
{
    if (measure->length <= TEXT_LENGTH_MAX)
        return 0;
    struct argosy_payload details;
    json_int_t length = (json_int_t)measure->length;
    int code = index < 0 ? argosy_payload_pack(arena, &details, err, "{s:I}", "length", length)
                         : argosy_payload_pack(arena, &details, err, "{s:I, s:I}", "length", length,
                                               "index", (json_int_t)index);
    if (code != 0)
        return code;
    return fail(arena, "InputTooLong", "Input text exceeds token limit",
                (struct argosy_payloads){&details, 1}, err);
}

/* A JSON string's clean form in out. JSON text was checked to be UTF-8 when it was read. */
static int clean_string(const json_t *value, struct buffer *out, struct argosy_arena *arena,
                        struct argosy_error *err)
{
    struct error text_err = {0};
    int code = text_clean(json_string_value(value), json_string_length(value), out, &text_err);
    if (code == ERR_INVALID)
        return fail(arena, FAILURE_INVALID_INPUT, text_err.text, no_details, err);
    return code == 0 ? 0 : argosy_error_set(err, code, "%s", text_err.text);
}

static int measure_string(const json_t *value, struct text_measure *ret_measure,
                          struct argosy_arena *arena, struct argosy_error *err)
{
    struct error text_err = {0};
    if (text_measure(json_string_value(value), json_string_length(value), ret_measure, &text_err) !=
        0)
        return fail(arena, FAILURE_INVALID_INPUT, text_err.text, no_details, err);
    return 0;
}

/* value as a JSON payload in arena. */
static int result_dump(const json_t *value, struct argosy_arena *arena,
                       struct argosy_payload *ret_result, struct argosy_error *err)
{
    size_t size = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY | JSON_COMPACT);
    char *text = size > 0 ? argosy_arena_alloc(arena, size) : NULL;
    if (text == NULL || json_dumpb(value, text, size, JSON_ENCODE_ANY | JSON_COMPACT) != size)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY,
                                "could not write the result: out of memory");
    *ret_result =
        (struct argosy_payload){.encoding = ARGOSY_ENCODING_JSON, .data = text, .size = size};
    return 0;
}

int text_validate(const struct argosy_payload *input, struct argosy_arena *arena,
                  struct argosy_payload *ret_result, struct argosy_error *err)
{
    json_t *value;
    int code = input_load(input, arena, &value, err);
    if (code != 0)
        return code;
    const json_t *text;
    struct text_measure measure;
    code = text_find(value, arena, &text, err);
    if (code == 0)
        code = measure_string(text, &measure, arena, err);
    json_decref(value);
    if (code != 0)
        return code;
    if (measure.blank)
        return fail(arena, "EmptyInput", "Input text is empty", no_details, err);
    code = length_check(&measure, -1, arena, err);
    if (code == 0)
        *ret_result = *input;
    return code;
}

int text_preprocess(const struct argosy_payload *input, struct argosy_arena *arena,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    json_t *value;
    int code = input_load(input, arena, &value, err);
    if (code != 0)
        return code;
    const json_t *text;
    struct buffer out = {0};
    code = text_find(value, arena, &text, err);
    if (code == 0)
        code = clean_string(text, &out, arena, err);
    if (code == 0) {
        json_t *clean = json_stringn(buffer_text(&out), out.size);
        /* Beside its clean text the input keeps its model. */
        if (json_is_object(value))
            json_object_set(value, "text", clean);
        code = result_dump(json_is_object(value) ? value : clean, arena, ret_result, err);
        json_decref(clean);
    }
    buffer_fini(&out);
    json_decref(value);
    return code;
}

/* Appends the clean form of one text of a batch to clean, unless it is blank. */
static int batch_add(const json_t *value, long index, struct buffer *out, json_t *clean,
                     struct argosy_arena *arena, struct argosy_error *err)
{
    struct text_measure measure;
    if (!json_is_string(value))
        return wrong_type(value, index, arena, err);
    int code = measure_string(value, &measure, arena, err);
    if (code != 0 || measure.blank)
        return code;
    code = length_check(&measure, index, arena, err);
    if (code != 0)
        return code;
    buffer_clear(out);
    code = clean_string(value, out, arena, err);
    if (code == 0 && json_array_append_new(clean, json_stringn(buffer_text(out), out->size)) != 0)
        code = argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    return code;
}

int text_preprocess_batch(const struct argosy_payload *input, struct argosy_arena *arena,
                          struct argosy_payload *ret_result, struct argosy_error *err)
{
    json_t *values;
    int code = input_load(input, arena, &values, err);
    if (code != 0)
        return code;
    if (!json_is_array(values))
        code = fail(arena, FAILURE_INVALID_INPUT,
                    argosy_arena_printf(arena, "the input must be a list of strings, not %s",
                                        json_type_name(values)),
                    no_details, err);
    json_t *clean = json_array();
    struct buffer out = {0};
    size_t index;
    const json_t *value;
    json_array_foreach(values, index, value) if (code == 0) code =
        batch_add(value, (long)index, &out, clean, arena, err);
    if (code == 0)
        code = result_dump(clean, arena, ret_result, err);
    buffer_fini(&out);
    json_decref(clean);
    json_decref(values);
    return code;
}

int validate_input(struct argosy_activity *activity, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return text_validate(argosy_activity_input(activity), argosy_activity_arena(activity),
                         ret_result, err);
}

int preprocess(struct argosy_activity *activity, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    (void)user_data;
    return text_preprocess(argosy_activity_input(activity), argosy_activity_arena(activity),
                           ret_result, err);
}

int preprocess_batch(struct argosy_activity *activity, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return text_preprocess_batch(argosy_activity_input(activity), argosy_activity_arena(activity),
                                 ret_result, err);
}
