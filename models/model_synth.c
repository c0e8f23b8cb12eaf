/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_synth: see model_synth.h. Weights are uniform with the variance that keeps activations near
 * one through the layers (1/in for a matrix), so that every parameter shows in the result and a
 * mistake in any of them is seen by a comparison.
 */
#include "models/model_synth.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "models/file.h"
#include "models/model.h"

/* splitmix64: any seed is a good seed, and the sequence is the same everywhere. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Uniform in [-1, 1), of 24 bits: exact in fp32. */
static float random_unit(uint64_t *state)
{
    return (float)(random_next(state) >> 40) * 0x1p-23f - 1.0f;
}

static void write_vocab(struct buffer *out, uint32_t count)
{
    static const char *const specials[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    uint32_t done = 0;
    for (; done < sizeof specials / sizeof specials[0]; done++)
        buffer_printf(out, "%s\n", specials[done]);
    for (int c = '!'; c <= '~'; c++) {
        if (c >= 'A' && c <= 'Z')
            continue;
        buffer_printf(out, "%c\n", c);
        done++;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            buffer_printf(out, "##%c\n", c);
            done++;
        }
    }
    for (uint32_t pair = 0; pair < 26 * 26 && done + 2 <= count; pair++, done += 2) {
        char a = (char)('a' + pair / 26), b = (char)('a' + pair % 26);
        buffer_printf(out, "%c%c\n##%c%c\n", a, b, a, b);
    }
    for (; done < count; done++)
        buffer_printf(out, "[unused%u]\n", done);
}

static void write_bert_config(struct buffer *out, const struct model_shape *shape)
{
    buffer_printf(out,
                  "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"bert\",\n"
                  "  \"hidden_size\": %u,\n  \"num_hidden_layers\": %u,\n"
                  "  \"num_attention_heads\": %u,\n  \"intermediate_size\": %u,\n"
                  "  \"max_position_embeddings\": %u,\n  \"type_vocab_size\": 2,\n"
                  "  \"hidden_act\": \"gelu\",\n  \"layer_norm_eps\": 1e-12,\n",
                  shape->label_count > 0 ? "BertForSequenceClassification" : "BertModel",
                  shape->hidden_size, shape->layer_count, shape->head_count,
                  shape->intermediate_size, shape->position_count);
}

static void write_distilbert_config(struct buffer *out, const struct model_shape *shape)
{
    buffer_printf(out,
                  "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"distilbert\",\n"
                  "  \"dim\": %u,\n  \"n_layers\": %u,\n  \"n_heads\": %u,\n"
                  "  \"hidden_dim\": %u,\n  \"max_position_embeddings\": %u,\n"
                  "  \"activation\": \"gelu\",\n",
                  shape->label_count > 0 ? "DistilBertForSequenceClassification"
                                         : "DistilBertModel",
                  shape->hidden_size, shape->layer_count, shape->head_count,
                  shape->intermediate_size, shape->position_count);
}

static void write_config(struct buffer *out, const struct model_shape *shape)
{
    if (shape->family == MODEL_BERT)
        write_bert_config(out, shape);
    else
        write_distilbert_config(out, shape);
    if (shape->label_count > 0) {
        buffer_printf(out, "  \"id2label\": {");
        for (uint32_t i = 0; i < shape->label_count; i++)
            buffer_printf(out, "%s\"%u\": \"LABEL_%u\"", i > 0 ? ", " : "", i, i);
        buffer_printf(out, "},\n");
    }
    buffer_printf(out, "  \"vocab_size\": %u\n}\n", shape->vocab_size);
}

static void write_pooling(struct buffer *out, const struct model_shape *shape)
{
    buffer_printf(out,
                  "{\"word_embedding_dimension\": %u, \"pooling_mode_cls_token\": %s, "
                  "\"pooling_mode_mean_tokens\": %s, \"pooling_mode_max_tokens\": %s}\n",
                  shape->hidden_size, shape->pooling == MODEL_POOL_FIRST ? "true" : "false",
                  shape->pooling == MODEL_POOL_MEAN ? "true" : "false",
                  shape->pooling == MODEL_POOL_MAX ? "true" : "false");
}

static bool is_norm_gamma(enum weight_role role)
{
    return role == WEIGHT_EMBEDDING_NORM_GAMMA || role == WEIGHT_ATTENTION_NORM_GAMMA ||
           role == WEIGHT_OUTPUT_NORM_GAMMA;
}

