/* SPDX-License-Identifier: Apache-2.0 */
/* failure: see failure.h. */
#include "workflows/failure.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

int failure_final(struct argosy_arena *arena, const char *type, struct argosy_error *err,
                  const char *format, ...)
{
    char message[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return argosy_failure_raise(
        arena,
        &(struct argosy_failure_options){.type = type, .message = message, .non_retryable = true},
        err);
}

static bool is_final(int code)
{
    if (code == ERR_CANCELED)
        return false;
    return code == ERR_CORRUPT || error_disposition(code) == DISPOSITION_FAIL;
}

int failure_from(struct argosy_arena *arena, const char *type, const struct error *why,
                 struct argosy_error *err)
{
    return is_final(why->code) ? failure_final(arena, type, err, "%s", why->text)
                               : argosy_error_set(err, why->code, "%s", why->text);
}
