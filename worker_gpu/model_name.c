/* SPDX-License-Identifier: Apache-2.0 */
/* model_name: see model_name.h. */
#include "worker_gpu/model_name.h"

#include <stdlib.h>
#include <string.h>

#include "models/model_store.h"

/* A name, '@' and ten digits. */
#define SIZE_MAX_OF_NAME (MODEL_NAME_MAX + 11)

int model_name_take(const json_t *input, char **ret_name, struct error *err)
{
    const json_t *model = json_is_object(input) ? json_object_get(input, "model") : NULL;
    if (model == NULL || json_is_null(model)) {
        *ret_name = NULL;
        return 0;
    }
    size_t size = json_string_length(model);
    if (!json_is_string(model) || size == 0 || strlen(json_string_value(model)) != size)
        return error_set(err, ERR_INVALID, "\"model\" of the input must be a model's name");
    if (size > SIZE_MAX_OF_NAME)
        return error_set(err, ERR_INVALID, "\"model\" of the input has %zu bytes, at most %d", size,
                         SIZE_MAX_OF_NAME);
    char *name = strdup(json_string_value(model));
    if (name == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_name = name;
    return 0;
}
