/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_steps: plan_texts and assemble_vectors against a fake SDK and a fake storage: how a file is
 * cut, what is said of a bad one, and files of vectors byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/buffer.h"
#include "models/safetensors.h"
#include "tests/test.h"
#include "tests/unit/worker_gpu/fake_sdk.h"
#include "tests/unit/worker_gpu/fake_storage.h"
#include "workflows/embed/embed_file.h"
#include "workflows/failure.h"
#include "workflows/shipped.h"

static struct fleet_config config = {.data_dir = "/tmp"};
static struct shipped_context context = {.config = &config};

static int setup(void **state)
{
    (void)state;
    argosy_registry_add_activity(NULL, ACTIVITY_PLAN_TEXTS, plan_texts, &context, NULL);
    argosy_registry_add_activity(NULL, ACTIVITY_ASSEMBLE_VECTORS, assemble_vectors, &context, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    atomic_store(&fake_storage_code, 0);
    fake_storage_clear();
    return 0;
}

static struct artifact put(const void *data, size_t size)
{
    struct artifact artifact;
    assert_int_equal(artifact_put_bytes(NULL, data, size, "workflow:workflow", &artifact, NULL), 0);
    return artifact;
}

/* The activity's outcome; the caller destroys it. */
static struct argosy_activity *run(const char *type, const char *input)
{
    struct argosy_activity *activity = fake_activity_create(type, input);
    fake_start(activity);
    fake_wait(activity);
    return activity;
}

/* ---- plan_texts ---- */

static struct argosy_activity *plan_run(const char *text, size_t size, int part_texts)
{
    char input[256];
    struct artifact texts = put(text, size);
    snprintf(input, sizeof input,
             "{\"input\": {\"artifact\": \"%s\", \"size\": %zu}, \"part_texts\": %d}", texts.id,
             size, part_texts);
    return run(ACTIVITY_PLAN_TEXTS, input);
}

static void a_file_is_cut_at_lines_that_hold_texts(void **state)
{
    (void)state;
    static const char text[] = "\"a\"\n"
                               "\n"
                               "{\"text\": \"b\", \"id\": 2}\n"
                               "\"c\"\n"
                               "  \n"
                               "\"d\"\r\n"
                               "\"e\"";
    struct argosy_activity *activity = plan_run(text, sizeof text - 1, 2);
    assert_int_equal(activity->outcome, FAKE_COMPLETED);
    assert_string_equal(activity->result, "{\"count\":5,\"parts\":["
                                          "{\"offset\":0,\"line\":1,\"count\":2},"
                                          "{\"offset\":28,\"line\":4,\"count\":2},"
                                          "{\"offset\":40,\"line\":7,\"count\":1}]}");
    fake_activity_destroy(activity);
}

static void parts_grow_where_there_would_be_too_many(void **state)
{
    (void)state;
    const int count = 5000;
    struct buffer text = {0};
    for (int i = 0; i < count; i++)
        buffer_printf(&text, "\"%04d\"\n", i); /* 7 bytes each */
    struct argosy_activity *activity = plan_run((char *)text.data, text.size, 1);
    assert_int_equal(activity->outcome, FAKE_COMPLETED);
    json_t *plan = json_loads(activity->result, 0, NULL);
    const json_t *parts = json_object_get(plan, "parts");
    assert_int_equal(json_integer_value(json_object_get(plan, "count")), count);
    assert_true(json_array_size(parts) <= EMBED_PARTS_MAX);
    json_int_t next = 0;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        assert_int_equal(json_integer_value(json_object_get(part, "offset")), next * 7);
        assert_int_equal(json_integer_value(json_object_get(part, "line")), next + 1);
        assert_in_range(json_integer_value(json_object_get(part, "count")), 1, 4);
        next += json_integer_value(json_object_get(part, "count"));
    }
    assert_int_equal(next, count);
    json_decref(plan);
    fake_activity_destroy(activity);
    buffer_fini(&text);
}

static void a_file_that_cannot_be_embedded_is_refused_for_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        int part_texts;
    } cases[] = {
        {"\"a\"\n{\"words\": 1}\n", "line 2: \"text\" is missing", 8},
        {"\"a\"\n\n{\"text\": \"b\"\n", "line 3", 8},
        {"\"a\"\n7\n", "line 2", 8},
        {"", "the file holds no text", 8},
        {" \n\n", "the file holds no text", 8},
        {"\"a\"\n", "\"part_texts\" must be a number from 1 to 1000000", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct argosy_activity *activity =
            plan_run(cases[i].text, strlen(cases[i].text), cases[i].part_texts);
        assert_int_equal(activity->outcome, FAKE_FAILED);
        assert_string_equal(activity->failure_type, FAILURE_INVALID_INPUT);
        assert_true(activity->is_non_retryable);
        if (strstr(activity->error_text, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].message, activity->error_text);
        fake_activity_destroy(activity);
    }
}

