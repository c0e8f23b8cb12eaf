/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real model against sentence-transformers (tests/golden/minilm-vectors): cosine at least
 * 0.99999 for every text in fp32, 0.9995 in bf16, which is skipped on a processor that does not
 * multiply it. Needs the model's folder in $ARGOSY_MODEL_DIR; skipped visibly without.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/assert.h"
#include "common/clock.h"
#include "tests/test.h"
#include "worker_gpu/encoder.h"

#define MODEL     "all-MiniLM-L6-v2"
#define WIDTH     384
#define TEXTS_MAX 1000
#define STEP      1024

static struct model *model;

struct corpus {
    uint32_t count;
    int32_t *ids;
    uint32_t cu_seqlens[TEXTS_MAX + 1];
    float *wanted; /* [count, WIDTH] */
};

static FILE *golden_open(const char *file)
{
    char path[PATH_MAX];
    const char *root = getenv("ARGOSY_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/minilm-vectors/%s", root != NULL ? root : ".",
             file);
    FILE *opened = fopen(path, "r");
    if (opened == NULL)
        fail_msg("no %s", path);
    return opened;
}

static void corpus_add(struct corpus *corpus, const char *line)
{
    json_t *text = json_loads(line, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_true(json_is_string(text) && corpus->count < TEXTS_MAX);
    uint32_t begin = corpus->cu_seqlens[corpus->count];
    corpus->cu_seqlens[++corpus->count] =
        begin + tokenizer_encode(model->tokenizer, json_string_value(text),
                                 json_string_length(text), corpus->ids + begin,
                                 model->config.max_seq_length);
    json_decref(text);
}

static void corpus_load(struct corpus *corpus)
{
    *corpus = (struct corpus){0};
    corpus->ids = calloc(TEXTS_MAX, model->config.max_seq_length * sizeof *corpus->ids);
    corpus->wanted = calloc(TEXTS_MAX, WIDTH * sizeof *corpus->wanted);
    assert_true(corpus->ids != NULL && corpus->wanted != NULL);
    FILE *texts = golden_open("texts.jsonl");
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, texts) > 0)
        corpus_add(corpus, line);
    free(line);
    fclose(texts);
    FILE *vectors = golden_open("vectors.f32");
    assert_int_equal(fread(corpus->wanted, WIDTH * sizeof(float), TEXTS_MAX, vectors),
                     corpus->count);
    fclose(vectors);
}

static double cosine(const float *a, const float *b)
{
    double product = 0, a_squares = 0, b_squares = 0;
    for (int i = 0; i < WIDTH; i++) {
        product += (double)a[i] * (double)b[i];
        a_squares += (double)a[i] * (double)a[i];
        b_squares += (double)b[i] * (double)b[i];
    }
    return product / sqrt(a_squares * b_squares);
}

static void encode(struct device *device, const struct corpus *corpus, float *vectors)
{
    struct encoder *encoder;
    struct error err = {0};
    if (encoder_create(device, model, STEP, &encoder, &err) != 0)
        fail_msg("%s", err.text);
    struct token_source source = {.ids = corpus->ids,
                                  .cu_seqlens = corpus->cu_seqlens,
                                  .tokens = corpus->cu_seqlens[corpus->count],
                                  .texts = corpus->count};
    uint64_t begin_ns = clock_monotonic_ns();
    if (encoder_run(encoder, &source, vectors, NULL, &err) != 0)
        fail_msg("%s", err.text);
    double seconds = (double)(clock_monotonic_ns() - begin_ns) / (double)NS_PER_S;
    printf("%u texts, %u tokens, %.0f tokens/s\n", source.texts, source.tokens,
           source.tokens / seconds);
    encoder_destroy(encoder);
}

static void vectors_agree(struct device *device, double cosine_least)
{
    struct corpus corpus;
    corpus_load(&corpus);
    assert_true(corpus.count >= 200);
    float *vectors = calloc(corpus.count, WIDTH * sizeof *vectors);
    assert_non_null(vectors);
    encode(device, &corpus, vectors);
    double least = 1;
    for (uint32_t i = 0; i < corpus.count; i++) {
        double similarity = cosine(vectors + (size_t)i * WIDTH, corpus.wanted + (size_t)i * WIDTH);
        if (!(similarity >= cosine_least))
            fail_msg("text %u: cosine %.8f", i, similarity);
        least = fmin(least, similarity);
    }
    printf("least cosine %.9f\n", least);
    free(vectors);
    free(corpus.ids);
    free(corpus.wanted);
}

static void fp32_vectors_agree_with_the_reference(void **state)
{
    (void)state;
    char message[256] = "";
    struct device *device;
    struct device_options options = {.kind = DEVICE_CPU};
    if (device_open(&options, &device, message, sizeof message) != 0)
        fail_msg("%s", message);
    vectors_agree(device, 0.99999);
    device_close(device);
}

static void bf16_vectors_agree_with_the_reference(void **state)
{
    (void)state;
    char message[256] = "";
    struct device *device;
    struct device_options options = {.kind = DEVICE_CPU, .precision = DEVICE_BF16};
    int r = device_open(&options, &device, message, sizeof message);
    if (r == KERNEL_UNSUPPORTED) {
        printf("not supported: %s\n", message);
        skip();
    }
    assert_int_equal(r, KERNEL_OK);
    vectors_agree(device, 0.9995);
    device_close(device);
}

int main(void)
{
    const char *models = getenv("ARGOSY_MODEL_DIR");
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/" MODEL, models != NULL ? models : "");
    if (models == NULL || access(folder, F_OK) != 0) {
        printf("skipped: ARGOSY_MODEL_DIR has no " MODEL "\n");
        return 77;
    }
    struct error err;
    if (model_open(folder, &model, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32_vectors_agree_with_the_reference),
        cmocka_unit_test(bf16_vectors_agree_with_the_reference),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    model_close(model);
    return failed;
}
