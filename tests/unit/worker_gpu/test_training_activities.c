/* SPDX-License-Identifier: Apache-2.0 */
/*
 * training_activities: train_classifier and evaluate_classifier against a fake SDK and a fake
 * storage: results, a drain and what goes on after it, checkpoints that must be refused, storage
 * that is away.
 */
#include "worker_gpu/trainer/training_activities.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/buffer.h"
#include "models/file.h"
#include "models/model_synth.h"
#include "tests/test.h"
#include "tests/unit/worker_gpu/fake_sdk.h"
#include "tests/unit/worker_gpu/fake_storage.h"
#include "workflows/shipped.h"

enum { LABELS = 3, WIDTH = 16, TRAIN = 36, OTHERS = 9 };

/* 40,000 steps: 40 seconds and more as long as each takes a millisecond (set_by_details). The first
 * checkpoint comes after 0.3 s. */
#define LONG_TRAINING "{\"epochs\": 20000, \"patience\": 0, \"schedule\": \"constant\"}"

struct fixture {
    char folder[64];
    struct training_context context;
    char request[1024], stored[2048], vectors[1024];
    struct argosy_payload arguments[4];
};

static void put(const void *data, size_t size, struct buffer *out)
{
    struct artifact artifact;
    assert_int_equal(artifact_put_bytes(NULL, data, size, "workflow:workflow", &artifact, NULL), 0);
    buffer_printf(out, "{\"artifact\":\"%s\",\"size\":%zu}", artifact.id, size);
}

/* Examples and vectors of a part: label i has its largest value in place i. odd: a wrong number. */
static void part_put(const char *name, uint32_t count, float odd, struct buffer *stored,
                     struct buffer *vectors)
{
    struct buffer examples = {0};
    float rows[TRAIN * WIDTH];
    for (uint32_t i = 0; i < count; i++) {
        buffer_printf(&examples, "{\"text\":\"%s %u\",\"label\":\"label %c\"}\n", name, i,
                      (int)('a' + i % LABELS));
        for (uint32_t k = 0; k < WIDTH; k++)
            rows[i * WIDTH + k] = (float)((i * 7 + k * 5) % 11) / 30.0f;
        rows[i * WIDTH + i % LABELS] = 1;
    }
    rows[5] += odd;
    buffer_printf(stored, "%s\"%s\":{\"examples\":", stored->size > 0 ? "," : "", name);
    put(examples.data, examples.size, stored);
    buffer_printf(stored, ",\"count\":%u,\"chunks\":[[0,%u]]}", count, count);
    buffer_printf(vectors, ",\"%s\":[", name);
    put(rows, (size_t)count * WIDTH * sizeof(float), vectors);
    buffer_append_text(vectors, "]");
    buffer_fini(&examples);
}

static struct argosy_payload json_of(const char *text)
{
    return (struct argosy_payload){
        .encoding = ARGOSY_ENCODING_JSON, .data = text, .size = strlen(text)};
}

static void request_set(struct fixture *fixture, const char *training)
{
    snprintf(fixture->request, sizeof fixture->request,
             "{\"job_id\":\"j\",\"name\":\"n\",\"base\":\"tiny\",\"dataset\":{\"artifact\":"
             "\"sha256:%064d\",\"size\":1},\"training\":%s}",
             1, training);
    fixture->arguments[0] = json_of(fixture->request);
}

static struct fixture *fixture_create(const char *training, float odd)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct model_shape shape = MODEL_SHAPE_TINY;
    struct buffer stored = {0}, vectors = {0};
    char path[PATH_MAX];
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/argosy-training-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(path, sizeof path, "%s/tiny", fixture->folder);
    assert_int_equal(model_synth(path, &shape, 1, NULL), 0);
    fixture->context.models_dir = fixture->folder;
    assert_int_equal(training_activities_register(&fixture->context, NULL, NULL), 0);
    part_put("train", TRAIN, odd, &stored, &vectors);
    part_put("validation", OTHERS, 0, &stored, &vectors);
    part_put("held_out", OTHERS, 0, &stored, &vectors);
    snprintf(fixture->stored, sizeof fixture->stored,
             "{\"labels\":[\"label a\",\"label b\",\"label c\"],\"parts\":{%s}}",
             buffer_text(&stored));
    snprintf(fixture->vectors, sizeof fixture->vectors, "{\"dimension\":%d%s}", WIDTH,
             buffer_text(&vectors));
    request_set(fixture, training);
    fixture->arguments[1] = json_of(fixture->stored);
    fixture->arguments[2] = json_of(fixture->vectors);
    buffer_fini(&stored);
    buffer_fini(&vectors);
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    fake_storage_clear();
    folder_remove(fixture->folder);
    free(fixture);
}

