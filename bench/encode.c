/* SPDX-License-Identifier: Apache-2.0 */
/* encode: see encode.h. */
#include "bench/encode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "kernels/bench/timing.h"
#include "models/file.h"
#include "models/model.h"
#include "models/model_store.h"
#include "models/model_synth.h"
#include "worker_gpu/encoder.h"
#include "worker_gpu/kernel_error.h"

#define SHAPE_PREFIX "shape:"

/* The sizes of published models. Random weights take as long as trained ones. */
static const struct {
    const char *name;
    uint32_t layers, width, heads, inner;
    enum model_family family;
    enum model_pooling pooling;
} shapes[] = {
    {"minilm-l6", 6, 384, 12, 1536, MODEL_BERT, MODEL_POOL_MEAN},
    {"minilm-l12", 12, 384, 12, 1536, MODEL_BERT, MODEL_POOL_MEAN},
    {"bge-small", 12, 384, 12, 1536, MODEL_BERT, MODEL_POOL_FIRST},
    {"bge-base", 12, 768, 12, 3072, MODEL_BERT, MODEL_POOL_FIRST},
    {"bge-large", 24, 1024, 16, 4096, MODEL_BERT, MODEL_POOL_FIRST},
    {"bert-base", 12, 768, 12, 3072, MODEL_BERT, MODEL_POOL_MEAN},
    {"bert-large", 24, 1024, 16, 4096, MODEL_BERT, MODEL_POOL_MEAN},
    {"distilbert", 6, 768, 12, 3072, MODEL_DISTILBERT, MODEL_POOL_MEAN},
};
#define SHAPE_COUNT (sizeof shapes / sizeof shapes[0])
#define SHAPE_VOCAB 30522u

const char encode_shape_names[] =
    "minilm-l6, minilm-l12, bge-small, bge-base, bge-large, bert-base, bert-large, distilbert";

int encode_lengths_parse(const char *text, struct encode_options *options, struct error *err)
{
    options->length_count = 0;
    for (const char *at = text;; at++) {
        if (options->length_count == ENCODE_LENGTHS_MAX)
            return error_set(err, ERR_INVALID, "--lengths: more than %d values",
                             ENCODE_LENGTHS_MAX);
        uint32_t *length = &options->lengths[options->length_count++];
        if (!bench_number(at, &at, 1, MODEL_POSITIONS_MAX, length))
            return error_set(err, ERR_INVALID,
                             "--lengths: \"%.60s\" is no list of numbers from 1 to %u with commas",
                             text, MODEL_POSITIONS_MAX);
        if (*at == '\0')
            return 0;
        if (*at != ',')
            return error_set(err, ERR_INVALID, "--lengths: \"%.60s\": expected numbers and commas",
                             text);
    }
}

/* ---- the model ---- */

/* Writes a model of the shape and opens it; its files are gone when this returns (the weights stay
 * mapped). */
