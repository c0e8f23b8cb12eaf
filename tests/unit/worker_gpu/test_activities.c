/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activities: the way of a task from the worker's loop to its answer, against a fake SDK: results,
 * wrong input, cancellation, drain with a checkpoint, and resumption from it.
 */
#include "worker_gpu/activities.h"

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
#include "worker_gpu/failure.h"
#include "worker_gpu/model_shelf.h"

#define WIDTH 64

static const struct fleet_label labels[] = {{"one", "the first"}, {"two", "zyx 98"}};

struct fixture {
    char models_dir[sizeof "/tmp/argosy-activities-XXXXXX"];
    struct device *device;
    struct served_models *models;
    struct gpu_activities *activities;
};

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

static void model_create(const struct fixture *fixture, const char *name, uint32_t width,
                         uint32_t label_count)
{
    char path[PATH_MAX];
    struct model_shape shape = MODEL_SHAPE_TINY;
    shape.hidden_size = width;
    shape.label_count = label_count;
    snprintf(path, sizeof path, "%s/%s", fixture->models_dir, name);
    assert_int_equal(model_synth(path, &shape, 1, NULL), 0);
}

static struct fixture *fixture_create(uint32_t label_count)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char message[128];
    struct device_options device = {.kind = DEVICE_CPU, .threads = 1};
    strcpy(fixture->models_dir, "/tmp/argosy-activities-XXXXXX");
    assert_non_null(mkdtemp(fixture->models_dir));
    model_create(fixture, "tiny", WIDTH, label_count);
    assert_int_equal(device_open(&device, &fixture->device, message, sizeof message), 0);
    struct base_model_options base = {.models_dir = fixture->models_dir,
                                      .device = fixture->device,
                                      .batch_tokens = 64,
                                      .labels = labels,
                                      .label_count = 2,
                                      .temperature = 0.05};
    assert_int_equal(served_models_create(&base, "tiny", NULL, &fixture->models, NULL), 0);
    struct gpu_activities_options options = {
        .models = fixture->models,
        .batch = {.tokens_max = 64, .jobs_max = 100, .delay_ns = NS_PER_MS},
        .pool_threads = 2,
        .on_turn = on_turn,
        .on_device_failed = on_device_failed,
    };
    assert_int_equal(gpu_activities_create(&options, &fixture->activities, NULL), 0);
    assert_int_equal(gpu_activities_register(fixture->activities, NULL, NULL), 0);
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    gpu_activities_destroy(fixture->activities);
    served_models_destroy(fixture->models);
    device_close(fixture->device);
    folder_remove(fixture->models_dir);
    free(fixture);
}

/* Runs one task to its end. The caller destroys it. */
static struct argosy_activity *run(const char *type, const char *input)
{
    struct argosy_activity *activity = fake_activity_create(type, input);
    fake_start(activity);
    fake_wait(activity);
    return activity;
}

static void embeddings_come_back_as_lists(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(0);
    struct argosy_activity *task = run(ACTIVITY_COMPUTE_EMBEDDINGS, "[\"ab\",\"cd\",\"ab\"]");
    assert_int_equal(task->outcome, FAKE_COMPLETED);
    assert_string_equal(task->encoding, "json/plain");
    json_t *result = json_loads(task->result, 0, NULL);
    assert_int_equal(json_array_size(result), 3);
    assert_int_equal(json_array_size(json_array_get(result, 0)), WIDTH);
    assert_true(json_equal(json_array_get(result, 0), json_array_get(result, 2)));
    assert_false(json_equal(json_array_get(result, 0), json_array_get(result, 1)));
    json_decref(result);
    fake_activity_destroy(task);
    task = run(ACTIVITY_COMPUTE_EMBEDDINGS, "[]");
    assert_int_equal(task->outcome, FAKE_COMPLETED);
    assert_string_equal(task->result, "[]");
    fake_activity_destroy(task);
    task = run(ACTIVITY_COMPUTE_EMBEDDINGS, "{\"texts\":[\"ab\"],\"format\":\"binary\"}");
    assert_string_equal(task->encoding, "binary/plain");
    assert_int_equal(task->result_size, WIDTH * sizeof(float));
    fake_activity_destroy(task);
    fixture_destroy(fixture);
}

static void inference_labels_by_prompts_or_by_the_models_head(void **state)
{
    (void)state;
    for (uint32_t label_count = 0; label_count <= 3; label_count += 3) {
        struct fixture *fixture = fixture_create(label_count);
        struct argosy_activity *task = run(ACTIVITY_RUN_INFERENCE, "\"the first\"");
        assert_int_equal(task->outcome, FAKE_COMPLETED);
        json_t *result = json_loads(task->result, 0, NULL);
        const char *label = json_string_value(json_object_get(result, "label"));
        double score = json_number_value(json_object_get(result, "score"));
        assert_int_equal(json_object_size(result), 3);
        assert_string_equal(json_string_value(json_object_get(result, "input")), "the first");
        if (label_count == 0)
            assert_string_equal(label, "one");
        else
            assert_int_equal(strncmp(label, "LABEL_", 6), 0);
        assert_true(score > 1.0 / (label_count + 3) && score <= 1);
        json_decref(result);
        fake_activity_destroy(task);
        fixture_destroy(fixture);
    }
}

