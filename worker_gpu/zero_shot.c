/* SPDX-License-Identifier: Apache-2.0 */
/* zero_shot: see zero_shot.h. */
#include "worker_gpu/zero_shot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct zero_shot {
    const struct fleet_label *labels;
    size_t label_count;
    double temperature;
    size_t width;
    float *vectors; /* [label_count, width] */
};

static int encode_prompt(struct encoder *encoder, const struct model *model, const char *prompt,
                         float *ret_vector, struct error *err)
{
    uint32_t longest = model->config.max_seq_length;
    int32_t *ids = malloc(longest * sizeof *ids);
    if (ids == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    uint32_t cu_seqlens[2] = {
        0, tokenizer_encode(model->tokenizer, prompt, strlen(prompt), ids, longest)};
    struct token_source source = {
        .ids = ids, .cu_seqlens = cu_seqlens, .tokens = cu_seqlens[1], .texts = 1};
    int code = encoder_run(encoder, &source, ret_vector, NULL, err);
    free(ids);
    return code;
}

int zero_shot_create(struct encoder *encoder, const struct model *model,
                     const struct fleet_label *labels, size_t label_count, double temperature,
                     struct zero_shot **ret_zero_shot, struct error *err)
{
    if (label_count == 0 || !(temperature > 0))
        return error_set(err, ERR_INVALID,
                         "classification by prompts needs a label and a temperature above 0");
    struct zero_shot *zero_shot = calloc(1, sizeof *zero_shot);
    if (zero_shot == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    zero_shot->labels = labels;
    zero_shot->label_count = label_count;
    zero_shot->temperature = temperature;
    zero_shot->width = encoder_width(encoder);
    zero_shot->vectors = malloc(label_count * zero_shot->width * sizeof *zero_shot->vectors);
    int code = zero_shot->vectors == NULL ? error_set(err, ERR_MEMORY, "out of memory") : 0;
    for (size_t i = 0; code == 0 && i < label_count; i++)
        code = encode_prompt(encoder, model, labels[i].prompt,
                             zero_shot->vectors + i * zero_shot->width, err);
    if (code != 0) {
        zero_shot_destroy(zero_shot);
        return code;
    }
    *ret_zero_shot = zero_shot;
    return 0;
}

void zero_shot_destroy(struct zero_shot *zero_shot)
{
    if (zero_shot == NULL)
        return;
    free(zero_shot->vectors);
    free(zero_shot);
}

static double cosine(const float *a, const float *b, size_t width)
{
    double product = 0, a_squares = 0, b_squares = 0;
    for (size_t i = 0; i < width; i++) {
        product += (double)a[i] * (double)b[i];
        a_squares += (double)a[i] * (double)a[i];
        b_squares += (double)b[i] * (double)b[i];
    }
    double lengths = sqrt(a_squares * b_squares);
    return lengths > 0 ? product / lengths : 0;
}

/* The best label's share of the softmax is 1 / sum of exp((x - best) / temperature). */
const char *zero_shot_classify(const struct zero_shot *zero_shot, const float *vector,
                               float *ret_score)
{
    size_t best = 0;
    double best_cosine = -INFINITY, sum = 0;
    for (size_t i = 0; i < zero_shot->label_count; i++) {
        double x = cosine(vector, zero_shot->vectors + i * zero_shot->width, zero_shot->width);
        if (x > best_cosine) {
            sum = sum * exp((best_cosine - x) / zero_shot->temperature) + 1;
            best_cosine = x;
            best = i;
        } else {
            sum += exp((x - best_cosine) / zero_shot->temperature);
        }
    }
    *ret_score = (float)(1 / sum);
    return zero_shot->labels[best].name;
}
