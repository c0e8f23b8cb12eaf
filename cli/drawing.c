/* SPDX-License-Identifier: Apache-2.0 */
/* drawing: see drawing.h. */
#include "cli/drawing.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <utf8proc.h>

#include "cli/output.h"

/* A terminal that does not tell. */
#define COLUMNS_DEFAULT 80

static bool is_utf8_locale(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale == (locale_t)0)
        return false;
    bool is_utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    freelocale(locale);
    return is_utf8;
}

void style_detect(FILE *out, struct style *ret_style)
{
    struct winsize size;
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    bool is_terminal = isatty(fileno(out)) == 1;
    *ret_style = (struct style){.is_utf8 = is_utf8_locale()};
    if (!is_terminal)
        return;
    ret_style->has_colour =
        (no_colour == NULL || no_colour[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
    ret_style->columns = COLUMNS_DEFAULT;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        ret_style->columns = size.ws_col;
}

void drawing_fini(struct drawing *drawing)
{
    buffer_fini(&drawing->text);
}

/* The last column is the mark's that something was cut; a line that fills it may wrap, too. */
static size_t room(const struct drawing *drawing)
{
    if (drawing->style->columns == 0)
        return SIZE_MAX;
    size_t end = drawing->style->columns - 1;
    return drawing->used < end ? end - drawing->used : 0;
}

static void tone_begin(struct drawing *drawing, enum tone tone)
{
    static const char *const codes[] = {
        [TONE_FAINT] = "\033[2m", [TONE_STRONG] = "\033[1m", [TONE_GOOD] = "\033[32m",
        [TONE_WARN] = "\033[33m", [TONE_BAD] = "\033[31m",
    };
    if (drawing->style->has_colour && tone != TONE_PLAIN)
        buffer_append_text(&drawing->text, codes[tone]);
}

static void tone_end(struct drawing *drawing, enum tone tone)
{
    if (drawing->style->has_colour && tone != TONE_PLAIN)
        buffer_append_text(&drawing->text, "\033[0m");
}

/* Appends the characters of safe UTF-8 that fit. */
static void put_fitting(struct drawing *drawing, const char *text, size_t size)
{
    size_t left = room(drawing);
    for (size_t offset = 0; offset < size;) {
        int32_t point;
        utf8proc_ssize_t length = utf8proc_iterate((const uint8_t *)text + offset,
                                                   (utf8proc_ssize_t)(size - offset), &point);
        if (length <= 0)
            return; /* not of output_safe */
        bool is_shown = drawing->style->is_utf8 || length == 1;
        size_t width = is_shown ? (size_t)utf8proc_charwidth(point) : 1;
        if (width > left) {
            drawing->is_cut = true;
            return;
        }
        if (is_shown)
            buffer_append(&drawing->text, text + offset, (size_t)length);
        else
            buffer_append_byte(&drawing->text, '?');
        offset += (size_t)length;
        left -= width;
        drawing->used += width;
    }
}

void drawing_put(struct drawing *drawing, enum tone tone, const char *text)
{
    struct buffer safe = {0};
    if (drawing->is_cut || text[0] == '\0')
        return;
    output_safe(text, strlen(text), &safe);
    drawing->text.failed = drawing->text.failed || safe.failed;
    tone_begin(drawing, tone);
    put_fitting(drawing, (const char *)safe.data, safe.size);
    tone_end(drawing, tone);
    buffer_fini(&safe);
}

void drawing_printf(struct drawing *drawing, enum tone tone, const char *format, ...)
{
    char text[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    drawing_put(drawing, tone, text);
}

void drawing_tab(struct drawing *drawing, size_t column)
{
    while (drawing->used < column && !drawing->is_cut)
        put_fitting(drawing, " ", 1);
}

void drawing_right(struct drawing *drawing, enum tone tone, const char *text, size_t column)
{
    size_t width = output_width(text);
    drawing_tab(drawing, column > width ? column - width : 0);
    drawing_put(drawing, tone, text);
}

void drawing_bar(struct drawing *drawing, enum tone tone, double share, size_t width)
{
    char text[128];
    size_t inner = width - 2 < sizeof text - 3 ? width - 2 : sizeof text - 3;
    double clamped = share > 0 ? (share < 1 ? share : 1) : 0;
    size_t filled = (size_t)(clamped * (double)inner);
    text[0] = '[';
    memset(text + 1, '#', filled);
    memset(text + 1 + filled, '.', inner - filled);
    strcpy(text + 1 + inner, "]");
    drawing_put(drawing, tone, text);
}

void drawing_curve(struct drawing *drawing, enum tone tone, const double *values, size_t count,
                   size_t width)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    const char *const *steps = drawing->style->is_utf8 ? blocks : letters;
    struct buffer curve = {0};
    double greatest = 0;
    size_t first = count > width ? count - width : 0;
    for (size_t i = first; i < count; i++)
        greatest = values[i] > greatest ? values[i] : greatest;
    for (size_t i = first; i < count; i++) {
        double share = greatest > 0 ? values[i] / greatest : 0;
        buffer_append_text(&curve, steps[(size_t)(share * 7)]);
    }
    drawing->text.failed = drawing->text.failed || curve.failed;
    drawing_put(drawing, tone, buffer_text(&curve));
    buffer_fini(&curve);
}

void drawing_end(struct drawing *drawing)
{
    if (drawing->is_cut)
        buffer_append_text(&drawing->text, drawing->style->is_utf8 ? "…" : "~");
    buffer_append_byte(&drawing->text, '\n');
    drawing->used = 0;
    drawing->is_cut = false;
    drawing->lines++;
}
