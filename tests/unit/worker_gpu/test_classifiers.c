/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small random models of every kind against `transformers` (tests/golden/classifiers.jsonl):
 * vectors and class probabilities. With --write FOLDER it writes the models, for classifiers.py.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "models/file.h"
#include "models/model_synth.h"
#include "tests/test.h"
#include "worker_gpu/encoder.h"

#define TOLERANCE 2e-5

struct kind {
    const char *name;
    enum model_family family;
    enum model_pooling pooling;
    uint32_t labels;
};

static const struct kind kinds[] = {
    {"bert-0", MODEL_BERT, MODEL_POOL_MEAN, 0},
    {"bert-1", MODEL_BERT, MODEL_POOL_FIRST, 1},
    {"bert-3", MODEL_BERT, MODEL_POOL_MAX, 3},
    {"distilbert-0", MODEL_DISTILBERT, MODEL_POOL_FIRST, 0},
    {"distilbert-2", MODEL_DISTILBERT, MODEL_POOL_MEAN, 2},
};

#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static int write_models(const char *folder)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        char path[PATH_MAX];
        struct error err;
        struct model_shape shape = MODEL_SHAPE_TINY;
        shape.family = kinds[i].family;
        shape.pooling = kinds[i].pooling;
        shape.label_count = kinds[i].labels;
        snprintf(path, sizeof path, "%s/%s", folder, kinds[i].name);
        if (model_synth(path, &shape, 7 + i, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    }
    return 0;
}

static void assert_near(const json_t *wanted, const float *got, const char *name)
{
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        double number = json_number_value(json_array_get(wanted, i));
        if (!(fabs(number - (double)got[i]) <= TOLERANCE))
            fail_msg("%s: number %zu is %.9g, wanted %.9g", name, i, (double)got[i], number);
    }
}

static void check_row(const json_t *row, struct encoder *encoder, const char *name)
{
    const json_t *list = json_object_get(row, "ids");
    const json_t *vector = json_object_get(row, "vector");
    const json_t *probabilities = json_object_get(row, "probabilities");
    int32_t ids[128];
    uint32_t cu_seqlens[2] = {0, (uint32_t)json_array_size(list)};
    for (size_t i = 0; i < json_array_size(list); i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    assert_int_equal(json_array_size(vector), encoder_width(encoder));
    assert_int_equal(json_array_size(probabilities), encoder_class_count(encoder));
    float got_vector[64], got_probabilities[4];
    struct token_source source = {
        .ids = ids, .cu_seqlens = cu_seqlens, .tokens = cu_seqlens[1], .texts = 1};
    struct error err = {0};
    if (encoder_run(encoder, &source, got_vector,
                    encoder_class_count(encoder) > 0 ? got_probabilities : NULL, &err) != 0)
        fail_msg("%s", err.text);
    assert_near(vector, got_vector, name);
    assert_near(probabilities, got_probabilities, name);
}

/* Returns how many rows of the golden file are of this model. */
static int check_kind(const struct kind *kind, const char *models, struct device *device)
{
    char path[PATH_MAX];
    struct model *model = NULL;
    struct encoder *encoder = NULL;
    struct error err = {0};
    snprintf(path, sizeof path, "%s/%s", models, kind->name);
    if (model_open(path, &model, &err) != 0 ||
        encoder_create(device, model, 64, &encoder, &err) != 0)
        fail_msg("%s", err.text);
    const char *root = getenv("ARGOSY_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/classifiers.jsonl", root != NULL ? root : ".");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t room = 0;
    int rows = 0;
    while (getline(&line, &room, file) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        if (strcmp(json_string_value(json_object_get(row, "model")), kind->name) == 0) {
            check_row(row, encoder, kind->name);
            rows++;
        }
        json_decref(row);
    }
    free(line);
    fclose(file);
    encoder_destroy(encoder);
    model_close(model);
    return rows;
}

static void every_kind_agrees_with_transformers(void **state)
{
    (void)state;
    char models[] = "/tmp/argosy-classifiers-XXXXXX", message[128];
    struct device *device;
    struct device_options options = {.kind = DEVICE_CPU, .threads = 1};
    assert_non_null(mkdtemp(models));
    assert_int_equal(write_models(models), 0);
    assert_int_equal(device_open(&options, &device, message, sizeof message), 0);
    for (size_t i = 0; i < KIND_COUNT; i++)
        assert_true(check_kind(&kinds[i], models, device) >= 4);
    device_close(device);
    folder_remove(models);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_models(argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_kind_agrees_with_transformers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
