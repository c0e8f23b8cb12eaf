/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_reference: see artifact_reference.h. */
#include "workflows/artifact_reference.h"

#include <string.h>

int artifact_reference_read(const json_t *value, struct artifact *ret_artifact, struct error *err)
{
    const json_t *id = json_object_get(value, "artifact");
    const json_t *size = json_object_get(value, "size");
    if (!json_is_string(id) || !json_is_integer(size) || json_integer_value(size) < 0)
        return error_set(err, ERR_INVALID,
                         "expected an artifact: {\"artifact\": \"sha256:...\", \"size\": bytes}");
    int code = artifact_id_check(json_string_value(id), err);
    if (code != 0)
        return code;
    ret_artifact->size = (uint64_t)json_integer_value(size);
    strcpy(ret_artifact->id, json_string_value(id));
    return 0;
}

json_t *artifact_reference_create(const struct artifact *artifact)
{
    return json_pack("{s:s, s:I}", "artifact", artifact->id, "size", (json_int_t)artifact->size);
}
