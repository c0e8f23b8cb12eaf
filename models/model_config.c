/* SPDX-License-Identifier: Apache-2.0 */
/* model_config: see model_config.h. */
#include "models/model_config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "models/file.h"

/* One JSON file being read: its name for errors and what is in it. */
struct document {
    const char *name;
    json_t *root;
};

/* Numbers are read as doubles: tokenizers write "no limit" as an integer of a hundred bits. */
static int document_parse(const char *json, size_t size, const char *name,
                          struct document *ret_document, struct error *err)
{
    json_error_t where;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &where);
    if (root == NULL)
        return error_set(err, ERR_CORRUPT, "%s:%d: it is no JSON: %s", name, where.line,
                         where.text);
    *ret_document = (struct document){name, root};
    return 0;
}

/* ERR_NOT_FOUND when the file is not there. path lives as long as the document. */
static int document_load(const char *folder, const char *file, char path[PATH_MAX],
                         struct document *ret_document, struct error *err)
{
    if (snprintf(path, PATH_MAX, "%s/%s", folder, file) >= PATH_MAX)
        return error_set(err, ERR_NOT_FOUND, "the path of %s is too long", file);
    char *json;
    size_t size;
    int code = file_read(path, MODEL_JSON_MAX, &json, &size, err);
    if (code != 0)
        return code;
    code = document_parse(json, size, path, ret_document, err);
    free(json);
    return code;
}

/* A whole number of 1 to max. Missing: ERR_CORRUPT, or fallback where that is not 0. */
static int get_size(const struct document *document, const char *key, uint32_t max,
                    uint32_t fallback, uint32_t *ret_size, struct error *err)
{
    const json_t *value = json_object_get(document->root, key);
    if (value == NULL && fallback != 0) {
        *ret_size = fallback;
        return 0;
    }
    double number = json_number_value(value); /* 0 for what is none */
    if (!(number >= 1 && number <= max) || number != (double)(uint32_t)number)
        return error_set(err, ERR_CORRUPT, "%s: \"%s\" must be a whole number from 1 to %u",
                         document->name, key, max);
    *ret_size = (uint32_t)number;
    return 0;
}

/* A truth value; missing or null: fallback. */
static int get_bool(const struct document *document, const char *key, bool fallback, bool *ret_bool,
                    struct error *err)
{
    const json_t *value = json_object_get(document->root, key);
    if (value != NULL && !json_is_boolean(value) && !json_is_null(value))
        return error_set(err, ERR_CORRUPT, "%s: \"%s\" must be true or false", document->name, key);
    *ret_bool = json_is_boolean(value) ? json_is_true(value) : fallback;
    return 0;
}

static int get_epsilon(const struct document *document, float *ret_epsilon, struct error *err)
{
    const json_t *value = json_object_get(document->root, "layer_norm_eps");
    double epsilon = value == NULL ? 1e-12 : json_number_value(value);
    if ((value != NULL && !json_is_number(value)) || !(epsilon >= 0 && epsilon <= 1))
        return error_set(err, ERR_CORRUPT, "%s: \"layer_norm_eps\" must be a number from 0 to 1",
                         document->name);
    *ret_epsilon = (float)epsilon;
    return 0;
}

/* The key must be wanted, or missing where that means the same. */
static int expect_text(const struct document *document, const char *key, const char *wanted,
                       struct error *err)
{
    const json_t *value = json_object_get(document->root, key);
    const char *text = json_string_value(value);
    if (value == NULL || (text != NULL && strcmp(text, wanted) == 0))
        return 0;
    return error_set(err, ERR_UNSUPPORTED, "%s: \"%s\" is \"%.100s\", only \"%s\" is supported",
                     document->name, key, text != NULL ? text : "?", wanted);
}

static int parse_family(const struct document *document, enum model_family *ret_family,
                        struct error *err)
{
    const char *type = json_string_value(json_object_get(document->root, "model_type"));
    if (type != NULL && strcmp(type, "bert") == 0)
        *ret_family = MODEL_BERT;
    else if (type != NULL && strcmp(type, "distilbert") == 0)
        *ret_family = MODEL_DISTILBERT;
    else
        return error_set(err, ERR_UNSUPPORTED,
                         "%s: \"model_type\" is \"%.100s\", only \"bert\" and \"distilbert\" are "
                         "supported",
                         document->name, type != NULL ? type : "?");
    return 0;
}