static void wrong_input_fails_without_a_retry(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(0);
    static const char *const cases[][2] = {{ACTIVITY_RUN_INFERENCE, "{\"text\":1}"},
                                           {ACTIVITY_RUN_INFERENCE, "\"unfinished"},
                                           {ACTIVITY_COMPUTE_EMBEDDINGS, "\"no list\""},
                                           {ACTIVITY_COMPUTE_EMBEDDINGS, "[1]"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct argosy_activity *task = run(cases[i][0], cases[i][1]);
        assert_int_equal(task->outcome, FAKE_FAILED);
        assert_string_equal(task->failure_type, "InvalidInput");
        assert_true(task->is_non_retryable);
        assert_non_null(strstr(task->error_text, "input"));
        fake_activity_destroy(task);
    }
    struct argosy_activity *task = fake_activity_create(ACTIVITY_RUN_INFERENCE, "\"x\"");
    task->input.encoding = "binary/plain";
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_FAILED);
    assert_non_null(strstr(task->error_text, "binary/plain"));
    fake_activity_destroy(task);
    fixture_destroy(fixture);
}

/* A hundred tasks at once, both kinds, some with losses behind them: each gets its own answer. */
static void many_tasks_at_once_get_their_own_answers(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    struct fixture *fixture = fixture_create(0);
    struct argosy_activity *tasks[COUNT];
    char inputs[COUNT][64];
    for (int i = 0; i < COUNT; i++) {
        bool is_embed = i % 2 == 0;
        snprintf(inputs[i], sizeof inputs[i], is_embed ? "[\"a\",\"text %d\"]" : "\"text %d\"", i);
        tasks[i] = fake_activity_create(
            is_embed ? ACTIVITY_COMPUTE_EMBEDDINGS : ACTIVITY_RUN_INFERENCE, inputs[i]);
        tasks[i]->info.loss_count = i % 10 == 0;
    }
    for (int i = 0; i < COUNT; i++)
        fake_start(tasks[i]);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(fake_wait(tasks[i]), FAKE_COMPLETED);
    for (int i = 0; i < COUNT; i += 7) {
        struct argosy_activity *alone = run(tasks[i]->info.activity_type, inputs[i]);
        assert_string_equal(alone->result, tasks[i]->result);
        fake_activity_destroy(alone);
    }
    for (int i = 0; i < COUNT; i++)
        fake_activity_destroy(tasks[i]);
    fixture_destroy(fixture);
}

static json_t *result_of(const char *type, const char *input)
{
    struct argosy_activity *task = run(type, input);
    if (task->outcome != FAKE_COMPLETED)
        fail_msg("%s", task->error_text);
    json_t *result = json_loads(task->result, 0, NULL);
    fake_activity_destroy(task);
    return result;
}

static void a_task_names_its_model(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(0);
    model_create(fixture, "narrow", 32, 0);
    model_create(fixture, "sorter", WIDTH, 3);
    json_t *own = result_of(ACTIVITY_COMPUTE_EMBEDDINGS, "[\"ab\"]");
    json_t *named =
        result_of(ACTIVITY_COMPUTE_EMBEDDINGS, "{\"texts\":[\"ab\"],\"model\":\"tiny\"}");
    json_t *narrow =
        result_of(ACTIVITY_COMPUTE_EMBEDDINGS, "{\"texts\":[\"ab\"],\"model\":\"narrow\"}");
    json_t *sorted = result_of(ACTIVITY_RUN_INFERENCE, "{\"text\":\"ab\",\"model\":\"sorter\"}");
    assert_true(json_equal(own, named));
    assert_int_equal(json_array_size(json_array_get(narrow, 0)), 32);
    assert_int_equal(strncmp(json_string_value(json_object_get(sorted, "label")), "LABEL_", 6), 0);
    json_decref(own);
    json_decref(named);
    json_decref(narrow);
    json_decref(sorted);

    struct argosy_activity *task =
        run(ACTIVITY_COMPUTE_EMBEDDINGS, "{\"texts\":[\"ab\"],\"model\":\"narow\"}");
    assert_int_equal(task->outcome, FAKE_FAILED);
    assert_string_equal(task->failure_type, FAILURE_MODEL_NOT_FOUND);
    assert_true(task->is_non_retryable);
    assert_string_equal(task->error_text, "there is no model \"narow\"; the nearest is \"narrow\"");
    fake_activity_destroy(task);
    fixture_destroy(fixture);
}

