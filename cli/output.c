/* SPDX-License-Identifier: Apache-2.0 */
/* output: see output.h. */
#include "cli/output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <utf8proc.h>

#include "common/assert.h"
#include "common/clock.h"

void table_init(struct table *table, const char *const *heads)
{
    *table = (struct table){.heads = heads};
    while (heads[table->columns] != NULL)
        table->columns++;
    ASSERT(table->columns > 0 && table->columns <= TABLE_COLUMNS_MAX);
    arena_init(&table->arena, ARENA_NO_LIMIT);
}

void table_fini(struct table *table)
{
    arena_fini(&table->arena);
    free(table->cells);
    *table = (struct table){0};
}

void table_add(struct table *table, ...)
{
    if (table->rows == table->rows_max) {
        size_t rows_max = table->rows_max != 0 ? table->rows_max * 2 : 64;
        const char **cells = realloc(table->cells, rows_max * table->columns * sizeof(*cells));
        if (cells == NULL) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->rows_max = rows_max;
    }
    struct buffer safe = {0};
    va_list texts;
    va_start(texts, table);
    for (size_t column = 0; column < table->columns; column++) {
        const char *text = va_arg(texts, const char *);
        buffer_clear(&safe);
        output_safe(text != NULL ? text : "-", text != NULL ? strlen(text) : 1, &safe);
        const char *cell = arena_strdup(&table->arena, buffer_text(&safe));
        table->failed = table->failed || cell == NULL || safe.failed;
        table->cells[table->rows * table->columns + column] = cell != NULL ? cell : "";
    }
    va_end(texts);
    buffer_fini(&safe);
    table->rows++;
}

static void row_print(const struct table *table, const char *const *cells, const size_t *widths,
                      FILE *out)
{
    for (size_t column = 0; column + 1 < table->columns; column++) {
        size_t width = output_width(cells[column]);
        fprintf(out, "%s%*s", cells[column], (int)(widths[column] - width + 2), "");
    }
    fprintf(out, "%s\n", cells[table->columns - 1]);
}

int table_print(const struct table *table, FILE *out, struct error *err)
{
    if (table->failed)
        return error_set(err, ERR_MEMORY, "could not print the table: out of memory");
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t column = 0; column < table->columns; column++) {
        widths[column] = output_width(table->heads[column]);
        for (size_t row = 0; row < table->rows; row++) {
            size_t width = output_width(table->cells[row * table->columns + column]);
            if (width > widths[column])
                widths[column] = width;
        }
    }
    row_print(table, table->heads, widths, out);
    for (size_t row = 0; row < table->rows; row++)
        row_print(table, table->cells + row * table->columns, widths, out);
    return 0;
}

void output_safe(const char *text, size_t size, struct buffer *out)
{
    for (size_t offset = 0; offset < size;) {
        int32_t code_point;
        size_t rest = size - offset;
        utf8proc_ssize_t length = utf8proc_iterate(
            (const uint8_t *)text + offset, rest < 4 ? (utf8proc_ssize_t)rest : 4, &code_point);
        bool printable = length > 0;
        if (printable) {
            utf8proc_category_t category = utf8proc_category(code_point);
            /* Format characters too: they can reverse or hide what stands beside them. */
            printable = category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_CF &&
                        category != UTF8PROC_CATEGORY_ZL && category != UTF8PROC_CATEGORY_ZP;
        }
        size_t taken = length > 0 ? (size_t)length : 1;
        if (printable)
            buffer_append(out, text + offset, taken);
        else if (length > 0 && code_point == '\n')
            buffer_append_text(out, "\\n");
        else if (length > 0 && code_point == '\t')
            buffer_append_text(out, "\\t");
        else if (length > 0 && code_point > 0xFF)
            buffer_printf(out, "\\u{%" PRIX32 "}", (uint32_t)code_point);
        else
            buffer_printf(out, "\\x%02x", (uint8_t)text[offset]);
        offset += taken;
    }
}

/* The columns of the character at text, and its bytes in *ret_length; a byte that is not UTF-8
 * takes one. */
static size_t character_width(const char *text, size_t size, size_t *ret_length)
{
    int32_t code_point;
    utf8proc_ssize_t length =
        utf8proc_iterate((const uint8_t *)text, size < 4 ? (utf8proc_ssize_t)size : 4, &code_point);
    *ret_length = length > 0 ? (size_t)length : 1;
    return length > 0 ? (size_t)utf8proc_charwidth(code_point) : 1;
}

static size_t text_width(const char *text, size_t size)
{
    size_t width = 0, length;
    for (size_t offset = 0; offset < size; offset += length)
        width += character_width(text + offset, size - offset, &length);
    return width;
}

size_t output_width(const char *text)
{
    return text_width(text, strlen(text));
}

void output_cut(struct buffer *text, size_t width)
{
    static const char mark[] = "...";
    if (text_width((const char *)text->data, text->size) <= width)
        return;
    size_t used = sizeof(mark) - 1, offset = 0, length;
    for (;; offset += length) {
        used += character_width((const char *)text->data + offset, text->size - offset, &length);
        if (used > width)
            break;
    }
    text->size = offset;
    buffer_append_text(text, mark);
}

int output_json(json_t *value, struct error *err)
{
    char *text = value != NULL ? json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "could not print the result: out of memory");
    puts(text);
    free(text);
    return 0;
}

const char *output_time(int64_t utc_us, char text[OUTPUT_TIME_SIZE])
{
    time_t seconds = (time_t)(utc_us / US_PER_S);
    struct tm local;
    if (utc_us == 0 || localtime_r(&seconds, &local) == NULL ||
        strftime(text, OUTPUT_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &local) == 0)
        return strcpy(text, "-");
    return text;
}

const char *output_duration(int64_t duration_us, char text[OUTPUT_TIME_SIZE])
{
    int64_t seconds = duration_us / US_PER_S;
    if (duration_us < US_PER_S)
        snprintf(text, OUTPUT_TIME_SIZE, "%" PRId64 "ms", duration_us / US_PER_MS);
    else if (seconds < 60)
        snprintf(text, OUTPUT_TIME_SIZE, "%" PRId64 ".%02" PRId64 "s", seconds,
                 duration_us % US_PER_S / 10000);
    else if (seconds < 3600)
        snprintf(text, OUTPUT_TIME_SIZE, "%" PRId64 "m%02" PRId64 "s", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        snprintf(text, OUTPUT_TIME_SIZE, "%" PRId64 "h%02" PRId64 "m", seconds / 3600,
                 seconds / 60 % 60);
    else
        snprintf(text, OUTPUT_TIME_SIZE, "%" PRId64 "d%02" PRId64 "h", seconds / 86400,
                 seconds / 3600 % 24);
    return text;
}

const char *output_bytes(double bytes, char text[OUTPUT_BYTES_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        bytes /= 1024;
    snprintf(text, OUTPUT_BYTES_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}