static int parse_sizes(const struct document *document, struct model_config *config,
                       struct error *err)
{
    bool is_bert = config->family == MODEL_BERT;
    const struct {
        const char *key;
        uint32_t max;
        uint32_t fallback;
        uint32_t *size;
    } sizes[] = {
        {is_bert ? "hidden_size" : "dim", MODEL_WIDTH_MAX, 0, &config->hidden_size},
        {is_bert ? "num_hidden_layers" : "n_layers", MODEL_LAYERS_MAX, 0, &config->layer_count},
        {is_bert ? "num_attention_heads" : "n_heads", MODEL_WIDTH_MAX, 0, &config->head_count},
        {is_bert ? "intermediate_size" : "hidden_dim", MODEL_WIDTH_MAX, 0,
         &config->intermediate_size},
        {"vocab_size", TOKENIZER_VOCAB_COUNT_MAX, 0, &config->vocab_size},
        {"max_position_embeddings", MODEL_POSITIONS_MAX, 0, &config->position_count},
        {"type_vocab_size", MODEL_LABELS_MAX, 2, &config->type_count},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int code =
            get_size(document, sizes[i].key, sizes[i].max, sizes[i].fallback, sizes[i].size, err);
        if (code != 0)
            return code;
    }
    if (!is_bert)
        config->type_count = 0;
    if (config->hidden_size % config->head_count != 0)
        return error_set(err, ERR_CORRUPT, "%s: %u heads do not divide a width of %u",
                         document->name, config->head_count, config->hidden_size);
    if (config->position_count < 2)
        return error_set(err, ERR_CORRUPT, "%s: a text has at least 2 positions", document->name);
    return 0;
}

/* Whether "architectures" names a sequence classifier. */
static bool has_head(const struct document *document)
{
    static const char suffix[] = "ForSequenceClassification";
    const json_t *list = json_object_get(document->root, "architectures");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        size_t length = name != NULL ? strlen(name) : 0;
        if (length >= sizeof suffix - 1 && strcmp(name + length - (sizeof suffix - 1), suffix) == 0)
            return true;
    }
    return false;
}