static struct argosy_activity *task_of(struct fixture *fixture, const char *type, size_t arguments)
{
    struct argosy_activity *task = fake_activity_create(type, "");
    task->input = fixture->arguments[0];
    task->inputs = (struct argosy_payloads){fixture->arguments, arguments};
    return task;
}

static struct argosy_activity *train_task(struct fixture *fixture)
{
    return task_of(fixture, ACTIVITY_TRAIN_CLASSIFIER, 3);
}

/* Runs a task to its end and copies the id of the head that came of it. */
static void finish(struct argosy_activity *task, char ret_head[ARTIFACT_ID_SIZE])
{
    assert_int_equal(fake_wait(task), FAKE_COMPLETED);
    json_t *result = json_loads(task->result, 0, NULL);
    snprintf(ret_head, ARTIFACT_ID_SIZE, "%s",
             json_string_value(json_object_get(json_object_get(result, "head"), "artifact")));
    json_decref(result);
    fake_activity_destroy(task);
}

static void train(struct fixture *fixture, char ret_head[ARTIFACT_ID_SIZE])
{
    struct argosy_activity *task = train_task(fixture);
    fake_start(task);
    finish(task, ret_head);
}

static void a_head_is_trained_and_evaluated(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create("{\"epochs\": 40}", 0);
    struct argosy_activity *task = train_task(fixture);
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_COMPLETED);
    json_t *trained = json_loads(task->result, 0, NULL);
    size_t size;
    assert_non_null(fake_storage_get(
        json_string_value(json_object_get(json_object_get(trained, "head"), "artifact")), &size));
    assert_string_equal(json_string_value(json_object_get(trained, "pooling")), "mean");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(trained, "base"), "name")), "tiny");
    assert_int_equal(
        json_string_length(json_object_get(json_object_get(trained, "base"), "sha256")), 64);
    assert_true(json_integer_value(json_object_get(trained, "epochs")) <= 40);
    fixture->arguments[3] = json_of(task->result);
    struct argosy_activity *evaluation = task_of(fixture, ACTIVITY_EVALUATE_CLASSIFIER, 4);
    fake_start(evaluation);
    assert_int_equal(fake_wait(evaluation), FAKE_COMPLETED);
    json_t *metrics = json_loads(evaluation->result, 0, NULL);
    assert_true(json_number_value(json_object_get(metrics, "accuracy")) == 1.0);
    assert_int_equal(json_integer_value(json_object_get(metrics, "examples")), OTHERS);
    json_decref(metrics);
    json_decref(trained);
    fake_activity_destroy(evaluation);
    fake_activity_destroy(task);
    fixture_destroy(fixture);
}

/* Drained at its first checkpoint, and at once; the next dispatch ends in the same bits. */
static void a_drained_training_goes_on_and_ends_in_the_same_head(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(LONG_TRAINING, 0);
    char undisturbed[ARTIFACT_ID_SIZE], resumed[ARTIFACT_ID_SIZE];
    train(fixture, undisturbed);
    for (int is_later = 0; is_later <= 1; is_later++) {
        struct argosy_activity *first = train_task(fixture);
        atomic_store(&first->is_draining, !is_later);
        first->set_by_details = &first->is_draining;
        fake_start(first);
        assert_int_equal(fake_wait(first), FAKE_RELEASED);
        json_t *details = json_loads(first->details, 0, NULL);
        assert_true(json_is_object(json_object_get(details, "checkpoint")));
        assert_int_equal(json_integer_value(json_object_get(details, "step")) > 0, is_later);
        json_decref(details);
        struct argosy_activity *second = train_task(fixture);
        second->last_heartbeat = json_of(first->details);
        fake_start(second);
        finish(second, resumed);
        assert_string_equal(resumed, undisturbed);
        fake_activity_destroy(first);
    }
    fixture_destroy(fixture);
}