static void write_tensor(struct buffer *out, enum weight_role role, const struct tensor *tensor,
                         uint64_t *random)
{
    /* U(-a, a) has the variance a²/3. Vectors (biases, norms) vary a little round 0 or 1. */
    float scale = tensor->rank == 2 ? sqrtf(3.0f / (float)tensor->shape[1]) : 0.1f;
    float centre = is_norm_gamma(role) ? 1.0f : 0.0f;
    float *room = (float *)(void *)buffer_reserve(out, tensor->count * sizeof *room);
    if (room == NULL)
        return;
    for (uint64_t i = 0; i < tensor->count; i++)
        room[i] = centre + scale * random_unit(random);
    out->size += tensor->count * sizeof *room;
}

/* Header and data in two passes over the same roles; "bert." names where there is a head. */
static void write_weights(struct buffer *out, const struct model_config *config, uint64_t seed)
{
    const char *prefix = config->label_count == 0       ? ""
                         : config->family == MODEL_BERT ? "bert."
                                                        : "distilbert.";
    struct buffer header = {0};
    struct buffer data = {0};
    uint64_t random = seed;
    buffer_append_text(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int role = 0; role < WEIGHT_ROLE_COUNT; role++) {
        for (uint32_t layer = 0; layer < weight_role_layers(role, config); layer++) {
            char name[WEIGHT_NAME_MAX], shape[TENSOR_SHAPE_TEXT];
            struct tensor tensor;
            weight_role_name(role, config, layer, prefix, name);
            weight_role_shape(role, config, &tensor);
            size_t begin = data.size;
            write_tensor(&data, role, &tensor, &random);
            buffer_printf(&header,
                          ",\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                          name, tensor_shape_format(&tensor, shape), begin, data.size);
        }
    }
    buffer_append_byte(&header, '}');
    while (header.size % 8 != 0 && !header.failed) /* data aligned, as the format's writers do */
        buffer_append_byte(&header, ' ');
    for (int i = 0; i < 8; i++)
        buffer_append_byte(out, (uint8_t)((uint64_t)header.size >> (8 * i)));
    buffer_append(out, header.data, header.size);
    buffer_append(out, data.data, data.size);
    out->failed |= header.failed || data.failed;
    buffer_fini(&header);
    buffer_fini(&data);
}

static int save(const char *folder, const char *file, struct buffer *content, struct error *err)
{
    char path[PATH_MAX];
    if (content->failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path)
        return error_set(err, ERR_INVALID, "the path of %s is too long", file);
    int code = file_write(path, content->data, content->size, err);
    buffer_clear(content);
    return code;
}

static int write_settings(const char *folder, const struct model_shape *shape, struct buffer *out,
                          struct error *err)
{
    write_config(out, shape);
    int code = save(folder, "config.json", out, err);
    if (code != 0)
        return code;
    write_vocab(out, shape->vocab_size);
    if ((code = save(folder, "vocab.txt", out, err)) != 0)
        return code;
    buffer_printf(out, "{\"max_seq_length\": %u}\n", shape->max_seq_length);
    if ((code = save(folder, "sentence_bert_config.json", out, err)) != 0)
        return code;
    char pooling[PATH_MAX];
    if (snprintf(pooling, sizeof pooling, "%s/1_Pooling", folder) >= (int)sizeof pooling)
        return error_set(err, ERR_INVALID, "%s: the path is too long", folder);
    if ((code = folder_create(pooling, err)) != 0)
        return code;
    write_pooling(out, shape);
    return save(folder, "1_Pooling/config.json", out, err);
}

/* The written configuration is read back by the real reader, which checks the shape. */
static int write_model(const char *folder, const struct model_shape *shape, uint64_t seed,
                       struct error *err)
{
    struct buffer out = {0};
    struct model_config config = {0};
    int code = write_settings(folder, shape, &out, err);
    struct error why;
    if (code == 0 && model_config_load(folder, &config, &why) != 0)
        code = error_set(err, ERR_INVALID, "a model cannot have this shape: %s", why.text);
    if (code == 0) {
        write_weights(&out, &config, seed);
        code = save(folder, "model.safetensors", &out, err);
    }
    model_config_fini(&config);
    buffer_fini(&out);
    return code;
}

int model_synth(const char *folder, const struct model_shape *shape, uint64_t seed,
                struct error *err)
{
    if (shape->vocab_size < MODEL_SYNTH_VOCAB_MIN)
        return error_set(err, ERR_INVALID, "a vocabulary of %u tokens is below the least, %u",
                         shape->vocab_size, MODEL_SYNTH_VOCAB_MIN);
    if (access(folder, F_OK) == 0)
        return error_set(err, ERR_EXISTS, "%s is there already", folder);
    char draft[PATH_MAX];
    int code = folder_draft(folder, draft, err);
    if (code != 0)
        return code;
    code = write_model(draft, shape, seed, err);
    if (code == 0)
        code = folder_publish(draft, folder, err);
    if (code != 0)
        folder_remove(draft);
    return code;
}