/* More models than a worker keeps, all at once: each task gets the vectors of its own. */
static void models_are_loaded_once_and_the_unused_ones_go(void **state)
{
    (void)state;
    enum { MODELS = MODEL_SHELF_MAX + 2, TASKS = 30 };
    struct fixture *fixture = fixture_create(0);
    char name[8], inputs[TASKS][64];
    for (int i = 0; i < MODELS; i++) {
        snprintf(name, sizeof name, "m%d", i);
        model_create(fixture, name, 32 * (uint32_t)(1 + i % 3), 0);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MODELS; i++) {
            snprintf(inputs[0], sizeof inputs[0], "{\"texts\":[\"ab\"],\"model\":\"m%d\"}", i);
            json_t *result = result_of(ACTIVITY_COMPUTE_EMBEDDINGS, inputs[0]);
            assert_int_equal(json_array_size(json_array_get(result, 0)), 32 * (1 + i % 3));
            json_decref(result);
        }
    }
    struct argosy_activity *tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        snprintf(inputs[i], sizeof inputs[i], "{\"texts\":[\"ab\"],\"model\":\"m%d\"}", i % 3);
        tasks[i] = fake_activity_create(ACTIVITY_COMPUTE_EMBEDDINGS, inputs[i]);
        tasks[i]->info.priority = 1 + i % 5;
        fake_start(tasks[i]);
    }
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(fake_wait(tasks[i]), FAKE_COMPLETED);
        fake_activity_destroy(tasks[i]);
    }
    fixture_destroy(fixture);
}

/* So many texts that the task is certainly under way when it is called off. The caller frees. */
static char *long_input(size_t *ret_texts)
{
    enum { TEXTS = 4000 };
    struct buffer json = {0};
    buffer_append_text(&json, "{\"format\":\"binary\",\"texts\":[\"start\"");
    for (int i = 1; i < TEXTS; i++)
        buffer_printf(&json, ",\"text number %d\"", i);
    buffer_append_text(&json, "]}");
    buffer_append_byte(&json, '\0');
    *ret_texts = TEXTS;
    return (char *)json.data;
}

static void canceled_tasks_are_closed_before_their_next_batch(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(0);
    size_t texts;
    char *input = long_input(&texts);
    struct argosy_activity *task = fake_activity_create(ACTIVITY_COMPUTE_EMBEDDINGS, input);
    atomic_store(&task->is_canceled, true);
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_CANCELED);
    fake_activity_destroy(task);
    free(input);
    fixture_destroy(fixture);
}

/* A drain hands the task back with what is done; the next dispatch goes on from there and gives the
 * same bytes as one that was never interrupted. */
static void a_drained_task_resumes_at_its_checkpoint(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(0);
    size_t texts;
    char *input = long_input(&texts);
    struct argosy_activity *first = fake_activity_create(ACTIVITY_COMPUTE_EMBEDDINGS, input);
    atomic_store(&first->is_draining, true);
    first->set_by_details = &first->is_canceled;
    fake_start(first);
    assert_int_equal(fake_wait(first), FAKE_RELEASED);
    json_t *details = json_loads(first->details, 0, NULL);
    json_int_t done = json_integer_value(json_object_get(details, "done"));
    assert_true(done > 0 && done < (json_int_t)texts);
    json_decref(details);

    struct argosy_activity *second = fake_activity_create(ACTIVITY_COMPUTE_EMBEDDINGS, input);
    second->last_heartbeat = (struct argosy_payload){
        .encoding = ARGOSY_ENCODING_JSON, .data = first->details, .size = strlen(first->details)};
    second->info.loss_count = 1;
    fake_start(second);
    assert_int_equal(fake_wait(second), FAKE_COMPLETED);
    struct argosy_activity *whole = run(ACTIVITY_COMPUTE_EMBEDDINGS, input);
    assert_int_equal(second->result_size, texts * WIDTH * sizeof(float));
    assert_int_equal(whole->result_size, second->result_size);
    assert_memory_equal(whole->result, second->result, whole->result_size);
    fake_activity_destroy(first);
    fake_activity_destroy(second);
    fake_activity_destroy(whole);
    free(input);
    fixture_destroy(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings_come_back_as_lists),
        cmocka_unit_test(inference_labels_by_prompts_or_by_the_models_head),
        cmocka_unit_test(wrong_input_fails_without_a_retry),
        cmocka_unit_test(many_tasks_at_once_get_their_own_answers),
        cmocka_unit_test(a_task_names_its_model),
        cmocka_unit_test(models_are_loaded_once_and_the_unused_ones_go),
        cmocka_unit_test(canceled_tasks_are_closed_before_their_next_batch),
        cmocka_unit_test(a_drained_task_resumes_at_its_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