static void checkpoints_that_do_not_belong_are_refused(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create("{\"epochs\": 30, \"seed\": 5}", 0);
    char undisturbed[ARTIFACT_ID_SIZE], head[ARTIFACT_ID_SIZE];
    struct buffer damaged = {0};
    /* A checkpoint of a job with another seed. */
    struct argosy_activity *other = train_task(fixture);
    atomic_store(&other->is_draining, true);
    fake_start(other);
    assert_int_equal(fake_wait(other), FAKE_RELEASED);
    request_set(fixture, "{\"epochs\": 30, \"seed\": 6}");
    train(fixture, undisturbed);
    buffer_append_text(&damaged, "{\"checkpoint\":");
    put("no state of a training, but long enough", 39, &damaged);
    buffer_append_text(&damaged, "}");
    char lost[256];
    snprintf(lost, sizeof lost, "{\"checkpoint\":{\"artifact\":\"sha256:%064d\",\"size\":9}}", 7);
    const char *const details[] = {other->details,
                                   buffer_text(&damaged),
                                   lost,
                                   "{\"checkpoint\":null}",
                                   "{\"checkpoint\":4}",
                                   "[]",
                                   "no JSON"};
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        struct argosy_activity *task = train_task(fixture);
        task->last_heartbeat = json_of(details[i]);
        fake_start(task);
        finish(task, head);
        assert_string_equal(head, undisturbed);
    }
    fake_activity_destroy(other);
    buffer_fini(&damaged);
    fixture_destroy(fixture);
}

static void a_canceled_training_stops(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(LONG_TRAINING, 0);
    struct argosy_activity *task = train_task(fixture);
    task->set_by_details = &task->is_canceled;
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_CANCELED);
    fake_activity_destroy(task);
    fixture_destroy(fixture);
}

static void storage_that_is_away_fails_the_attempt_to_be_tried_again(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create("{\"epochs\": 5}", 0);
    struct argosy_activity *task = train_task(fixture);
    atomic_store(&fake_storage_code, ERR_UNAVAILABLE);
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_FAILED);
    atomic_store(&fake_storage_code, 0);
    assert_int_equal(task->error_code, ERR_UNAVAILABLE);
    assert_false(task->is_non_retryable);
    fake_activity_destroy(task);
    fixture_destroy(fixture);
}

static void what_a_retry_would_not_mend_is_not_tried_again(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create("{\"epochs\": 5}", NAN);
    struct argosy_activity *task = train_task(fixture);
    fake_start(task);
    assert_int_equal(fake_wait(task), FAKE_FAILED);
    assert_string_equal(task->failure_type, "TrainingDiverged");
    assert_true(task->is_non_retryable);
    fake_activity_destroy(task);

    static const struct {
        int argument;
        const char *json, *error;
    } wrong[] = {
        {0, "{\"job_id\":\"j\"}", "\"name\" is missing"},
        {1, "{\"labels\":[\"b\",\"a\"],\"parts\":{}}", "not in order"},
        {1, "{\"labels\":[\"a\",\"b\"],\"parts\":{}}", "the part \"train\""},
        {2, "{\"dimension\":0}", "dimension 0"},
        {2, "{\"dimension\":16,\"train\":[]}", "0 files of vectors for 36 examples"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct argosy_payload kept = fixture->arguments[wrong[i].argument];
        fixture->arguments[wrong[i].argument] = json_of(wrong[i].json);
        task = train_task(fixture);
        fake_start(task);
        assert_int_equal(fake_wait(task), FAKE_FAILED);
        assert_string_equal(task->failure_type, "InvalidInput");
        assert_non_null(strstr(task->error_text, wrong[i].error));
        fake_activity_destroy(task);
        fixture->arguments[wrong[i].argument] = kept;
    }
    fixture_destroy(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_trained_and_evaluated),
        cmocka_unit_test(a_drained_training_goes_on_and_ends_in_the_same_head),
        cmocka_unit_test(checkpoints_that_do_not_belong_are_refused),
        cmocka_unit_test(a_canceled_training_stops),
        cmocka_unit_test(storage_that_is_away_fails_the_attempt_to_be_tried_again),
        cmocka_unit_test(what_a_retry_would_not_mend_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
