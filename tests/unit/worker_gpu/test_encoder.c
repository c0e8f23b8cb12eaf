/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: against a slow forward pass in double precision on small random models of every kind,
 * and a text's result is the same bits whatever stands beside it.
 */
#include "worker_gpu/encoder.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "models/file.h"
#include "models/model_synth.h"
#include "tests/test.h"
#include "tests/unit/worker_gpu/slow_forward.h"

#define TEXT_COUNT 7
#define STEP       128

#define LONG_TEXT                                                                                  \
    "the quick brown fox jumps over the lazy dog, again and again and again and again and again; " \
    "whoever counts its jumps will fall asleep long before the end of this sentence is reached"

/* Short, empty, longer than the model's longest (64), hard to cut. */
static const char *const texts[TEXT_COUNT] = {
    "hello world",       "", LONG_TEXT, "a", "caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd!", "x1 y2 z3",
    "durable execution",
};

struct fixture {
    struct device *device;
    struct model *model;
    struct encoder *encoder;
    int32_t ids[TEXT_COUNT * 64];
    uint32_t cu_seqlens[TEXT_COUNT + 1];
};

static struct model *synth(const struct model_shape *shape)
{
    char folder[] = "/tmp/argosy-encoder-XXXXXX", path[PATH_MAX];
    struct model *model = NULL;
    struct error err = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
    if (model_synth(path, shape, 42, &err) != 0 || model_open(path, &model, &err) != 0)
        fail_msg("%s", err.text);
    folder_remove(folder); /* what is mapped stays */
    return model;
}

static void fixture_open(struct fixture *fixture, const struct model_shape *shape,
                         enum device_kind kind, uint32_t step)
{
    char message[256] = "";
    struct error err = {0};
    struct device_options options = {.kind = kind, .threads = 2};
    if (device_open(&options, &fixture->device, message, sizeof message) != 0)
        fail_msg("%s", message);
    fixture->model = synth(shape);
    if (encoder_create(fixture->device, fixture->model, step, &fixture->encoder, &err) != 0)
        fail_msg("%s", err.text);
    fixture->cu_seqlens[0] = 0;
    for (int i = 0; i < TEXT_COUNT; i++) {
        uint32_t begin = fixture->cu_seqlens[i];
        fixture->cu_seqlens[i + 1] =
            begin + tokenizer_encode(fixture->model->tokenizer, texts[i], strlen(texts[i]),
                                     fixture->ids + begin, 64);
    }
}

static void fixture_close(struct fixture *fixture)
{
    encoder_destroy(fixture->encoder);
    model_close(fixture->model);
    device_close(fixture->device);
}

/* Runs texts [first, first + count) of the fixture. */
static void run(const struct fixture *fixture, uint32_t first, uint32_t count, float *vectors,
                float *probabilities)
{
    uint32_t cu_seqlens[TEXT_COUNT + 1];
    uint32_t begin = fixture->cu_seqlens[first];
    for (uint32_t i = 0; i <= count; i++)
        cu_seqlens[i] = fixture->cu_seqlens[first + i] - begin;
    struct token_source source = {.ids = fixture->ids + begin,
                                  .cu_seqlens = cu_seqlens,
                                  .tokens = cu_seqlens[count],
                                  .texts = count};
    struct error err = {0};
    if (encoder_run(fixture->encoder, &source, vectors, probabilities, &err) != 0)
        fail_msg("%s", err.text);
}

static void assert_close(const float *got, const double *wanted, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++) {
        if (!(fabs((double)got[i] - wanted[i]) <= 2e-5 * fmax(1, fabs(wanted[i]))))
            fail_msg("%s: number %zu is %.9g, wanted %.9g", what, i, (double)got[i], wanted[i]);
    }
}

static void compare_with_slow(const struct model_shape *shape, enum device_kind kind,
                              uint32_t text_count)
{
    struct fixture fixture;
    fixture_open(&fixture, shape, kind, STEP);
    size_t width = shape->hidden_size, classes = shape->label_count;
    float *vectors = calloc(TEXT_COUNT * width, sizeof *vectors);
    float *probabilities = classes > 0 ? calloc(TEXT_COUNT * classes, sizeof(float)) : NULL;
    double *vector = calloc(width, sizeof *vector);
    double *wanted = calloc(classes + 1, sizeof *wanted);
    run(&fixture, 0, text_count, vectors, probabilities);
    for (size_t i = 0; i < text_count; i++) {
        uint32_t begin = fixture.cu_seqlens[i];
        slow_forward(fixture.model, fixture.ids + begin, fixture.cu_seqlens[i + 1] - begin, vector,
                     wanted);
        assert_close(vectors + i * width, vector, width, texts[i]);
        if (classes > 0)
            assert_close(probabilities + i * classes, wanted, classes, texts[i]);
    }
    free(vectors);
    free(probabilities);
    free(vector);
    free(wanted);
    fixture_close(&fixture);
}

