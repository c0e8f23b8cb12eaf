/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_task and infer_task: what they accept and refuse, results that read back, and a checkpoint
 * that the next dispatch resumes from, or ignores when it is not of this task.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "models/file.h"
#include "models/model_synth.h"
#include "tests/test.h"
#include "worker_gpu/embed_task.h"
#include "worker_gpu/infer_task.h"

#define WIDTH 64

static struct model *model;

static int setup(void **state)
{
    (void)state;
    char folder[] = "/tmp/argosy-tasks-XXXXXX", path[PATH_MAX];
    struct model_shape shape = MODEL_SHAPE_TINY;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/model", folder);
    int code = model_synth(path, &shape, 1, NULL);
    if (code == 0)
        code = model_open(path, &model, NULL);
    folder_remove(folder);
    return code;
}

static int teardown(void **state)
{
    (void)state;
    model_close(model);
    return 0;
}

static void embed_init(struct embed_task *task, const char *json)
{
    struct error err = {0};
    if (embed_task_init(task, json, strlen(json), &err) != 0 ||
        embed_task_tokenise(task, model, &err) != 0)
        fail_msg("%s", err.text);
}

/* Made-up vectors: number i of text t is t + i / 100. */
static void add_vectors(struct embed_task *task, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        float vector[WIDTH];
        for (int i = 0; i < WIDTH; i++)
            vector[i] = (float)task->done + (float)i / 100.0f;
        embed_task_add(task, 1, vector);
    }
}

static void assert_vectors(const float *vectors, uint32_t count)
{
    for (uint32_t t = 0; t < count; t++) {
        for (uint32_t i = 0; i < WIDTH; i++)
            assert_true(vectors[t * WIDTH + i] == (float)t + (float)i / 100.0f);
    }
}

static void embed_reads_both_forms_of_input(void **state)
{
    (void)state;
    static const char *const forms[] = {"[\"ab\",\"\",\"hello\\u0000world\"]",
                                        "{\"texts\":[\"ab\",\"\",\"hello\\u0000world\"]}"};
    for (int i = 0; i < 2; i++) {
        struct embed_task task;
        int32_t ids[64];
        embed_init(&task, forms[i]);
        assert_int_equal(task.texts, 3);
        assert_false(task.is_binary);
        assert_int_equal(task.width, WIDTH);
        assert_int_equal(task.cu_seqlens[2] - task.cu_seqlens[1], 2); /* [CLS] [SEP] */
        uint32_t count = tokenizer_encode(model->tokenizer, "ab", 2, ids, 64);
        assert_int_equal(task.cu_seqlens[1], count);
        assert_memory_equal(task.ids, ids, count * sizeof *ids);
        embed_task_fini(&task);
    }
}

static void embed_cuts_texts_to_the_longest_length(void **state)
{
    (void)state;
    char json[4096] = "[\"";
    for (int i = 0; i < 500; i++)
        strcat(json, "x y ");
    strcat(json, "\"]");
    struct embed_task task;
    embed_init(&task, json);
    assert_int_equal(task.cu_seqlens[1], 64);
    embed_task_fini(&task);
}

static void embed_refuses_wrong_input_by_reason(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *wanted;
    } cases[] = {
        {"", "no JSON"},
        {"[\"a\"", "no JSON"},
        {"\"a\"", "must be a list of texts"},
        {"{}", "must be a list of texts"},
        {"{\"texts\":\"a\"}", "must be a list of texts"},
        {"[\"a\",1]", "text 1 of the input is no string"},
        {"[null]", "text 0 of the input is no string"},
        {"{\"texts\":[],\"format\":\"xml\"}", "\"format\" must be"},
        {"{\"texts\":[],\"format\":1}", "\"format\" must be"},
        {"[\"\xff\"]", "no JSON"},
        {"{\"texts\":[],\"model\":1}", "must be a model's name"},
        {"{\"texts\":[],\"model\":\"\"}", "must be a model's name"},
        {"{\"texts\":[],\"model\":\"a\\u0000b\"}", "must be a model's name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct embed_task task;
        struct error err = {0};
        assert_int_equal(embed_task_init(&task, cases[i].json, strlen(cases[i].json), &err),
                         ERR_INVALID);
        assert_non_null(strstr(err.text, cases[i].wanted));
    }
}

