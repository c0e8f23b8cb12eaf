/* SPDX-License-Identifier: Apache-2.0 */
/* error: see include/argosy/error.h. */
#include "sdk/error.h"

#include <stdarg.h>
#include <stdio.h>

_Static_assert(offsetof(struct argosy_error, code) == offsetof(struct error, code), "layout");
_Static_assert(offsetof(struct argosy_error, text) == offsetof(struct error, text), "layout");
_Static_assert(sizeof((struct argosy_error *)0)->text == ERROR_TEXT_MAX, "layout");

#define SAME_CODE(name) _Static_assert((int)ARGOSY_##name == (int)name, "error codes are equal")
SAME_CODE(ERR_CANCELED);
SAME_CODE(ERR_INVALID);
SAME_CODE(ERR_TIMEOUT);
SAME_CODE(ERR_NOT_FOUND);
SAME_CODE(ERR_EXISTS);
SAME_CODE(ERR_PERMISSION);
SAME_CODE(ERR_LIMIT);
SAME_CODE(ERR_STATE);
SAME_CODE(ERR_ABORTED);
SAME_CODE(ERR_RANGE);
SAME_CODE(ERR_UNSUPPORTED);
SAME_CODE(ERR_INTERNAL);
SAME_CODE(ERR_UNAVAILABLE);
SAME_CODE(ERR_CORRUPT);
SAME_CODE(ERR_UNAUTHENTICATED);
SAME_CODE(ERR_MEMORY);
SAME_CODE(ERR_IO);
SAME_CODE(ERR_STORAGE);
SAME_CODE(ERR_PROTOCOL);
SAME_CODE(ERR_CONFIG);
SAME_CODE(ERR_DEVICE);
SAME_CODE(ERR_NONDETERMINISM);
SAME_CODE(ERR_CLOSED);
SAME_CODE(ERR_FAILED);

int argosy_error_set(struct argosy_error *err, int code, const char *format, ...)
{
    if (err == NULL)
        return code;
    /* format's arguments may point into err. */
    char text[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_set(error_inside(err), code, "%s", text);
}

const char *argosy_error_text(int code)
{
    return error_text(code);
}
