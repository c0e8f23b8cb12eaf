/* SPDX-License-Identifier: Apache-2.0 */
/* model: see model.h. */
#include "models/model.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static int open_parts(const char *folder, struct model *model, struct error *err)
{
    int code = model_config_load(folder, &model->config, err);
    if (code != 0)
        return code;
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/vocab.txt", folder) >= (int)sizeof path)
        return error_set(err, ERR_NOT_FOUND, "the path of vocab.txt is too long");
    code = tokenizer_open(path, &model->config.tokenizer, &model->tokenizer, err);
    if (code != 0)
        return code;
    if (tokenizer_vocab_count(model->tokenizer) > model->config.vocab_size)
        return error_set(err, ERR_CORRUPT, "%s: %u tokens, but \"vocab_size\" is %u", path,
                         tokenizer_vocab_count(model->tokenizer), model->config.vocab_size);
    return model_weights_open(folder, &model->config, &model->weights, err);
}

int model_open(const char *folder, struct model **ret_model, struct error *err)
{
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = open_parts(folder, model, err);
    if (code != 0) {
        model_close(model);
        return code;
    }
    *ret_model = model;
    return 0;
}

void model_drop_weights(struct model *model)
{
    model_weights_close(model->weights);
    model->weights = NULL;
}

void model_close(struct model *model)
{
    if (model == NULL)
        return;
    model_weights_close(model->weights);
    tokenizer_destroy(model->tokenizer);
    model_config_fini(&model->config);
    free(model);
}
