/* SPDX-License-Identifier: Apache-2.0 */
/* model_weights: see model_weights.h. One table gives each role its names and its shape. */
#include "models/model_weights.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

enum weight_scope { SCOPE_MODEL, SCOPE_LAYER, SCOPE_HEAD };

/* A size of a shape, as model_weights.h writes it. */
enum weight_size { SIZE_NONE, SIZE_V, SIZE_P, SIZE_T, SIZE_H, SIZE_I, SIZE_C };

struct role_row {
    enum weight_scope scope;
    enum weight_size rows;
    enum weight_size columns; /* SIZE_NONE: a vector */
    const char *bert;         /* %u: the layer */
    const char *distilbert;   /* NULL: it has none */
};

#define BERT_LAYER   "encoder.layer.%u."
#define DISTIL_LAYER "transformer.layer.%u."

static const struct role_row role_rows[WEIGHT_ROLE_COUNT] = {
#define ROW(role, scope, rows, columns, bert, distilbert)                                          \
    [WEIGHT_##role] = {SCOPE_##scope, SIZE_##rows, SIZE_##columns, bert, distilbert}
#define LAYER(role, rows, columns, bert, distilbert)                                               \
    ROW(role, LAYER, rows, columns, BERT_LAYER bert, DISTIL_LAYER distilbert)
    ROW(WORDS, MODEL, V, H, "embeddings.word_embeddings.weight",
        "embeddings.word_embeddings.weight"),
    ROW(POSITIONS, MODEL, P, H, "embeddings.position_embeddings.weight",
        "embeddings.position_embeddings.weight"),
    ROW(TYPES, MODEL, T, H, "embeddings.token_type_embeddings.weight", NULL),
    ROW(EMBEDDING_NORM_GAMMA, MODEL, H, NONE, "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.weight"),
    ROW(EMBEDDING_NORM_BETA, MODEL, H, NONE, "embeddings.LayerNorm.bias",
        "embeddings.LayerNorm.bias"),
    LAYER(QUERY, H, H, "attention.self.query.weight", "attention.q_lin.weight"),
    LAYER(QUERY_BIAS, H, NONE, "attention.self.query.bias", "attention.q_lin.bias"),
    LAYER(KEY, H, H, "attention.self.key.weight", "attention.k_lin.weight"),
    LAYER(KEY_BIAS, H, NONE, "attention.self.key.bias", "attention.k_lin.bias"),
    LAYER(VALUE, H, H, "attention.self.value.weight", "attention.v_lin.weight"),
    LAYER(VALUE_BIAS, H, NONE, "attention.self.value.bias", "attention.v_lin.bias"),
    LAYER(ATTENTION_OUT, H, H, "attention.output.dense.weight", "attention.out_lin.weight"),
    LAYER(ATTENTION_OUT_BIAS, H, NONE, "attention.output.dense.bias", "attention.out_lin.bias"),
    LAYER(ATTENTION_NORM_GAMMA, H, NONE, "attention.output.LayerNorm.weight",
          "sa_layer_norm.weight"),
    LAYER(ATTENTION_NORM_BETA, H, NONE, "attention.output.LayerNorm.bias", "sa_layer_norm.bias"),
    LAYER(UP, I, H, "intermediate.dense.weight", "ffn.lin1.weight"),
    LAYER(UP_BIAS, I, NONE, "intermediate.dense.bias", "ffn.lin1.bias"),
    LAYER(DOWN, H, I, "output.dense.weight", "ffn.lin2.weight"),
    LAYER(DOWN_BIAS, H, NONE, "output.dense.bias", "ffn.lin2.bias"),
    LAYER(OUTPUT_NORM_GAMMA, H, NONE, "output.LayerNorm.weight", "output_layer_norm.weight"),
    LAYER(OUTPUT_NORM_BETA, H, NONE, "output.LayerNorm.bias", "output_layer_norm.bias"),
    ROW(POOLER, HEAD, H, H, "pooler.dense.weight", "pre_classifier.weight"),
    ROW(POOLER_BIAS, HEAD, H, NONE, "pooler.dense.bias", "pre_classifier.bias"),
    ROW(CLASSIFIER, HEAD, C, H, "classifier.weight", "classifier.weight"),
    ROW(CLASSIFIER_BIAS, HEAD, C, NONE, "classifier.bias", "classifier.bias"),
#undef LAYER
#undef ROW
};

struct model_weights {
    struct safetensors *file;
    const char *prefix; /* before the encoder's names */
    uint32_t layer_count;
    const struct tensor **by_role; /* [layer_count * WEIGHT_ROLE_COUNT] */
};

static uint64_t size_value(const struct model_config *config, enum weight_size size)
{
    switch (size) {
    case SIZE_NONE:
        return 1;
    case SIZE_V:
        return config->vocab_size;
    case SIZE_P:
        return config->position_count;
    case SIZE_T:
        return config->type_count;
    case SIZE_H:
        return config->hidden_size;
    case SIZE_I:
        return config->intermediate_size;
    case SIZE_C:
        return config->label_count;
    }
    UNREACHABLE();
}

static const char *name_format(enum weight_role role, const struct model_config *config)
{
    return config->family == MODEL_BERT ? role_rows[role].bert : role_rows[role].distilbert;
}

/* The head's last part stands outside the encoder; DistilBERT's whole head does. */
static bool is_prefixed(enum weight_role role, enum model_family family)
{
    if (role_rows[role].scope != SCOPE_HEAD)
        return true;
    return family == MODEL_BERT && (role == WEIGHT_POOLER || role == WEIGHT_POOLER_BIAS);
}

uint32_t weight_role_layers(enum weight_role role, const struct model_config *config)
{
    if (name_format(role, config) == NULL)
        return 0;
    switch (role_rows[role].scope) {
    case SCOPE_MODEL:
        return 1;
    case SCOPE_LAYER:
        return config->layer_count;
    case SCOPE_HEAD:
        return config->label_count > 0 ? 1 : 0;
    }
    UNREACHABLE();
}

void weight_role_name(enum weight_role role, const struct model_config *config, uint32_t layer,
                      const char *prefix, char ret_name[WEIGHT_NAME_MAX])
{
    int length =
        snprintf(ret_name, WEIGHT_NAME_MAX, "%s", is_prefixed(role, config->family) ? prefix : "");
    snprintf(ret_name + length, WEIGHT_NAME_MAX - (size_t)length, name_format(role, config), layer);
}

void weight_role_shape(enum weight_role role, const struct model_config *config,
                       struct tensor *ret_tensor)
{
    const struct role_row *row = &role_rows[role];
    uint64_t rows = size_value(config, row->rows);
    uint64_t columns = size_value(config, row->columns);
    *ret_tensor = (struct tensor){.rank = row->columns == SIZE_NONE ? 1 : 2,
                                  .shape = {rows, columns},
                                  .count = rows * columns};
}

static int check_tensor(const struct model_weights *weights, const struct tensor *tensor,
                        enum weight_role role, const struct model_config *config, struct error *err)
{
    struct tensor wanted;
    weight_role_shape(role, config, &wanted);
    char found_text[TENSOR_SHAPE_TEXT], wanted_text[TENSOR_SHAPE_TEXT];
    if (tensor->rank != wanted.rank || tensor->shape[0] != wanted.shape[0] ||
        (wanted.rank == 2 && tensor->shape[1] != wanted.shape[1]))
        return error_set(
            err, ERR_CORRUPT, "%s: tensor \"%.200s\" is %s, its configuration wants %s",
            safetensors_name(weights->file), tensor->name, tensor_shape_format(tensor, found_text),
            tensor_shape_format(&wanted, wanted_text));
    enum tensor_dtype dtype = tensor->dtype;
    if (dtype != TENSOR_F32 && dtype != TENSOR_F16 && dtype != TENSOR_BF16 && dtype != TENSOR_F64)
        return error_set(err, ERR_UNSUPPORTED, "%s: tensor \"%.200s\" is %s, not a floating type",
                         safetensors_name(weights->file), tensor->name, tensor_dtype_name(dtype));
    return 0;
}

/* The checkpoints of the first BERT models end the names of their norms in gamma and beta. */
static const struct tensor *find_norm(const struct safetensors *file, const char *name)
{
    static const struct {
        const char *end;
        const char *old_end;
    } ends[] = {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t end = strlen(ends[i].end);
        if (length < end || strcmp(name + length - end, ends[i].end) != 0)
            continue;
        char old_name[WEIGHT_NAME_MAX];
        snprintf(old_name, sizeof old_name, "%.*s%s", (int)(length - end), name, ends[i].old_end);
        return safetensors_find(file, old_name);
    }
    return NULL;
}

static int resolve(struct model_weights *weights, enum weight_role role, uint32_t layer,
                   const struct model_config *config, struct error *err)
{
    char name[WEIGHT_NAME_MAX];
    weight_role_name(role, config, layer, weights->prefix, name);
    const struct tensor *tensor = safetensors_find(weights->file, name);
    if (tensor == NULL)
        tensor = find_norm(weights->file, name);
    if (tensor == NULL)
        return error_set(err, ERR_CORRUPT, "%s: tensor \"%s\" is missing",
                         safetensors_name(weights->file), name);
    weights->by_role[(size_t)layer * WEIGHT_ROLE_COUNT + role] = tensor;
    return check_tensor(weights, tensor, role, config, err);
}

/* Files of bare encoders have no prefix, those with a head do. */
static const char *find_prefix(const struct safetensors *file, const struct model_config *config)
{
    char words[WEIGHT_NAME_MAX];
    weight_role_name(WEIGHT_WORDS, config, 0, "", words);
    if (safetensors_find(file, words) != NULL)
        return "";
    return config->family == MODEL_BERT ? "bert." : "distilbert.";
}

static int resolve_all(struct model_weights *weights, const struct model_config *config,
                       struct error *err)
{
    weights->prefix = find_prefix(weights->file, config);
    for (int role = 0; role < WEIGHT_ROLE_COUNT; role++) {
        uint32_t layers = weight_role_layers((enum weight_role)role, config);
        for (uint32_t layer = 0; layer < layers; layer++) {
            int code = resolve(weights, (enum weight_role)role, layer, config, err);
            if (code != 0)
                return code;
        }
    }
    return 0;
}

int model_weights_open(const char *folder, const struct model_config *config,
                       struct model_weights **ret_weights, struct error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/model.safetensors", folder) >= (int)sizeof path)
        return error_set(err, ERR_NOT_FOUND, "the path of model.safetensors is too long");
    struct model_weights *weights = calloc(1, sizeof *weights);
    if (weights == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    weights->layer_count = config->layer_count;
    weights->by_role =
        calloc((size_t)config->layer_count * WEIGHT_ROLE_COUNT, sizeof *weights->by_role);
    int code = weights->by_role == NULL ? error_set(err, ERR_MEMORY, "out of memory")
                                        : safetensors_open(path, &weights->file, err);
    if (code == 0)
        code = resolve_all(weights, config, err);
    if (code != 0) {
        model_weights_close(weights);
        return code;
    }
    *ret_weights = weights;
    return 0;
}

void model_weights_close(struct model_weights *weights)
{
    if (weights == NULL)
        return;
    safetensors_close(weights->file);
    free(weights->by_role);
    free(weights);
}

const struct tensor *model_weights_get(const struct model_weights *weights, enum weight_role role,
                                       uint32_t layer)
{
    ASSERT(role < WEIGHT_ROLE_COUNT && layer < weights->layer_count);
    const struct tensor *tensor = weights->by_role[(size_t)layer * WEIGHT_ROLE_COUNT + role];
    ASSERT(tensor != NULL);
    return tensor;
}
