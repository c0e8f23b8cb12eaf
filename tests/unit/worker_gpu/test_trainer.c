/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trainer: the head's training against PyTorch's AdamW (tests/golden/head_training.py), the bits of
 * a training that was interrupted, and states that must be refused.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "models/safetensors.h"
#include "tests/test.h"
#include "worker_gpu/trainer/head_trainer.h"

/* PyTorch sums in another order; after some hundred steps in double precision the difference is
 * some hundred roundings of 1e-16. */
#define TOLERANCE 1e-10

struct data {
    struct training_set set;
    float *rows;
    uint16_t *labels;
    const float *chunks[64];
};

static void data_fini(struct data *data)
{
    free(data->rows);
    free(data->labels);
}

/* Chunks of chunk_rows rows, as they would come from files. */
static void data_chunk(struct data *data, uint32_t count, uint32_t width, uint32_t chunk_rows)
{
    for (uint32_t i = 0; i * chunk_rows < count; i++)
        data->chunks[i] = data->rows + (size_t)i * chunk_rows * width;
    data->set = (struct training_set){count, width, chunk_rows, data->chunks, data->labels};
}

static void data_load(struct data *data, const json_t *from, uint32_t width)
{
    const json_t *features = json_object_get(from, "features");
    const json_t *labels = json_object_get(from, "labels");
    uint32_t count = (uint32_t)json_array_size(labels);
    data->rows = calloc((size_t)count * width, sizeof *data->rows);
    data->labels = calloc(count, sizeof *data->labels);
    for (uint32_t i = 0; i < count; i++) {
        data->labels[i] = (uint16_t)json_integer_value(json_array_get(labels, i));
        for (uint32_t k = 0; k < width; k++)
            data->rows[i * width + k] =
                (float)json_number_value(json_array_get(json_array_get(features, i), k));
    }
    data_chunk(data, count, width, 7);
}

static json_t *golden_load(void)
{
    char path[4096];
    json_error_t why;
    const char *source = getenv("ARGOSY_SOURCE_DIR");
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/tests/golden/head_training.json", source);
    json_t *golden = json_load_file(path, 0, &why);
    assert_non_null(golden);
    return golden;
}

static struct trainer *trainer_of(const struct head_trainer_options *options)
{
    struct trainer *trainer;
    assert_int_equal(head_trainer_create(options, &trainer, NULL), 0);
    return trainer;
}

static void assert_close(double value, const json_t *expected)
{
    double wanted = json_number_value(expected);
    if (!(fabs(value - wanted) <= TOLERANCE * (1 + fabs(wanted))))
        fail_msg("%.17g is not %.17g", value, wanted);
}

/* The exported model, fp32, against PyTorch's best epoch. */
static void assert_model(const struct trainer *trainer, const json_t *golden)
{
    struct buffer out = {0};
    struct safetensors *file;
    size_t row, place;
    const json_t *weights, *value;
    assert_int_equal(trainer_export(trainer, &out, NULL), 0);
    assert_int_equal(safetensors_parse(out.data, out.size, "head", &file, NULL), 0);
    const struct tensor *weight = safetensors_find(file, "classifier.weight");
    const struct tensor *bias = safetensors_find(file, "classifier.bias");
    assert_true(weight->dtype == TENSOR_F32 && weight->rank == 2 && bias->rank == 1);
    json_array_foreach(json_object_get(golden, "weight"), row, weights)
    {
        json_array_foreach(weights, place, value)
        {
            float found;
            memcpy(&found, weight->data + (row * weight->shape[1] + place) * 4, 4);
            assert_true(fabs((double)found - json_number_value(value)) < 1e-6);
        }
    }
    json_array_foreach(json_object_get(golden, "bias"), row, value)
    {
        float found;
        memcpy(&found, bias->data + row * 4, 4);
        assert_true(fabs((double)found - json_number_value(value)) < 1e-6);
    }
    safetensors_close(file);
    buffer_fini(&out);
}

static void golden_run(const json_t *golden)
{
    struct data train, validation;
    uint32_t width = (uint32_t)json_integer_value(json_object_get(golden, "width"));
    data_load(&train, json_object_get(golden, "train"), width);
    data_load(&validation, json_object_get(golden, "validation"), width);
    struct head_trainer_options options = {
        .label_count = (uint32_t)json_integer_value(json_object_get(golden, "label_count")),
        .train = &train.set,
        .validation = &validation.set,
    };
    assert_int_equal(
        training_options_read(json_object_get(golden, "training"), &options.training, NULL), 0);
    struct trainer *trainer = trainer_of(&options);
    size_t epoch;
    const json_t *expected;
    json_array_foreach(json_object_get(golden, "epochs"), epoch, expected)
    {
        assert_false(trainer->status.is_done);
        while (trainer->status.epoch == epoch)
            assert_int_equal(trainer_step(trainer, NULL), 0);
        assert_close(trainer->status.loss, json_object_get(expected, "loss"));
        assert_close(trainer->status.validation_loss, json_object_get(expected, "validation_loss"));
        assert_close(trainer->status.validation_accuracy,
                     json_object_get(expected, "validation_accuracy"));
    }
    assert_true(trainer->status.is_done);
    assert_int_equal(trainer->status.best_epoch,
                     json_integer_value(json_object_get(golden, "best_epoch")));
    assert_model(trainer, golden);
    trainer_destroy(trainer);
    data_fini(&train);
    data_fini(&validation);
}

