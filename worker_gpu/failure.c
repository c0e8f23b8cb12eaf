/* SPDX-License-Identifier: Apache-2.0 */
/* failure: see failure.h. */
#include "worker_gpu/failure.h"

const char *failure_of_model(int code)
{
    switch (code) {
    case ERR_NOT_FOUND:
    case ERR_INVALID:
        return FAILURE_MODEL_NOT_FOUND;
    case ERR_CORRUPT:
    case ERR_UNSUPPORTED:
        return FAILURE_INVALID_MODEL;
    default:
        return NULL;
    }
}

int failure_set(struct argosy_activity *activity, const char *type, const struct error *err,
                struct argosy_error *ret_error)
{
    if (type == NULL)
        return argosy_error_set(ret_error, err->code, "%s", err->text);
    return failure_final(argosy_activity_arena(activity), type, ret_error, "%s", err->text);
}
