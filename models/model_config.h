/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_config: what a model folder says about its model, checked and in one struct.
 *
 *   config.json                  family, sizes, labels (id2label) of a classifier
 *   sentence_bert_config.json    max_seq_length
 *   tokenizer_config.json        lower-casing, accents, CJK, model_max_length
 *   modules.json                 whether vectors are normalised
 *   1_Pooling/config.json        how token rows become one vector
 *
 * Only config.json must be there. Without the others: the longest length the positions allow, an
 * uncased tokenizer, mean pooling, normalised vectors.
 *
 * Encoders of the BERT family only: model_type "bert" and "distilbert", absolute positions, gelu
 * (the erf form). Anything else is refused by name, not run wrongly.
 *
 * Threading: a loaded config is never changed; any thread may read it.
 */
#ifndef ARGOSY_MODELS_MODEL_CONFIG_H
#define ARGOSY_MODELS_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "models/tokenizer.h"

/* Bounds on what a folder may ask for: beyond any published BERT (large: 1024 wide, 24 layers), and
 * small enough that no product of them overflows 64 bits. */
#define MODEL_WIDTH_MAX     16384u
#define MODEL_LAYERS_MAX    256u
#define MODEL_POSITIONS_MAX 65536u
#define MODEL_LABELS_MAX    1024u
#define MODEL_LABEL_LENGTH  200u
#define MODEL_JSON_MAX      (1u << 20) /* bytes of one configuration file */

enum model_family { MODEL_BERT, MODEL_DISTILBERT };
enum model_pooling { MODEL_POOL_MEAN, MODEL_POOL_FIRST, MODEL_POOL_MAX };

struct model_config {
    enum model_family family;
    uint32_t hidden_size;
    uint32_t layer_count;
    uint32_t head_count; /* divides hidden_size */
    uint32_t intermediate_size;
    uint32_t vocab_size;
    uint32_t position_count;
    uint32_t type_count; /* token types; 0 for DistilBERT */
    float norm_epsilon;
    uint32_t max_seq_length; /* tokens of one text, [CLS] and [SEP] included */
    enum model_pooling pooling;
    bool normalise; /* vectors to unit length */
    struct tokenizer_options tokenizer;
    uint32_t label_count; /* 0: no classification head */
    char **labels;        /* [label_count], by class id */
};

/* Reads and checks the files of a folder. ERR_NOT_FOUND when the folder or its config.json is
 * missing, ERR_CORRUPT with file and key for a wrong value, ERR_UNSUPPORTED for another kind of
 * model. model_config_fini frees what the struct owns. */
int model_config_load(const char *folder, struct model_config *ret_config, struct error *err);

/* The part that is config.json, from memory; the rest gets its defaults. name stands for it in
 * errors. */
int model_config_parse(const char *json, size_t size, const char *name,
                       struct model_config *ret_config, struct error *err);

/* Accepts a zeroed struct. */
void model_config_fini(struct model_config *config);

#endif