static void training_gives_what_pytorch_gives(void **state)
{
    (void)state;
    json_t *golden = golden_load();
    size_t index;
    const json_t *one;
    assert_int_equal(json_array_size(golden), 3);
    json_array_foreach(golden, index, one) golden_run(one);
    json_decref(golden);
}

/* The first step of AdamW by hand: one weight per label, w = b = 0 but for the seed's first
 * weights; whatever the gradient g, m / (1 - beta1) = g and sqrt(v / (1 - beta2)) = |g|, so each
 * parameter moves by the rate against the sign of its gradient. */
static void a_first_step_moves_each_bias_by_the_rate(void **state)
{
    (void)state;
    float rows[] = {1, 1};
    uint16_t labels[] = {0, 0};
    struct data data = {.rows = rows, .labels = labels};
    data_chunk(&data, 2, 1, 2);
    struct head_trainer_options options = {
        .label_count = 2, .train = &data.set, .validation = &data.set};
    training_options_read(NULL, &options.training, NULL);
    options.training.schedule = TRAINING_CONSTANT;
    options.training.warmup = 0;
    options.training.epochs = 1;
    struct trainer *trainer = trainer_of(&options);
    assert_int_equal(trainer_step(trainer, NULL), 0);
    assert_true(trainer->status.is_done);
    struct buffer out = {0};
    struct safetensors *file;
    assert_int_equal(trainer_export(trainer, &out, NULL), 0);
    assert_int_equal(safetensors_parse(out.data, out.size, "head", &file, NULL), 0);
    float bias[2];
    memcpy(bias, safetensors_find(file, "classifier.bias")->data, sizeof bias);
    assert_true(fabs((double)bias[0] - options.training.learning_rate) < 1e-7);
    assert_true(fabs((double)bias[1] + options.training.learning_rate) < 1e-7);
    safetensors_close(file);
    buffer_fini(&out);
    trainer_destroy(trainer);
}

/* ---- a data set of clusters ---- */

enum { LABELS = 4, WIDTH = 24, COUNT = 60 };

/* Label i: a large value in place i among small ones: separable by any of many planes. */
static void clusters(struct data *data, uint32_t count)
{
    data->rows = calloc((size_t)count * WIDTH, sizeof *data->rows);
    data->labels = calloc(count, sizeof *data->labels);
    for (uint32_t i = 0; i < count; i++) {
        data->labels[i] = (uint16_t)(i % LABELS);
        for (uint32_t k = 0; k < WIDTH; k++)
            data->rows[i * WIDTH + k] = (float)((i * 31 + k * 17) % 13) / 40.0f;
        data->rows[i * WIDTH + i % LABELS] = 1;
    }
    data_chunk(data, count, WIDTH, 16);
}

static struct head_trainer_options cluster_options(const struct data *train,
                                                   const struct data *validation)
{
    struct head_trainer_options options = {
        .label_count = LABELS, .train = &train->set, .validation = &validation->set, .job = {7}};
    training_options_read(NULL, &options.training, NULL);
    options.training.epochs = 12;
    options.training.batch_size = 16; /* four steps an epoch, the last one of 12 examples */
    options.training.patience = 0;
    return options;
}

static void separable_classes_are_separated(void **state)
{
    (void)state;
    struct data train, validation;
    clusters(&train, COUNT);
    clusters(&validation, 12);
    struct head_trainer_options options = cluster_options(&train, &validation);
    options.training.epochs = 60;
    struct trainer *trainer = trainer_of(&options);
    while (!trainer->status.is_done)
        assert_int_equal(trainer_step(trainer, NULL), 0);
    assert_true(trainer->status.validation_accuracy == 1.0);
    assert_true(trainer->status.best_accuracy == 1.0);
    assert_int_equal(trainer->status.step, 240);
    trainer_destroy(trainer);
    data_fini(&train);
    data_fini(&validation);
}

static void finish(struct trainer *trainer, struct buffer *ret_state)
{
    while (!trainer->status.is_done)
        assert_int_equal(trainer_step(trainer, NULL), 0);
    assert_int_equal(trainer_save(trainer, ret_state, NULL), 0);
}

