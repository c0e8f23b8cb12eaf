/* SPDX-License-Identifier: Apache-2.0 */
/* error: see error.h. */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/assert.h"

struct code_row {
    int code;
    const char *name;
    int grpc_status;
    enum disposition disposition;
    const char *text;
};

static const struct code_row code_rows[] = {{0, "OK", 0, DISPOSITION_NONE, "ok"},
#define ERROR_ROW(name, value, grpc, disposition, text) {value, #name, grpc, disposition, text},
                                            ERROR_CODES(ERROR_ROW)
#undef ERROR_ROW
};

#define CODE_ROW_COUNT (sizeof code_rows / sizeof code_rows[0])

static const struct code_row *find_row(int code)
{
    for (size_t i = 0; i < CODE_ROW_COUNT; i++) {
        if (code_rows[i].code == code)
            return &code_rows[i];
    }
    return find_row(ERR_INTERNAL);
}

static void mark_cut(char *text)
{
    memcpy(text + ERROR_TEXT_MAX - 4, "...", 4);
}

static void set_text(struct error *err, const char *format, va_list args)
{
    int length = vsnprintf(err->text, sizeof err->text, format, args);
    if (length >= (int)sizeof err->text)
        mark_cut(err->text);
}

int(error_set)(struct error *err, int code, const char *format, ...)
{
    ASSERT(code < 0);
    if (err == NULL)
        return code;
    err->code = code;
    va_list args;
    va_start(args, format);
    set_text(err, format, args);
    va_end(args);
    return code;
}

int(error_set_errno)(struct error *err, int code, int errnum, const char *format, ...)
{
    ASSERT(code < 0);
    if (err == NULL)
        return code;
    err->code = code;
    va_list args;
    va_start(args, format);
    set_text(err, format, args);
    va_end(args);
    size_t length = strlen(err->text);
    char reason[128];
    int written = snprintf(err->text + length, sizeof err->text - length, ": %s",
                           strerror_r(errnum, reason, sizeof reason));
    if (written >= (int)(sizeof err->text - length))
        mark_cut(err->text);
    return code;
}

int(error_prefix)(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return ERR_INTERNAL;
    ASSERT(err->code < 0);
    char rest[ERROR_TEXT_MAX];
    memcpy(rest, err->text, sizeof rest);
    va_list args;
    va_start(args, format);
    set_text(err, format, args);
    va_end(args);
    size_t length = strlen(err->text);
    int written = snprintf(err->text + length, sizeof err->text - length, ": %s", rest);
    if (written >= (int)(sizeof err->text - length))
        mark_cut(err->text);
    return err->code;
}

const char *error_name(int code)
{
    return find_row(code)->name;
}

const char *error_text(int code)
{
    return find_row(code)->text;
}

int error_grpc_status(int code)
{
    return find_row(code)->grpc_status;
}

enum disposition error_disposition(int code)
{
    return find_row(code)->disposition;
}

int error_from_grpc_status(int status)
{
    for (size_t i = 0; i < CODE_ROW_COUNT; i++) {
        if (code_rows[i].grpc_status == status)
            return code_rows[i].code;
    }
    return ERR_INTERNAL;
}
