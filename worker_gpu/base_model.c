/* SPDX-License-Identifier: Apache-2.0 */
/* base_model: see base_model.h. */
#include "worker_gpu/base_model.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t step_tokens(const struct base_model_options *options, const struct model *model)
{
    uint32_t step = encoder_step_tokens(device_info(options->device), &model->config);
    return step < options->batch_tokens ? step : options->batch_tokens;
}

static int open_model(const struct base_model_options *options, struct base_model *base,
                      struct error *err)
{
    char path[MODEL_PATH_MAX];
    int code = model_store_path(options->models_dir, base->name, path, err);
    if (code == 0)
        code = model_open(path, &base->model, err);
    if (code == ERR_NOT_FOUND)
        error_prefix(err, "there is no model %s (argosy model fetch %s brings it)", base->name,
                     base->name);
    if (code == 0 && base->model->config.max_seq_length > options->batch_tokens)
        code = error_set(err, ERR_UNSUPPORTED,
                         "model %s takes texts of %u tokens, which fit no batch of %u", base->name,
                         base->model->config.max_seq_length, options->batch_tokens);
    return code;
}

/* One full batch of texts of the longest length on CUDA, where the first run of each size costs;
 * one such text on a CPU. */
static int warm_up(const struct base_model_options *options, struct base_model *base,
                   struct error *err)
{
    bool is_cuda = device_info(options->device)->kind == DEVICE_CUDA;
    uint32_t length = base->model->config.max_seq_length;
    uint32_t texts = is_cuda ? options->batch_tokens / length : 1;
    size_t classes = encoder_class_count(base->encoder);
    int32_t *ids = calloc((size_t)texts * length, sizeof *ids);
    uint32_t *cu_seqlens = calloc(texts + 1, sizeof *cu_seqlens);
    float *vectors = calloc((size_t)texts * encoder_width(base->encoder), sizeof *vectors);
    float *probabilities = calloc(texts * classes + 1, sizeof *probabilities);
    int code;
    if (ids == NULL || cu_seqlens == NULL || vectors == NULL || probabilities == NULL) {
        code = error_set(err, ERR_MEMORY, "out of memory");
    } else {
        for (uint32_t i = 0; i <= texts; i++)
            cu_seqlens[i] = i * length;
        struct token_source source = {
            .ids = ids, .cu_seqlens = cu_seqlens, .tokens = texts * length, .texts = texts};
        code =
            encoder_run(base->encoder, &source, vectors, classes > 0 ? probabilities : NULL, err);
    }
    free(ids);
    free(cu_seqlens);
    free(vectors);
    free(probabilities);
    return code;
}

static int open_encoder(const struct base_model_options *options, struct base_model *base,
                        struct error *err)
{
    int code = encoder_create(options->device, base->model, step_tokens(options, base->model),
                              &base->encoder, err);
    model_drop_weights(base->model);
    if (code == 0)
        code = warm_up(options, base, err);
    if (code == 0 && encoder_class_count(base->encoder) == 0)
        code = zero_shot_create(base->encoder, base->model, options->labels, options->label_count,
                                options->temperature, &base->zero_shot, err);
    return code;
}

int base_model_open(const struct base_model_options *options, const char *name,
                    struct base_model **ret_base, struct error *err)
{
    struct base_model *base = calloc(1, sizeof *base);
    if (base == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    snprintf(base->name, sizeof base->name, "%s", name);
    int code = open_model(options, base, err);
    if (code == 0)
        code = open_encoder(options, base, err);
    if (code != 0) {
        base_model_close(base);
        return code;
    }
    *ret_base = base;
    return 0;
}

void base_model_close(struct base_model *base)
{
    if (base == NULL)
        return;
    zero_shot_destroy(base->zero_shot);
    encoder_destroy(base->encoder);
    model_close(base->model);
    free(base);
}

void base_model_classify(const struct base_model *base, const float *vector,
                         const float *probabilities, const char **ret_label, float *ret_score)
{
    if (base->zero_shot != NULL) {
        *ret_label = zero_shot_classify(base->zero_shot, vector, ret_score);
        return;
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < base->model->config.label_count; i++) {
        if (probabilities[i] > probabilities[best])
            best = i;
    }
    *ret_label = base->model->config.labels[best];
    *ret_score = probabilities[best];
}