/* Interrupted after every single step in turn, each time in a trainer made anew. */
static void a_training_interrupted_anywhere_ends_in_the_same_bits(void **state)
{
    (void)state;
    struct data train, validation;
    clusters(&train, COUNT);
    clusters(&validation, 12);
    struct head_trainer_options options = cluster_options(&train, &validation);
    struct buffer undisturbed = {0}, resumed = {0}, saved = {0};
    struct trainer *trainer = trainer_of(&options);
    finish(trainer, &undisturbed);
    trainer_destroy(trainer);
    for (uint64_t cut = 0; cut <= 48; cut++) {
        trainer = trainer_of(&options);
        while (trainer->status.step < cut)
            assert_int_equal(trainer_step(trainer, NULL), 0);
        buffer_clear(&saved);
        assert_int_equal(trainer_save(trainer, &saved, NULL), 0);
        trainer_destroy(trainer);
        trainer = trainer_of(&options);
        /* What it has done itself before the load leaves no trace. */
        for (uint64_t i = 0; i < cut % 5; i++)
            assert_int_equal(trainer_step(trainer, NULL), 0);
        assert_int_equal(trainer_load(trainer, saved.data, saved.size, NULL), 0);
        assert_int_equal(trainer->status.step, cut);
        buffer_clear(&resumed);
        finish(trainer, &resumed);
        trainer_destroy(trainer);
        assert_int_equal(resumed.size, undisturbed.size);
        assert_memory_equal(resumed.data, undisturbed.data, undisturbed.size);
    }
    buffer_fini(&undisturbed);
    buffer_fini(&resumed);
    buffer_fini(&saved);
    data_fini(&train);
    data_fini(&validation);
}

static void states_that_are_damaged_or_of_another_job_are_refused(void **state)
{
    (void)state;
    struct data train, validation;
    clusters(&train, COUNT);
    clusters(&validation, 12);
    struct head_trainer_options options = cluster_options(&train, &validation);
    struct trainer *trainer = trainer_of(&options);
    struct buffer saved = {0}, before = {0}, after = {0};
    for (int i = 0; i < 6; i++)
        assert_int_equal(trainer_step(trainer, NULL), 0);
    assert_int_equal(trainer_save(trainer, &saved, NULL), 0);
    assert_int_equal(trainer_step(trainer, NULL), 0);
    assert_int_equal(trainer_save(trainer, &before, NULL), 0);
    for (size_t i = 0; i < saved.size; i += 97) { /* a bit anywhere */
        saved.data[i] ^= 4;
        assert_int_equal(trainer_load(trainer, saved.data, saved.size, NULL), ERR_CORRUPT);
        saved.data[i] ^= 4;
    }
    for (size_t size = 0; size < saved.size; size += saved.size / 7)
        assert_int_equal(trainer_load(trainer, saved.data, size, NULL), ERR_CORRUPT);
    /* Refusing leaves the trainer as it was. */
    assert_int_equal(trainer_save(trainer, &after, NULL), 0);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);

    options.job[0]++;
    struct trainer *other = trainer_of(&options);
    struct error why;
    assert_int_equal(trainer_load(other, saved.data, saved.size, &why), ERR_STATE);
    assert_non_null(strstr(why.text, "another job"));
    trainer_destroy(other);
    /* The same name of a job on other data: the sizes tell. */
    options.job[0]--;
    options.label_count++;
    other = trainer_of(&options);
    assert_int_equal(trainer_load(other, saved.data, saved.size, NULL), ERR_CORRUPT);
    trainer_destroy(other);
    trainer_destroy(trainer);
    buffer_fini(&saved);
    buffer_fini(&before);
    buffer_fini(&after);
    data_fini(&train);
    data_fini(&validation);
}

static void a_loss_that_is_not_finite_ends_the_training(void **state)
{
    (void)state;
    struct data train, validation;
    clusters(&train, COUNT);
    clusters(&validation, 12);
    train.rows[40] = NAN;
    struct head_trainer_options options = cluster_options(&train, &validation);
    struct trainer *trainer = trainer_of(&options);
    int code = 0;
    while (code == 0 && !trainer->status.is_done)
        code = trainer_step(trainer, NULL);
    assert_int_equal(code, ERR_RANGE);
    trainer_destroy(trainer);
    data_fini(&train);
    data_fini(&validation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_gives_what_pytorch_gives),
        cmocka_unit_test(a_first_step_moves_each_bias_by_the_rate),
        cmocka_unit_test(separable_classes_are_separated),
        cmocka_unit_test(a_training_interrupted_anywhere_ends_in_the_same_bits),
        cmocka_unit_test(states_that_are_damaged_or_of_another_job_are_refused),
        cmocka_unit_test(a_loss_that_is_not_finite_ends_the_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