/* {"0": "NEGATIVE", "1": "POSITIVE"}: every id from 0 up once. */
static int parse_labels(const struct document *document, struct model_config *config,
                        struct error *err)
{
    const json_t *map = json_object_get(document->root, "id2label");
    size_t count = json_object_size(map);
    if (count < 1 || count > MODEL_LABELS_MAX)
        return error_set(err, ERR_CORRUPT,
                         "%s: \"id2label\" of a classifier must name 1 to %u classes",
                         document->name, MODEL_LABELS_MAX);
    config->labels = calloc(count, sizeof *config->labels);
    if (config->labels == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (; config->label_count < count; config->label_count++) {
        char key[16];
        snprintf(key, sizeof key, "%u", config->label_count);
        const char *label = json_string_value(json_object_get(map, key));
        if (label == NULL || strlen(label) > MODEL_LABEL_LENGTH)
            return error_set(err, ERR_CORRUPT,
                             "%s: \"id2label\" has no label of at most %u bytes for class %s",
                             document->name, MODEL_LABEL_LENGTH, key);
        config->labels[config->label_count] = strdup(label);
        if (config->labels[config->label_count] == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
    }
    return 0;
}

static int parse_config(const struct document *document, struct model_config *config,
                        struct error *err)
{
    int code = parse_family(document, &config->family, err);
    if (code == 0)
        code = parse_sizes(document, config, err);
    if (code == 0)
        code = get_epsilon(document, &config->norm_epsilon, err);
    if (code == 0)
        code = expect_text(document, config->family == MODEL_BERT ? "hidden_act" : "activation",
                           "gelu", err);
    if (code == 0)
        code = expect_text(document, "position_embedding_type", "absolute", err);
    if (code == 0 && has_head(document))
        code = parse_labels(document, config, err);
    config->max_seq_length = config->position_count;
    config->pooling = MODEL_POOL_MEAN;
    config->normalise = true;
    config->tokenizer = TOKENIZER_UNCASED;
    return code;
}

int model_config_parse(const char *json, size_t size, const char *name,
                       struct model_config *ret_config, struct error *err)
{
    struct document document;
    int code = document_parse(json, size, name, &document, err);
    if (code != 0)
        return code;
    struct model_config config = {0};
    code = parse_config(&document, &config, err);
    json_decref(document.root);
    if (code != 0) {
        model_config_fini(&config);
        return code;
    }
    *ret_config = config;
    return 0;
}

static int parse_sentence_bert(const struct document *document, struct model_config *config,
                               struct error *err)
{
    uint32_t length;
    int code =
        get_size(document, "max_seq_length", UINT32_MAX, config->max_seq_length, &length, err);
    if (code != 0)
        return code;
    if (length < 2)
        return error_set(err, ERR_CORRUPT, "%s: \"max_seq_length\" must be at least 2",
                         document->name);
    if (length < config->max_seq_length)
        config->max_seq_length = length;
    return 0;
}

static int parse_tokenizer(const struct document *document, struct model_config *config,
                           struct error *err)
{
    struct tokenizer_options *options = &config->tokenizer;
    int code = get_bool(document, "do_lower_case", true, &options->lowercase, err);
    if (code == 0) /* null: as lower-casing is */
        code =
            get_bool(document, "strip_accents", options->lowercase, &options->strip_accents, err);
    if (code == 0)
        code = get_bool(document, "tokenize_chinese_chars", true, &options->split_cjk, err);
    double length = json_number_value(json_object_get(document->root, "model_max_length"));
    if (length >= 2 && length < config->max_seq_length)
        config->max_seq_length = (uint32_t)length;
    return code;
}

static int parse_modules(const struct document *document, struct model_config *config,
                         struct error *err)
{
    if (!json_is_array(document->root))
        return error_set(err, ERR_CORRUPT, "%s: it must be a list", document->name);
    config->normalise = false;
    for (size_t i = 0; i < json_array_size(document->root); i++) {
        const json_t *module = json_array_get(document->root, i);
        const char *type = json_string_value(json_object_get(module, "type"));
        const char *kind = type != NULL ? strrchr(type, '.') : NULL;
        kind = kind != NULL ? kind + 1 : type;
        if (kind != NULL && strcmp(kind, "Normalize") == 0)
            config->normalise = true;
        else if (kind == NULL || (strcmp(kind, "Transformer") != 0 && strcmp(kind, "Pooling") != 0))
            return error_set(err, ERR_UNSUPPORTED,
                             "%s: module %zu is \"%.100s\", only "
                             "Transformer, Pooling and Normalize are "
                             "supported",
                             document->name, i, type != NULL ? type : "?");
    }
    return 0;
}

/* Modes that are chosen, of whatever kind: several would be put together into a longer vector. */
static int count_modes(const struct document *document)
{
    static const char prefix[] = "pooling_mode_";
    const char *key;
    json_t *value;
    int count = 0;
    json_object_foreach(document->root, key, value) count +=
        strncmp(key, prefix, sizeof prefix - 1) == 0 && json_is_true(value);
    return count;
}

static int parse_pooling(const struct document *document, struct model_config *config,
                         struct error *err)
{
    static const struct {
        const char *key;
        enum model_pooling pooling;
    } modes[] = {
        {"pooling_mode_mean_tokens", MODEL_POOL_MEAN},
        {"pooling_mode_cls_token", MODEL_POOL_FIRST},
        {"pooling_mode_max_tokens", MODEL_POOL_MAX},
    };
    int chosen = 0;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        bool is_set;
        int code = get_bool(document, modes[i].key, false, &is_set, err);
        if (code != 0)
            return code;
        if (is_set) {
            config->pooling = modes[i].pooling;
            chosen++;
        }
    }
    if (chosen != 1 || count_modes(document) != 1)
        return error_set(err, ERR_UNSUPPORTED,
                         "%s: exactly one of mean, cls and max pooling must be chosen",
                         document->name);
    return 0;
}

typedef int part_parse_fn(const struct document *document, struct model_config *config,
                          struct error *err);

static const struct {
    const char *file;
    part_parse_fn *parse;
} parts[] = {
    {"sentence_bert_config.json", parse_sentence_bert},
    {"tokenizer_config.json", parse_tokenizer},
    {"modules.json", parse_modules},
    {"1_Pooling/config.json", parse_pooling},
};

/* A file that is not there leaves the defaults. */
static int load_part(const char *folder, size_t index, struct model_config *config,
                     struct error *err)
{
    char path[PATH_MAX];
    struct document document;
    int code = document_load(folder, parts[index].file, path, &document, err);
    if (code != 0)
        return code == ERR_NOT_FOUND ? 0 : code;
    code = parts[index].parse(&document, config, err);
    json_decref(document.root);
    return code;
}

int model_config_load(const char *folder, struct model_config *ret_config, struct error *err)
{
    char path[PATH_MAX];
    struct document document;
    int code = document_load(folder, "config.json", path, &document, err);
    if (code != 0)
        return code;
    struct model_config config = {0};
    code = parse_config(&document, &config, err);
    json_decref(document.root);
    for (size_t i = 0; code == 0 && i < sizeof parts / sizeof parts[0]; i++)
        code = load_part(folder, i, &config, err);
    if (code != 0) {
        model_config_fini(&config);
        return code;
    }
    *ret_config = config;
    return 0;
}

void model_config_fini(struct model_config *config)
{
    for (uint32_t i = 0; i < config->label_count; i++)
        free(config->labels[i]);
    free(config->labels);
    *config = (struct model_config){0};
}