static void what_is_no_request_is_refused_for_good(void **state)
{
    (void)state;
    static const char *const inputs[] = {"7", "{}", "{\"input\": {\"artifact\": \"x\"}}", "{"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct argosy_activity *activity = run(ACTIVITY_PLAN_TEXTS, inputs[i]);
        assert_int_equal(activity->outcome, FAKE_FAILED);
        assert_true(activity->is_non_retryable);
        fake_activity_destroy(activity);
        activity = run(ACTIVITY_ASSEMBLE_VECTORS, inputs[i]);
        assert_int_equal(activity->outcome, FAKE_FAILED);
        assert_true(activity->is_non_retryable);
        fake_activity_destroy(activity);
    }
}

/* ---- assemble_vectors ---- */

static const float rows[3][2] = {{1, 2}, {3, 4}, {5, 6}};

/* Two rows in one artifact and one in another; its count is said to be last_count. */
static struct argosy_activity *assemble_run(const char *format, int last_count)
{
    char input[512];
    struct artifact first = put(rows, 2 * sizeof rows[0]), last = put(rows[2], sizeof rows[0]);
    snprintf(input, sizeof input,
             "{\"format\": \"%s\", \"dimension\": 2, \"parts\": ["
             "{\"artifact\": \"%s\", \"size\": 16, \"count\": 2},"
             "{\"artifact\": \"%s\", \"size\": 8, \"count\": %d}]}",
             format, first.id, last.id, last_count);
    return run(ACTIVITY_ASSEMBLE_VECTORS, input);
}

/* The content of the file that it made. */
static const uint8_t *output_of(const struct argosy_activity *activity, size_t *ret_size)
{
    if (activity->outcome != FAKE_COMPLETED)
        fail_msg("%s", activity->error_text);
    json_t *result = json_loads(activity->result, 0, NULL);
    const json_t *output = json_object_get(result, "output");
    const void *data =
        fake_storage_get(json_string_value(json_object_get(output, "artifact")), ret_size);
    assert_non_null(data);
    assert_int_equal(json_integer_value(json_object_get(output, "size")), *ret_size);
    json_decref(result);
    return data;
}

static void a_npy_file_is_that_of_numpy(void **state)
{
    (void)state;
    /* What numpy.save (2.4) writes of these rows, up to the data. */
    static const char header[129] =
        "\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"
        "                                                          \n";
    size_t size;
    struct argosy_activity *activity = assemble_run("npy", 1);
    const uint8_t *file = output_of(activity, &size);
    assert_int_equal(size, 128 + sizeof rows);
    assert_memory_equal(file, header, 128);
    assert_memory_equal(file + 128, rows, sizeof rows);
    fake_activity_destroy(activity);
}

static void a_safetensors_file_has_one_tensor(void **state)
{
    (void)state;
    size_t size, count;
    struct safetensors *read;
    struct argosy_activity *activity = assemble_run("safetensors", 1);
    const uint8_t *file = output_of(activity, &size);
    assert_int_equal(safetensors_parse(file, size, "file", &read, NULL), 0);
    const struct tensor *tensor = safetensors_tensors(read, &count);
    assert_int_equal(count, 1);
    assert_string_equal(tensor->name, "vectors");
    assert_int_equal(tensor->dtype, TENSOR_F32);
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->shape[0], 3);
    assert_int_equal(tensor->shape[1], 2);
    assert_memory_equal(tensor->data, rows, sizeof rows);
    safetensors_close(read);
    fake_activity_destroy(activity);
}

static void parts_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    struct argosy_activity *activity = assemble_run("npy", 2);
    assert_int_equal(activity->outcome, FAKE_FAILED);
    assert_true(activity->is_non_retryable);
    assert_non_null(strstr(activity->error_text, "part 1 has 8 bytes for 2 vectors"));
    fake_activity_destroy(activity);
    activity = assemble_run("csv", 1);
    assert_int_equal(activity->outcome, FAKE_FAILED);
    assert_non_null(strstr(activity->error_text, "\"npy\" or \"safetensors\""));
    fake_activity_destroy(activity);
}

static void a_storage_that_is_away_is_tried_again(void **state)
{
    (void)state;
    char input[512];
    struct artifact part = put(rows, sizeof rows);
    snprintf(input, sizeof input,
             "{\"format\": \"npy\", \"dimension\": 2, \"parts\": ["
             "{\"artifact\": \"%s\", \"size\": 24, \"count\": 3}]}",
             part.id);
    atomic_store(&fake_storage_code, ERR_UNAVAILABLE);
    struct argosy_activity *activity = run(ACTIVITY_ASSEMBLE_VECTORS, input);
    assert_int_equal(activity->outcome, FAKE_FAILED);
    assert_int_equal(activity->error_code, ERR_UNAVAILABLE);
    assert_false(activity->is_non_retryable);
    fake_activity_destroy(activity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_is_cut_at_lines_that_hold_texts, teardown),
        cmocka_unit_test_teardown(parts_grow_where_there_would_be_too_many, teardown),
        cmocka_unit_test_teardown(a_file_that_cannot_be_embedded_is_refused_for_good, teardown),
        cmocka_unit_test_teardown(what_is_no_request_is_refused_for_good, teardown),
        cmocka_unit_test_teardown(a_npy_file_is_that_of_numpy, teardown),
        cmocka_unit_test_teardown(a_safetensors_file_has_one_tensor, teardown),
        cmocka_unit_test_teardown(parts_that_do_not_add_up_are_refused, teardown),
        cmocka_unit_test_teardown(a_storage_that_is_away_is_tried_again, teardown),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
