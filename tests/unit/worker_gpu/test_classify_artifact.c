/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify_artifact against a fake SDK and a fake storage: labels and scores are those of
 * run_inference, for label prompts and for a model with classes of its own; a bad line is named; a
 * task that is drained or canceled ends as it should.
 */
#include "worker_gpu/classify_artifact.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/assert.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "models/file.h"
#include "models/model_synth.h"
#include "tests/test.h"
#include "tests/unit/worker_gpu/fake_sdk.h"
#include "tests/unit/worker_gpu/fake_storage.h"
#include "worker_gpu/activities.h"

#define TEXTS 600 /* more than two windows */

static const struct fleet_label labels[] = {{"one", "the first"}, {"two", "zyx 98"}};

static char folder[] = "/tmp/argosy-classify-XXXXXX";
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

static void model_make(const char *name, uint32_t label_count)
{
    char path[PATH_MAX];
    struct model_shape shape = MODEL_SHAPE_TINY;
    shape.label_count = label_count;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(model_synth(path, &shape, 3, NULL), 0);
}

static int setup(void **state)
{
    (void)state;
    char message[128];
    struct device_options device_options = {.kind = DEVICE_CPU, .threads = 1};
    assert_non_null(mkdtemp(folder));
    model_make("tiny", 0);
    model_make("classes", 3);
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
        .scratch_dir = folder,
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

static struct artifact texts_put(int bad_line)
{
    struct buffer data = {0};
    struct artifact texts;
    for (int i = 0; i < TEXTS; i++) {
        if (i + 1 == bad_line)
            buffer_append_text(&data, "7\n");
        else
            buffer_printf(&data, "\"text %d of %d\"\n", i, i * 7 % 13);
    }
    assert_int_equal(
        artifact_put_bytes(NULL, data.data, data.size, "workflow:workflow", &texts, NULL), 0);
    buffer_fini(&data);
    return texts;
}

static struct argosy_activity *task_create(const struct artifact *texts, int count,
                                           const char *more)
{
    static char input[8][512]; /* tasks borrow them */
    static int used;
    char *text = input[used++ % 8];
    snprintf(text, sizeof input[0],
             "{\"texts\":{\"artifact\":\"%s\",\"size\":%d},\"offset\":0,\"count\":%d%s}", texts->id,
             (int)texts->size, count, more);
    return fake_activity_create(ACTIVITY_CLASSIFY_ARTIFACT, text);
}

/* Label and score that run_inference gives to text i; the caller releases them. */
static json_t *infer(int i, const char *model)
{
    char input[128];
    snprintf(input, sizeof input, "{\"text\":\"text %d of %d\",\"model\":\"%s\"}", i, i * 7 % 13,
             model);
    struct argosy_activity *task = fake_activity_create(ACTIVITY_RUN_INFERENCE, input);
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_COMPLETED);
    json_t *answer = json_loads(task->result, 0, NULL);
    json_t *label = json_pack("{s:O, s:O}", "label", json_object_get(answer, "label"), "score",
                              json_object_get(answer, "score"));
    json_decref(answer);
    fake_activity_destroy(task);
    return label;
}

static void assert_labels(const char *model)
{
    struct artifact texts = texts_put(0);
    char more[64];
    snprintf(more, sizeof more, ",\"model\":\"%s\"", model);
    struct argosy_activity *task = task_create(&texts, TEXTS, more);
    fake_start(task);
    if (fake_wait(task) != FAKE_COMPLETED)
        fail_msg("%s", task->error_text);
    json_t *result = json_loads(task->result, 0, NULL);
    const json_t *reference = json_object_get(result, "labels");
    size_t size, line_count = 0;
    const char *lines =
        fake_storage_get(json_string_value(json_object_get(reference, "artifact")), &size);
    assert_non_null(lines);
    assert_string_equal(json_string_value(json_object_get(result, "model")), model);
    for (const char *line = lines, *end; line < lines + size; line = end + 1, line_count++) {
        end = memchr(line, '\n', size - (size_t)(line - lines));
        assert_non_null(end);
        if (line_count % 97 != 0)
            continue;
        json_t *answer = json_loadb(line, (size_t)(end - line), 0, NULL);
        json_t *expected = infer((int)line_count, model);
        assert_true(json_equal(answer, expected));
        json_decref(answer);
        json_decref(expected);
    }
    assert_int_equal(line_count, TEXTS);
    json_decref(result);
    fake_activity_destroy(task);
}

static void labels_are_those_of_run_inference(void **state)
{
    (void)state;
    assert_labels("tiny");
    assert_labels("classes");
}

static void assert_refused(struct argosy_activity *task, const char *type, const char *text)
{
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_FAILED);
    assert_string_equal(task->failure_type, type);
    assert_true(task->is_non_retryable);
    if (strstr(task->error_text, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, task->error_text);
    fake_activity_destroy(task);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    struct artifact texts = texts_put(300), whole = texts_put(0), none = whole;
    none.id[10] = none.id[10] == 'a' ? 'b' : 'a';
    assert_refused(task_create(&texts, TEXTS, ""), "InvalidInput", "line 300");
    assert_refused(task_create(&whole, TEXTS + 1, ""), "InvalidInput", "fewer than 601 texts");
    assert_refused(task_create(&whole, 5000, ""), "InvalidInput", "above the limit of 4096");
    assert_refused(task_create(&none, 3, ""), "InvalidInput", "");
    assert_refused(task_create(&whole, 3, ",\"model\":\"tinny\""), "ModelNotFound", "\"tiny\"");
    assert_refused(fake_activity_create(ACTIVITY_CLASSIFY_ARTIFACT, "[]"), "InvalidInput",
                   "must be an object");
}

static void an_unwanted_task_ends(void **state)
{
    (void)state;
    struct artifact texts = texts_put(0);
    struct argosy_activity *drained = task_create(&texts, TEXTS, "");
    drained->is_draining = true;
    fake_start(drained);
    assert_int_equal(fake_wait(drained), FAKE_RELEASED);
    fake_activity_destroy(drained);

    struct argosy_activity *canceled = task_create(&texts, TEXTS, "");
    canceled->is_canceled = true;
    fake_start(canceled);
    assert_int_not_equal(fake_wait(canceled), FAKE_COMPLETED);
    fake_activity_destroy(canceled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_those_of_run_inference),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(an_unwanted_task_ends),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
