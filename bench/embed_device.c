/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy-bench-embed: texts to vectors by the device alone: a loop of reading, tokenizing and
 * computing, with nothing durable around it. What bench/compare-embed measures `argosy embed` by.
 *
 *   argosy-bench-embed MODEL_FOLDER TEXTS.jsonl VECTORS.f32
 *
 * Prints seconds, without those for loading the model, and the number of texts and tokens, as JSON.
 * The device and its batches are those of a GPU worker on the CPU device. Exit codes:
 * common/exit_code.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exit_code.h"
#include "models/model.h"
#include "models/text_lines.h"
#include "worker_gpu/compute_device.h"
#include "worker_gpu/encoder.h"

/* As worker_gpu/gpu_worker.c. */
#define BATCH_TOKENS 2048u

struct embedder {
    struct device *device;
    struct model *model;
    struct encoder *encoder;
    struct text_lines *lines;
    FILE *vectors;
    uint64_t texts, tokens;

    /* the batch */
    uint32_t batch_texts;
    uint32_t cu_seqlens[BATCH_TOKENS + 1];
    int32_t ids[BATCH_TOKENS];
    float *batch_vectors; /* [BATCH_TOKENS, width] */
};

static int batch_run(struct embedder *embedder, struct error *err)
{
    const struct token_source source = {.ids = embedder->ids,
                                        .cu_seqlens = embedder->cu_seqlens,
                                        .tokens = embedder->cu_seqlens[embedder->batch_texts],
                                        .texts = embedder->batch_texts};
    size_t numbers = (size_t)source.texts * encoder_width(embedder->encoder);
    if (source.texts == 0)
        return 0;
    int code = encoder_run(embedder->encoder, &source, embedder->batch_vectors, NULL, err);
    if (code == 0 &&
        fwrite(embedder->batch_vectors, sizeof(float), numbers, embedder->vectors) != numbers)
        code = error_set(err, ERR_IO, "could not write the vectors");
    embedder->texts += source.texts;
    embedder->tokens += source.tokens;
    embedder->batch_texts = 0;
    return code;
}

static int embed(struct embedder *embedder, struct error *err)
{
    uint32_t longest = embedder->model->config.max_seq_length;
    struct text_line line = {0};
    int code;
    while ((code = text_lines_next(embedder->lines, &line, err)) == 0 && line.text != NULL) {
        if (embedder->cu_seqlens[embedder->batch_texts] + longest > BATCH_TOKENS)
            code = batch_run(embedder, err);
        if (code != 0)
            return code;
        uint32_t begin = embedder->cu_seqlens[embedder->batch_texts];
        embedder->cu_seqlens[++embedder->batch_texts] =
            begin + tokenizer_encode(embedder->model->tokenizer, line.text, line.size,
                                     embedder->ids + begin, longest);
    }
    if (code == 0)
        code = batch_run(embedder, err);
    return code == 0 && fflush(embedder->vectors) != 0
               ? error_set(err, ERR_IO, "could not write the vectors")
               : code;
}

static int embedder_open(struct embedder *embedder, const char *const *arguments, struct error *err)
{
    const struct compute_device_options wanted = {.device = FLEET_DEVICE_CPU};
    struct error reason = {0};
    int fd = open(arguments[1], O_RDONLY | O_CLOEXEC);
    embedder->vectors = fopen(arguments[2], "w");
    if (fd < 0 || embedder->vectors == NULL)
        return error_set(err, ERR_IO, "cannot open %s or %s", arguments[1], arguments[2]);
    int code = text_lines_create(fd, 0, 1, &embedder->lines, err);
    if (code == 0)
        code = compute_device_open(&wanted, &embedder->device, &reason, err);
    if (code == 0)
        code = model_open(arguments[0], &embedder->model, err);
    if (code == 0)
        code = encoder_create(embedder->device, embedder->model, BATCH_TOKENS, &embedder->encoder,
                              err);
    if (code != 0)
        return code;
    embedder->batch_vectors =
        malloc(BATCH_TOKENS * sizeof(float) * encoder_width(embedder->encoder));
    return embedder->batch_vectors != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

int main(int argc, char **argv)
{
    static struct embedder embedder;
    struct error err = {0};
    if (argc != 4) {
        fputs("Usage: argosy-bench-embed MODEL_FOLDER TEXTS.jsonl VECTORS.f32\n", stderr);
        return EXIT_USAGE;
    }
    int code = embedder_open(&embedder, (const char *const *)argv + 1, &err);
    uint64_t begin_ns = clock_monotonic_ns();
    if (code == 0)
        code = embed(&embedder, &err);
    if (code != 0) {
        fprintf(stderr, "argosy-bench-embed: %s\n", err.text);
        return EXIT_FAILED;
    }
    printf("{\"seconds\": %.3f, \"texts\": %llu, \"tokens\": %llu}\n",
           (double)(clock_monotonic_ns() - begin_ns) / (double)NS_PER_S,
           (unsigned long long)embedder.texts, (unsigned long long)embedder.tokens);
    return EXIT_OK;
}