static int open_shape(const char *name, struct model **ret_model, struct error *err)
{
    size_t i = 0;
    while (i < SHAPE_COUNT && strcmp(shapes[i].name, name) != 0)
        i++;
    if (i == SHAPE_COUNT)
        return error_set(err, ERR_INVALID, "--model: there is no shape \"%.60s\"; there are %s",
                         name, encode_shape_names);
    const struct model_shape shape = {.family = shapes[i].family,
                                      .hidden_size = shapes[i].width,
                                      .layer_count = shapes[i].layers,
                                      .head_count = shapes[i].heads,
                                      .intermediate_size = shapes[i].inner,
                                      .vocab_size = SHAPE_VOCAB,
                                      .position_count = 512,
                                      .max_seq_length = 512,
                                      .pooling = shapes[i].pooling};
    const char *temporary = getenv("TMPDIR");
    char folder[MODEL_PATH_MAX], path[MODEL_PATH_MAX + 8];
    snprintf(folder, sizeof folder, "%s/argosy-bench.XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL)
        return error_set_errno(err, ERR_IO, errno, "could not make a folder for the model");
    snprintf(path, sizeof path, "%s/model", folder);
    fprintf(stderr, "argosy-bench: writing a random %s\n", name);
    int code = model_synth(path, &shape, 1, err);
    if (code == 0)
        code = model_open(path, ret_model, err);
    folder_remove(folder);
    return code;
}

static int open_named(const char *name, struct model **ret_model, struct error *err)
{
    const char *folder = getenv("ARGOSY_MODEL_DIR");
    char path[MODEL_PATH_MAX];
    if (folder == NULL)
        return error_set(err, ERR_INVALID,
                         "--model: a name needs ARGOSY_MODEL_DIR; a folder has a \"/\"");
    int code = model_store_path(folder, name, path, err);
    return code == 0 ? model_open(path, ret_model, err) : code;
}

static int open_model(const char *name, struct model **ret_model, struct error *err)
{
    if (strncmp(name, SHAPE_PREFIX, strlen(SHAPE_PREFIX)) == 0)
        return open_shape(name + strlen(SHAPE_PREFIX), ret_model, err);
    return strchr(name, '/') != NULL ? model_open(name, ret_model, err)
                                     : open_named(name, ret_model, err);
}

/* ---- batches ---- */

/* Texts of one length, and where their vectors go. */
struct batch {
    struct encoder *encoder;
    struct token_source source;
    float *vectors;
    struct error *err;
};

/* bench/compare_encode.py makes the same tokens. */
static int batch_init(struct batch *batch, const struct model *model, uint32_t length,
                      uint32_t texts, struct error *err)
{
    uint32_t tokens = length * texts;
    int32_t *ids = malloc(tokens * sizeof *ids);
    uint32_t *cu_seqlens = malloc((texts + (size_t)1) * sizeof *cu_seqlens);
    batch->err = err;
    batch->vectors = malloc((size_t)texts * model->config.hidden_size * sizeof(float));
    batch->source = (struct token_source){
        .ids = ids, .cu_seqlens = cu_seqlens, .tokens = tokens, .texts = texts};
    if (ids == NULL || cu_seqlens == NULL || batch->vectors == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (uint32_t t = 0; t < tokens; t++)
        ids[t] = (int32_t)(t * UINT64_C(7919) % model->config.vocab_size);
    for (uint32_t s = 0; s <= texts; s++)
        cu_seqlens[s] = s * length;
    return 0;
}

static void batch_fini(struct batch *batch)
{
    free((void *)batch->source.ids);
    free((void *)batch->source.cu_seqlens);
    free(batch->vectors);
}

static int run_batch(void *context, uint32_t times)
{
    const struct batch *batch = context;
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < times; i++)
        code = encoder_run(batch->encoder, &batch->source, batch->vectors, NULL, batch->err);
    return code;
}

static int save_vectors(const char *path, const struct batch *batch, struct error *err)
{
    size_t count = (size_t)batch->source.texts * encoder_width(batch->encoder);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return error_set_errno(err, ERR_IO, errno, "could not write %s", path);
    bool is_written = fwrite(batch->vectors, sizeof(float), count, file) == count;
    if (fclose(file) != 0 || !is_written)
        return error_set(err, ERR_IO, "could not write %s", path);
    return 0;
}

/* ---- output ---- */

static void print_head(const struct encode_options *options, const struct model *model,
                       const struct device_info *info, uint32_t step)
{
    const struct model_config *config = &model->config;
    printf("model  %s: %u layers of %u, %u heads, inner %u\n"
           "device %s, %s, %u %s, products: %s, steps of %u tokens\n\n"
           "%6s %6s %12s %12s %12s %12s %10s %6s\n",
           options->model, config->layer_count, config->hidden_size, config->head_count,
           config->intermediate_size, info->name, bench_precision_name(info->precision),
           info->threads, info->kind == DEVICE_CUDA ? "multiprocessors" : "threads", info->gemm,
           step, "length", "texts", "tok/s best", "median", "texts/s best", "median", "batch ms",
           "runs");
}

static void print_row(const struct token_source *source, const struct timing *timing)
{
    printf("%6u %6u %12.0f %12.0f %12.1f %12.1f %10.3f %6u\n", source->tokens / source->texts,
           source->texts, source->tokens / timing->best_s, source->tokens / timing->median_s,
           source->texts / timing->best_s, source->texts / timing->median_s, timing->best_s * 1e3,
           timing->samples);
    fflush(stdout);
}

static json_t *row_object(const struct token_source *source, const struct timing *timing)
{
    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:i}", "length",
                     (int)(source->tokens / source->texts), "texts", (int)source->texts, "best_s",
                     timing->best_s, "median_s", timing->median_s, "tokens_per_s_best",
                     source->tokens / timing->best_s, "tokens_per_s_median",
                     source->tokens / timing->median_s, "texts_per_s_best",
                     source->texts / timing->best_s, "texts_per_s_median",
                     source->texts / timing->median_s, "samples", (int)timing->samples);
}

