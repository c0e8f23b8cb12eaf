/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_artifact against a fake SDK and a fake storage: the vectors are those of
 * compute_embeddings, a bad line is named, checkpoints carry what is done, and a task that is
 * drained, canceled, lost or met by a full volume ends as it should.
 */
#include "worker_gpu/embed_artifact.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/assert.h"
#include "common/clock.h"
#include "models/file.h"
#include "models/model_synth.h"
#include "tests/test.h"
#include "tests/unit/worker_gpu/fake_sdk.h"
#include "tests/unit/worker_gpu/fake_storage.h"
#include "worker_gpu/activities.h"

#define WIDTH 64

static const struct fleet_label labels[] = {{"one", "the first"}, {"two", "zyx 98"}};

static char folder[] = "/tmp/argosy-artifact-XXXXXX";
static struct device *device;
static struct served_models *models;
static struct gpu_activities *activities;

static void on_turn(void *arg)
{
    (void)arg;
}

static void on_device_failed(void *arg, const struct error *err)
{
    (void)arg;
    (void)err;
    UNREACHABLE();
}

static int setup(void **state)
{
    (void)state;
    char path[PATH_MAX], message[128];
    static char scratch_dir[PATH_MAX];
    struct model_shape shape = MODEL_SHAPE_TINY;
    struct device_options device_options = {.kind = DEVICE_CPU, .threads = 1};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tiny", folder);
    snprintf(scratch_dir, sizeof scratch_dir, "%s/scratch", folder);
    assert_int_equal(model_synth(path, &shape, 1, NULL), 0);
    assert_int_equal(device_open(&device_options, &device, message, sizeof message), 0);
    struct base_model_options base = {.models_dir = folder,
                                      .device = device,
                                      .batch_tokens = 128,
                                      .labels = labels,
                                      .label_count = 2,
                                      .temperature = 0.05};
    assert_int_equal(served_models_create(&base, "tiny", NULL, &models, NULL), 0);
    struct gpu_activities_options options = {
        .models = models,
        .scratch_dir = scratch_dir,
        .batch = {.tokens_max = 128, .jobs_max = 100, .delay_ns = NS_PER_MS},
        .pool_threads = 2,
        .on_turn = on_turn,
        .on_device_failed = on_device_failed,
    };
    assert_int_equal(gpu_activities_create(&options, &activities, NULL), 0);
    assert_int_equal(gpu_activities_register(activities, NULL, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gpu_activities_destroy(activities);
    served_models_destroy(models);
    device_close(device);
    folder_remove(folder);
    fake_storage_clear();
    return 0;
}

/* ---- texts ---- */

/* Text i, in quotes; each fiftieth is longer than the model reads. */
static void text_append(struct buffer *out, int i)
{
    buffer_printf(out, "\"text number %d", i);
    for (int k = 0; i % 50 == 49 && k < 100; k++)
        buffer_printf(out, " %d", i + k);
    buffer_append_byte(out, '"');
}

/* `count` lines in both forms, some too long for the model, with a bad one where wanted. */
static struct artifact texts_put(int count, int bad_line, const char *bad, uint64_t *ret_tenth)
{
    struct buffer data = {0};
    struct artifact texts;
    for (int i = 0; i < count; i++) {
        if (i == 10 && ret_tenth != NULL)
            *ret_tenth = data.size;
        if (i + 1 == bad_line) {
            buffer_append_text(&data, bad);
        } else {
            buffer_append_text(&data, i % 2 == 0 ? "{\"text\":" : "");
            text_append(&data, i);
            buffer_append_text(&data, i % 2 == 0 ? ",\"id\":7}" : "");
        }
        buffer_append_byte(&data, '\n');
    }
    assert_int_equal(
        artifact_put_bytes(NULL, data.data, data.size, "workflow:workflow", &texts, NULL), 0);
    buffer_fini(&data);
    return texts;
}

/* The same texts as compute_embeddings computes them, binary. The caller frees. */
static char *expected_create(int first, int count)
{
    struct buffer json = {0};
    buffer_append_text(&json, "{\"format\":\"binary\",\"texts\":[");
    for (int i = first; i < first + count; i++) {
        buffer_append_text(&json, i > first ? "," : "");
        text_append(&json, i);
    }
    buffer_append_text(&json, "]}");
    struct argosy_activity *task =
        fake_activity_create(ACTIVITY_COMPUTE_EMBEDDINGS, buffer_text(&json));
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_COMPLETED);
    assert_int_equal(task->result_size, count * WIDTH * sizeof(float));
    char *vectors = task->result;
    task->result = NULL;
    fake_activity_destroy(task);
    buffer_fini(&json);
    return vectors;
}

static struct argosy_activity *task_create(const struct artifact *texts, uint64_t offset, int count,
                                           const char *more)
{
    static char input[8][512]; /* tasks borrow them */
    static int used;
    char *text = input[used++ % 8];
    snprintf(text, sizeof input[0],
             "{\"texts\":{\"artifact\":\"%s\",\"size\":%d},\"offset\":%d,\"count\":%d%s}",
             texts->id, (int)texts->size, (int)offset, count, more);
    struct argosy_activity *task = fake_activity_create(ACTIVITY_EMBED_ARTIFACT, text);
    task->info.activity_id = "5";
    return task;
}

static void assert_result(const struct argosy_activity *task, const char *expected, int count,
                          int truncated)
{
    if (task->outcome != FAKE_COMPLETED)
        fail_msg("%s", task->error_text);
    json_t *result = json_loads(task->result, 0, NULL);
    const json_t *vectors = json_object_get(result, "vectors");
    size_t size;
    const void *data =
        fake_storage_get(json_string_value(json_object_get(vectors, "artifact")), &size);
    assert_non_null(data);
    assert_int_equal(size, (size_t)count * WIDTH * sizeof(float));
    assert_int_equal(json_integer_value(json_object_get(vectors, "size")), size);
    assert_int_equal(json_integer_value(json_object_get(result, "count")), count);
    assert_int_equal(json_integer_value(json_object_get(result, "dimension")), WIDTH);
    assert_int_equal(json_integer_value(json_object_get(result, "truncated")), truncated);
    assert_string_equal(json_string_value(json_object_get(result, "model")), "tiny");
    assert_memory_equal(data, expected, size);
    json_decref(result);
}

/* ---- tests ---- */

static void vectors_are_those_of_compute_embeddings(void **state)
{
    (void)state;
    uint64_t tenth;
    struct artifact texts = texts_put(2000, 0, "", &tenth);
    char *expected = expected_create(0, 2000);
    struct argosy_activity *whole = task_create(&texts, 0, 2000, "");
    struct argosy_activity *part =
        task_create(&texts, tenth, 45, ",\"line\":11,\"model\":\"tiny\"");
    fake_start(whole);
    fake_start(part);
    fake_wait(whole);
    fake_wait(part);
    assert_result(whole, expected, 2000, 40);
    assert_result(part, expected + 10 * WIDTH * sizeof(float), 45, 1);
    fake_activity_destroy(whole);
    fake_activity_destroy(part);
    free(expected);
}

static void wrong_tasks_fail_without_a_retry(void **state)
{
    (void)state;
    struct artifact texts = texts_put(700, 613, "{\"words\":\"text\"}", NULL);
    struct artifact nowhere = texts;
    nowhere.id[20] = nowhere.id[20] == '0' ? '1' : '0';
    const struct {
        struct argosy_activity *task;
        const char *type;
        const char *wanted;
    } rows[] = {
        {task_create(&texts, 0, 700, ""), "InvalidInput", "line 613: \"text\" is missing"},
        {task_create(&texts, 0, 612, ",\"line\":0"), "InvalidInput", "\"line\" must be"},
        {task_create(&texts, 3, 1, ""), "InvalidInput", "no line begins at byte 3"},
        {task_create(&texts, 0, 0, ""), "InvalidInput", "\"count\" must be a number from 1"},
        {task_create(&texts, 0, 1, ",\"format\":\"f16\""), "InvalidInput", "\"format\" must be"},
        {task_create(&nowhere, 0, 1, ""), "InvalidInput", "there is no artifact"},
        {task_create(&texts, 0, 1, ",\"model\":\"tinny\""), "ModelNotFound", "\"tiny\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake_start(rows[i].task);
        assert_int_equal(fake_wait(rows[i].task), FAKE_FAILED);
        assert_string_equal(rows[i].task->failure_type, rows[i].type);
        assert_true(rows[i].task->is_non_retryable);
        if (strstr(rows[i].task->error_text, rows[i].wanted) == NULL)
            fail_msg("%s", rows[i].task->error_text);
        fake_activity_destroy(rows[i].task);
    }
    struct argosy_activity *beyond = task_create(&texts, 0, 10, "");
    beyond->input.data = "{\"texts\":\"sha256:0\",\"count\":1}";
    beyond->input.size = strlen(beyond->input.data);
    fake_start(beyond);
    assert_int_equal(fake_wait(beyond), FAKE_FAILED);
    assert_string_equal(beyond->failure_type, "InvalidInput");
    fake_activity_destroy(beyond);

    texts = texts_put(20, 0, "", NULL);
    beyond = task_create(&texts, 0, 21, "");
    fake_start(beyond);
    assert_int_equal(fake_wait(beyond), FAKE_FAILED);
    assert_string_equal(beyond->error_text, "the artifact ends after 20 of 21 texts");
    fake_activity_destroy(beyond);
}

/* Dispatches it again and again, each drained after its first window, with the details of the one
 * before, until it is done. Each of them goes on; the result is that of an undisturbed run. */
static void a_task_that_is_drained_again_and_again_gets_done(void **state)
{
    (void)state;
    enum { TEXTS = 300 };
    struct artifact texts = texts_put(TEXTS, 0, "", NULL);
    char *expected = expected_create(0, TEXTS);
    char *details = NULL;
    int dispatches = 0, done = 0;
    for (;;) {
        struct argosy_activity *task = task_create(&texts, 0, TEXTS, "");
        atomic_store(&task->is_draining, true);
        if (details != NULL)
            task->last_heartbeat = (struct argosy_payload){
                .encoding = ARGOSY_ENCODING_JSON, .data = details, .size = strlen(details)};
        fake_start(task);
        dispatches++;
        if (fake_wait(task) == FAKE_COMPLETED) {
            assert_result(task, expected, TEXTS, TEXTS / 50);
            fake_activity_destroy(task);
            break;
        }
        assert_int_equal(task->outcome, FAKE_RELEASED);
        free(details);
        details = strdup(task->details);
        json_t *read = json_loads(details, 0, NULL);
        int now_done = (int)json_integer_value(json_object_get(read, "done"));
        assert_true(now_done > done);
        assert_int_equal(json_array_size(json_object_get(read, "segments")), dispatches);
        done = now_done;
        json_decref(read);
        fake_activity_destroy(task);
    }
    assert_true(dispatches > 3);
    free(details);
    free(expected);
}

/* Details that are damaged, of other texts, or whose vectors are gone: all is computed anew. */
static void details_that_cannot_be_used_are_not(void **state)
{
    (void)state;
    struct artifact texts = texts_put(100, 0, "", NULL);
    char *expected = expected_create(0, 100);
    static const char gone[] = "sha256:"
                               "0000000000000000000000000000000000000000000000000000000000000000";
    static const char *const forms[] = {
        "nonsense",
        "{\"texts\":\"%s\",\"model\":\"tiny\",\"dimension\":64,\"done\":1,\"truncated\":0,"
        "\"offset\":25,\"line\":2,\"segments\":[{\"artifact\":\"%s\",\"size\":256}]}",
        "{\"texts\":\"%s\",\"model\":\"tiny\",\"dimension\":64,\"done\":2,\"truncated\":0,"
        "\"offset\":25,\"line\":2,\"segments\":[{\"artifact\":\"%s\",\"size\":256}]}",
        "{\"texts\":\"%s\",\"model\":\"other\",\"dimension\":64,\"done\":1,\"truncated\":0,"
        "\"offset\":25,\"line\":2,\"segments\":[{\"artifact\":\"%s\",\"size\":256}]}",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct buffer details = {0};
        struct argosy_activity *task = task_create(&texts, 0, 100, "");
        json_t *form = json_loads(forms[i], 0, NULL);
        if (form != NULL) {
            json_object_set_new(form, "texts", json_string(texts.id));
            json_object_set_new(json_array_get(json_object_get(form, "segments"), 0), "artifact",
                                json_string(gone));
        }
        char *text = form != NULL ? json_dumps(form, 0) : strdup(forms[i]);
        buffer_append_text(&details, text);
        task->last_heartbeat = (struct argosy_payload){
            .encoding = ARGOSY_ENCODING_JSON, .data = details.data, .size = details.size};
        fake_start(task);
        fake_wait(task);
        assert_result(task, expected, 100, 2);
        fake_activity_destroy(task);
        json_decref(form);
        free(text);
        buffer_fini(&details);
    }
    free(expected);
}

static void a_canceled_task_is_closed_as_canceled(void **state)
{
    (void)state;
    struct artifact texts = texts_put(2000, 0, "", NULL);
    struct argosy_activity *task = task_create(&texts, 0, 2000, "");
    atomic_store(&task->is_canceled, true);
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_CANCELED);
    fake_activity_destroy(task);
}

/* A checkpoint that storage refuses is not the task's end, a result is: and may be tried again. */
static void a_full_volume_fails_the_result_alone(void **state)
{
    (void)state;
    struct artifact texts = texts_put(300, 0, "", NULL);
    struct argosy_activity *task = task_create(&texts, 0, 300, "");
    atomic_store(&fake_storage_code, ERR_LIMIT);
    atomic_store(&task->is_draining, true); /* wants a checkpoint after its first window */
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_RELEASED);
    assert_null(task->details);
    fake_activity_destroy(task);
    task = task_create(&texts, 0, 20, "");
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_FAILED);
    assert_false(task->is_non_retryable);
    assert_int_equal(task->error_code, ERR_LIMIT);
    fake_activity_destroy(task);
    atomic_store(&fake_storage_code, 0);
}