static void every_kind_of_model_agrees_with_the_slow_forward(void **state)
{
    (void)state;
    for (int kind = DEVICE_REFERENCE; kind <= DEVICE_CPU; kind++) {
        for (int family = MODEL_BERT; family <= MODEL_DISTILBERT; family++) {
            for (uint32_t labels = 0; labels <= 3; labels++) {
                struct model_shape shape = MODEL_SHAPE_TINY;
                shape.family = (enum model_family)family;
                shape.label_count = labels;
                shape.pooling = (enum model_pooling)(labels % 3);
                compare_with_slow(&shape, (enum device_kind)kind, TEXT_COUNT);
            }
        }
    }
}

/* MiniLM's and BERT's shapes but for layers and vocabulary: head widths 32 and 64. Two texts: the
 * slow forward is slow. */
static void real_widths_agree_with_the_slow_forward(void **state)
{
    (void)state;
    struct model_shape minilm = MODEL_SHAPE_TINY;
    minilm.hidden_size = 384;
    minilm.head_count = 12;
    minilm.intermediate_size = 1536;
    compare_with_slow(&minilm, DEVICE_CPU, 2);
    struct model_shape bert = MODEL_SHAPE_TINY;
    bert.hidden_size = 768;
    bert.head_count = 12;
    bert.intermediate_size = 3072;
    bert.layer_count = 1;
    compare_with_slow(&bert, DEVICE_CPU, 2);
}

static void a_vector_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    for (uint32_t step = 64; step <= 1024; step *= 4) { /* one text a step; a few; all in one */
        struct fixture fixture;
        struct model_shape shape = MODEL_SHAPE_TINY;
        shape.label_count = 3;
        fixture_open(&fixture, &shape, DEVICE_CPU, step);
        float all[TEXT_COUNT][64], alone[64];
        float all_classes[TEXT_COUNT][3], alone_classes[3];
        run(&fixture, 0, TEXT_COUNT, all[0], all_classes[0]);
        for (uint32_t i = 0; i < TEXT_COUNT; i++) {
            run(&fixture, i, 1, alone, alone_classes);
            assert_memory_equal(alone, all[i], sizeof alone);
            assert_memory_equal(alone_classes, all_classes[i], sizeof alone_classes);
        }
        fixture_close(&fixture);
    }
}

static void vectors_have_unit_length(void **state)
{
    (void)state;
    struct fixture fixture;
    struct model_shape shape = MODEL_SHAPE_TINY;
    float vectors[TEXT_COUNT][64];
    fixture_open(&fixture, &shape, DEVICE_CPU, STEP);
    run(&fixture, 0, TEXT_COUNT, vectors[0], NULL);
    for (int i = 0; i < TEXT_COUNT; i++) {
        double squares = 0;
        for (int k = 0; k < 64; k++)
            squares += (double)vectors[i][k] * (double)vectors[i][k];
        assert_true(fabs(squares - 1) < 1e-5);
    }
    fixture_close(&fixture);
}

static void a_step_must_hold_the_longest_text(void **state)
{
    (void)state;
    char message[256];
    struct device *device;
    struct encoder *encoder = NULL;
    struct error err;
    struct device_options options = {.kind = DEVICE_CPU, .threads = 1};
    struct model_shape shape = MODEL_SHAPE_TINY;
    assert_int_equal(device_open(&options, &device, message, sizeof message), 0);
    struct model *model = synth(&shape);
    assert_int_equal(encoder_create(device, model, 63, &encoder, &err), ERR_INVALID);
    assert_null(encoder);
    model_close(model);
    device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_model_agrees_with_the_slow_forward),
        cmocka_unit_test(real_widths_agree_with_the_slow_forward),
        cmocka_unit_test(a_vector_does_not_depend_on_its_batch),
        cmocka_unit_test(vectors_have_unit_length),
        cmocka_unit_test(a_step_must_hold_the_longest_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
