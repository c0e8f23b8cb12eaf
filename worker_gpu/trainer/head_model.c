/* SPDX-License-Identifier: Apache-2.0 */
/* head_model: see head_model.h. */
#include "worker_gpu/trainer/head_model.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "models/model_config.h"
#include "models/safetensors.h"

static bool has_shape(const struct tensor *tensor, uint32_t rank, uint64_t first, uint64_t second)
{
    return tensor != NULL && tensor->dtype == TENSOR_F32 && tensor->rank == rank &&
           tensor->shape[0] == first && (rank == 1 || tensor->shape[1] == second);
}

static int head_take(const struct safetensors *file, struct head_model *head, struct error *err)
{
    const struct tensor *weight = safetensors_find(file, "classifier.weight");
    const struct tensor *bias = safetensors_find(file, "classifier.bias");
    if (head->width == 0 && weight != NULL && weight->rank == 2 &&
        weight->shape[1] <= MODEL_WIDTH_MAX)
        head->width = (uint32_t)weight->shape[1];
    if (head->width == 0 || !has_shape(weight, 2, head->label_count, head->width) ||
        !has_shape(bias, 1, head->label_count, 0))
        return error_set(err, ERR_CORRUPT, "the head is not one of %u labels and width %u",
                         head->label_count, head->width);
    head->weights = malloc(weight->size);
    head->biases = malloc(bias->size);
    if (head->weights == NULL || head->biases == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    memcpy(head->weights, weight->data, weight->size);
    memcpy(head->biases, bias->data, bias->size);
    return 0;
}

int head_model_read(const void *data, size_t size, uint32_t label_count, uint32_t width,
                    struct head_model *ret_head, struct error *err)
{
    struct safetensors *file;
    struct head_model head = {.label_count = label_count, .width = width};
    int code = safetensors_parse(data, size, "the head", &file, err);
    if (code != 0)
        return code;
    code = head_take(file, &head, err);
    safetensors_close(file);
    if (code != 0) {
        head_model_fini(&head);
        return code;
    }
    *ret_head = head;
    return 0;
}

void head_model_fini(struct head_model *head)
{
    free(head->weights);
    free(head->biases);
    *head = (struct head_model){0};
}

static double label_score(const struct head_model *head, uint32_t label, const float *vector)
{
    const float *weights = head->weights + (size_t)label * head->width;
    double score = (double)head->biases[label];
    for (uint32_t i = 0; i < head->width; i++)
        score += (double)weights[i] * (double)vector[i];
    return score;
}

uint32_t head_model_classify(const struct head_model *head, const float *vector,
                             float *ret_probability)
{
    uint32_t best = 0;
    double best_score = label_score(head, 0, vector);
    double sum = 1; /* of exp(score - best score) */
    for (uint32_t label = 1; label < head->label_count; label++) {
        double score = label_score(head, label, vector);
        if (score > best_score) {
            sum = sum * exp(best_score - score) + 1;
            best = label;
            best_score = score;
        } else {
            sum += exp(score - best_score);
        }
    }
    if (ret_probability != NULL)
        *ret_probability = (float)(1 / sum);
    return best;
}
