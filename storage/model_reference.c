/* SPDX-License-Identifier: Apache-2.0 */
/* model_reference: see model_reference.h. */
#include "storage/model_reference.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int model_name_check(const char *name, struct error *err)
{
    size_t length = name != NULL ? strlen(name) : 0;
    if (length == 0 || length > MODEL_NAME_MAX)
        return error_set(err, ERR_INVALID, "a model's name has 1 to %d characters", MODEL_NAME_MAX);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
            return error_set(err, ERR_INVALID,
                             "\"%.128s\" is no model's name (letters, digits, \".\", \"_\", \"-\")",
                             name);
    }
    return 0;
}

int model_reference_parse(const char *text, struct model_reference *ret_reference,
                          struct error *err)
{
    struct model_reference reference = {.version = 0};
    const char *at = text != NULL ? strchr(text, '@') : NULL;
    size_t length = text == NULL ? 0 : at != NULL ? (size_t)(at - text) : strlen(text);
    if (length > MODEL_NAME_MAX)
        return error_set(err, ERR_INVALID, "a model's name has 1 to %d characters", MODEL_NAME_MAX);
    if (text != NULL)
        memcpy(reference.name, text, length);
    int code = model_name_check(reference.name, err);
    if (code != 0)
        return code;
    if (at != NULL) {
        char *end;
        unsigned long version = strtoul(at + 1, &end, 10);
        if (!isdigit((unsigned char)at[1]) || *end != '\0' || version == 0 || version > INT32_MAX)
            return error_set(err, ERR_INVALID, "\"%.160s\" has no version from 1 up behind its @",
                             text);
        reference.version = (uint32_t)version;
    }
    *ret_reference = reference;
    return 0;
}
