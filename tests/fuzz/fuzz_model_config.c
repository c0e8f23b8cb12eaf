/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_model_config: any bytes are a configuration whose sizes are within bounds and fit each
 * other, or are refused with a text. */
#include "common/assert.h"
#include "models/model_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_config config;
    struct error err = {0};
    if (model_config_parse((const char *)data, size, "input", &config, &err) != 0) {
        ASSERT(err.text[0] != '\0');
        return 0;
    }
    ASSERT(config.hidden_size >= 1 && config.hidden_size <= MODEL_WIDTH_MAX);
    ASSERT(config.hidden_size % config.head_count == 0);
    ASSERT(config.layer_count >= 1 && config.layer_count <= MODEL_LAYERS_MAX);
    ASSERT(config.max_seq_length >= 2 && config.max_seq_length <= config.position_count);
    ASSERT(config.label_count <= MODEL_LABELS_MAX);
    for (uint32_t i = 0; i < config.label_count; i++)
        ASSERT(config.labels[i] != NULL);
    model_config_fini(&config);
    return 0;
}