/* Vectors that cannot travel are refused before they are computed. */
static void embed_refuses_more_than_a_result_holds(void **state)
{
    (void)state;
    struct buffer json = {0};
    struct embed_task task;
    struct error err;
    buffer_append_text(&json, "[\"\"");
    for (size_t i = 0; i < LIMIT_PAYLOAD_SIZE / (8 * WIDTH); i++)
        buffer_append_text(&json, ",\"\"");
    buffer_append_text(&json, "]");
    assert_int_equal(embed_task_init(&task, (char *)json.data, json.size, &err), 0);
    assert_int_equal(embed_task_tokenise(&task, model, &err), ERR_LIMIT);
    assert_non_null(strstr(err.text, "\"binary\""));
    embed_task_fini(&task);
    buffer_fini(&json);
}

static void embed_results_read_back(void **state)
{
    (void)state;
    struct embed_task task;
    struct error err;
    struct buffer out = {0};
    embed_init(&task, "[\"a\",\"b\",\"c\"]");
    add_vectors(&task, 3);
    assert_int_equal(embed_task_result(&task, &out, &err), 0);
    json_t *result = json_loadb((char *)out.data, out.size, 0, NULL);
    assert_int_equal(json_array_size(result), 3);
    float vectors[3 * WIDTH];
    for (size_t t = 0; t < 3; t++) {
        assert_int_equal(json_array_size(json_array_get(result, t)), WIDTH);
        for (size_t i = 0; i < WIDTH; i++)
            vectors[t * WIDTH + i] =
                (float)json_number_value(json_array_get(json_array_get(result, t), i));
    }
    assert_vectors(vectors, 3);
    json_decref(result);
    embed_task_fini(&task);

    buffer_clear(&out);
    embed_init(&task, "{\"texts\":[\"a\",\"b\"],\"format\":\"binary\"}");
    add_vectors(&task, 2);
    assert_int_equal(embed_task_result(&task, &out, &err), 0);
    assert_int_equal(out.size, 2 * WIDTH * sizeof(float));
    memcpy(vectors, out.data, out.size);
    assert_vectors(vectors, 2);
    embed_task_fini(&task);
    buffer_fini(&out);
}

static void embed_resumes_at_its_checkpoint(void **state)
{
    (void)state;
    struct embed_task first, second;
    struct error err;
    struct buffer details = {0}, out = {0}, wanted = {0};
    embed_init(&first, "[\"a\",\"b\",\"c\",\"d\"]");
    add_vectors(&first, 3);
    embed_task_details(&first, "m", &details);
    embed_init(&second, "[\"a\",\"b\",\"c\",\"d\"]");
    assert_int_equal(embed_task_resume(&second, (char *)details.data, details.size, "m"), 3);
    assert_int_equal(second.done, 3);
    add_vectors(&first, 1);
    add_vectors(&second, 1);
    assert_int_equal(embed_task_result(&first, &wanted, &err), 0);
    assert_int_equal(embed_task_result(&second, &out, &err), 0);
    assert_string_equal(buffer_text(&out), buffer_text(&wanted));
    embed_task_fini(&first);
    embed_task_fini(&second);
    buffer_fini(&details);
    buffer_fini(&out);
    buffer_fini(&wanted);
}