static int print_object(const struct encode_options *options, const struct device_info *info,
                        uint32_t step, json_t *rows, struct error *err)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:O}", "model", options->model,
                               "device", info->name, "precision",
                               bench_precision_name(info->precision), "threads", (int)info->threads,
                               "products", info->gemm, "step_tokens", (int)step, "lengths", rows);
    if (object == NULL)
        return error_set(err, ERR_INVALID, "the model's name is not UTF-8");
    json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
    return 0;
}

/* ---- measuring ---- */

static int measure_length(const struct encode_options *options, const struct model *model,
                          struct encoder *encoder, size_t index, json_t *rows, struct error *err)
{
    struct batch batch = {.encoder = encoder};
    struct timing timing;
    if (options->common.is_json)
        fprintf(stderr, "argosy-bench: measuring length %u\n", options->lengths[index]);
    int code = batch_init(&batch, model, options->lengths[index], options->texts, err);
    if (code == 0)
        code = timing_measure(run_batch, &batch, options->common.seconds, &timing);
    if (code == 0 && options->common.is_json)
        json_array_append_new(rows, row_object(&batch.source, &timing));
    else if (code == 0)
        print_row(&batch.source, &timing);
    if (code == 0 && options->vectors != NULL && index + 1 == options->length_count)
        code = save_vectors(options->vectors, &batch, err);
    batch_fini(&batch);
    return code;
}

static int check_lengths(const struct encode_options *options, const struct model_config *config,
                         struct error *err)
{
    for (size_t i = 0; i < options->length_count; i++) {
        if (options->lengths[i] > config->max_seq_length)
            return error_set(err, ERR_INVALID,
                             "--lengths: %u is longer than the longest text of %s, %u tokens",
                             options->lengths[i], options->model, config->max_seq_length);
        if ((uint64_t)options->lengths[i] * options->texts > ENCODE_TOKENS_MAX)
            return error_set(err, ERR_INVALID, "%u texts of %u tokens are more than %u tokens",
                             options->texts, options->lengths[i], ENCODE_TOKENS_MAX);
    }
    return 0;
}

/* Of each step, as a worker's encoder has it unless told otherwise. */
static uint32_t step_tokens(const struct encode_options *options, const struct device_info *info,
                            const struct model_config *config)
{
    uint32_t step =
        options->step_tokens != 0 ? options->step_tokens : encoder_step_tokens(info, config);
    return step > config->max_seq_length ? step : config->max_seq_length;
}

static int measure(const struct encode_options *options, const struct model *model,
                   struct device *device, struct error *err)
{
    const struct device_info *info = device_info(device);
    struct encoder *encoder = NULL;
    uint32_t step = step_tokens(options, info, &model->config);
    int code = encoder_create(device, model, step, &encoder, err);
    if (code != 0)
        return code;
    json_t *rows = json_array();
    if (!options->common.is_json)
        print_head(options, model, info, step);
    for (size_t i = 0; code == 0 && i < options->length_count; i++)
        code = measure_length(options, model, encoder, i, rows, err);
    if (code == 0 && options->common.is_json)
        code = print_object(options, info, step, rows, err);
    json_decref(rows);
    encoder_destroy(encoder);
    return code;
}

int encode_measure(const struct encode_options *options, struct error *err)
{
    struct model *model = NULL;
    struct device *device;
    char message[256] = "";
    int code = open_model(options->model, &model, err);
    if (code == 0)
        code = check_lengths(options, &model->config, err);
    if (code != 0)
        goto out;
    int status = device_open(&options->common.device, &device, message, sizeof message);
    if (status != KERNEL_OK) {
        code = kernel_error_set(err, status, NULL, "could not open the device");
        if (message[0] != '\0')
            code = error_set(err, code, "could not open the device: %s", message);
        goto out;
    }
    code = measure(options, model, device, err);
    device_close(device);
out:
    model_close(model);
    return code;
}