/* Short tasks are answered while large ones fill every batch. */
static void large_tasks_do_not_hold_up_short_ones(void **state)
{
    (void)state;
    enum { LARGE = 3, SHORT = 20 };
    struct artifact texts = texts_put(4000, 0, "", NULL);
    struct argosy_activity *large[LARGE];
    for (int i = 0; i < LARGE; i++) {
        large[i] = task_create(&texts, 0, 4000, "");
        large[i]->info.priority = 4;
        fake_start(large[i]);
    }
    for (int i = 0; i < SHORT; i++) {
        struct argosy_activity *task =
            fake_activity_create(ACTIVITY_RUN_INFERENCE, "\"a question\"");
        task->info.priority = i % 2 == 0 ? 1 : 3;
        fake_start(task);
        assert_int_equal(fake_wait(task), FAKE_COMPLETED);
        fake_activity_destroy(task);
    }
    int open = 0;
    for (int i = 0; i < LARGE; i++) {
        open += fake_is_open(large[i]);
        atomic_store(&large[i]->is_canceled, true);
    }
    for (int i = 0; i < LARGE; i++) {
        fake_wait(large[i]);
        fake_activity_destroy(large[i]);
    }
    assert_int_equal(open, LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_those_of_compute_embeddings),
        cmocka_unit_test(wrong_tasks_fail_without_a_retry),
        cmocka_unit_test(a_task_that_is_drained_again_and_again_gets_done),
        cmocka_unit_test(details_that_cannot_be_used_are_not),
        cmocka_unit_test(a_canceled_task_is_closed_as_canceled),
        cmocka_unit_test(a_full_volume_fails_the_result_alone),
        cmocka_unit_test(large_tasks_do_not_hold_up_short_ones),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