static void embed_ignores_what_is_no_checkpoint_of_it(void **state)
{
    (void)state;
    struct embed_task task;
    struct buffer good = {0};
    embed_init(&task, "[\"a\",\"b\"]");
    add_vectors(&task, 2);
    embed_task_details(&task, "m", &good);
    embed_task_fini(&task);
    embed_init(&task, "[\"a\",\"b\"]");
    static const char *const bad[] = {
        "",
        "null",
        "7",
        "{}",
        "{\"done\":1,\"width\":64,\"model\":\"m\",\"vectors\":\"AAAA\"}",
        "{\"done\":1,\"width\":64,\"model\":\"m\",\"vectors\":7}",
        "{\"done\":-1,\"width\":64,\"model\":\"m\",\"vectors\":\"\"}",
        "{\"done\":99999999999,\"width\":64,\"model\":\"m\",\"vectors\":\"\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(embed_task_resume(&task, bad[i], strlen(bad[i]), "m"), 0);
    assert_int_equal(embed_task_resume(&task, (char *)good.data, good.size, "other"), 0);
    assert_int_equal(task.done, 0);
    embed_task_fini(&task);
    embed_init(&task, "[\"a\"]"); /* fewer texts than the checkpoint has */
    assert_int_equal(embed_task_resume(&task, (char *)good.data, good.size, "m"), 0);
    embed_task_fini(&task);
    buffer_fini(&good);
}

/* 6,000 vectors of 256 bytes: only the first part is kept, and the next dispatch begins there. */
static void embed_checkpoints_are_bounded(void **state)
{
    (void)state;
    struct buffer json = {0}, details = {0};
    struct embed_task task;
    buffer_append_text(&json, "{\"format\":\"binary\",\"texts\":[\"\"");
    for (int i = 1; i < 6000; i++)
        buffer_append_text(&json, ",\"\"");
    buffer_append_text(&json, "]}");
    embed_init(&task, buffer_text(&json));
    add_vectors(&task, 6000);
    embed_task_details(&task, "m", &details);
    assert_true(details.size <= EMBED_DETAILS_MAX + 200);
    embed_task_fini(&task);
    embed_init(&task, buffer_text(&json));
    uint32_t done = embed_task_resume(&task, (char *)details.data, details.size, "m");
    assert_int_equal(done, EMBED_DETAILS_MAX / 4 * 3 / (WIDTH * sizeof(float)));
    assert_vectors(task.vectors, done);
    embed_task_fini(&task);
    buffer_fini(&json);
    buffer_fini(&details);
}

static void infer_reads_both_forms_and_answers(void **state)
{
    (void)state;
    static const char *const forms[] = {"\"he said \\\"hi\\\"\"",
                                        "{\"text\":\"he said \\\"hi\\\"\",\"more\":1}"};
    for (int i = 0; i < 2; i++) {
        struct infer_task task;
        struct error err;
        struct buffer out = {0};
        assert_int_equal(infer_task_init(&task, forms[i], strlen(forms[i]), &err), 0);
        assert_null(task.model);
        assert_int_equal(infer_task_tokenise(&task, model, &err), 0);
        assert_true(task.cu_seqlens[1] > 2);
        assert_int_equal(infer_task_result(&task, "tiny", "positive", 0.75f, &out, &err), 0);
        assert_string_equal(
            buffer_text(&out),
            "{\"input\":\"he said \\\"hi\\\"\",\"label\":\"positive\",\"score\":0.75}");
        buffer_fini(&out);
        infer_task_fini(&task);
    }
}

static void both_read_the_models_name(void **state)
{
    (void)state;
    struct infer_task infer;
    struct embed_task embed;
    static const char infer_json[] = "{\"text\":\"a\",\"model\":\"mood@3\"}";
    static const char embed_json[] = "{\"texts\":[],\"model\":\"mood\"}";
    assert_int_equal(infer_task_init(&infer, infer_json, strlen(infer_json), NULL), 0);
    assert_string_equal(infer.model, "mood@3");
    infer_task_fini(&infer);
    assert_int_equal(embed_task_init(&embed, embed_json, strlen(embed_json), NULL), 0);
    assert_string_equal(embed.model, "mood");
    embed_task_fini(&embed);
    struct buffer json = {0};
    buffer_append_text(&json, "{\"text\":\"a\",\"model\":\"");
    for (int i = 0; i < 200; i++)
        buffer_append_byte(&json, 'm');
    buffer_append_text(&json, "\"}");
    assert_int_equal(infer_task_init(&infer, buffer_text(&json), json.size, NULL), ERR_INVALID);
    buffer_fini(&json);
}

static void infer_refuses_wrong_input(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "7", "[\"a\"]", "{}", "{\"text\":7}", "null", "{\"text\":\"a\",\"model\":[]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct infer_task task;
        struct error err;
        assert_int_equal(infer_task_init(&task, bad[i], strlen(bad[i]), &err), ERR_INVALID);
    }
    struct infer_task task;
    struct error err;
    struct buffer out = {0};
    assert_int_equal(infer_task_init(&task, "\"a\"", 3, &err), 0);
    assert_int_equal(infer_task_result(&task, "tiny", "x", 0.0f / 0.0f, &out, &err), ERR_INTERNAL);
    infer_task_fini(&task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embed_reads_both_forms_of_input),
        cmocka_unit_test(embed_cuts_texts_to_the_longest_length),
        cmocka_unit_test(embed_refuses_wrong_input_by_reason),
        cmocka_unit_test(embed_refuses_more_than_a_result_holds),
        cmocka_unit_test(embed_results_read_back),
        cmocka_unit_test(embed_resumes_at_its_checkpoint),
        cmocka_unit_test(embed_ignores_what_is_no_checkpoint_of_it),
        cmocka_unit_test(embed_checkpoints_are_bounded),
        cmocka_unit_test(infer_reads_both_forms_and_answers),
        cmocka_unit_test(both_read_the_models_name),
        cmocka_unit_test(infer_refuses_wrong_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
