/* SPDX-License-Identifier: Apache-2.0 */
/* markup: see markup.h. */
#include "workflows/evaluation/markup.h"

#include <stdint.h>
#include <string.h>

#include "common/utf8.h"

static const char *replacement_of(uint32_t point)
{
    switch (point) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\n':
    case '\t':
        return NULL;
    default:
        return point < ' ' || (point >= 0x7f && point < 0xa0) || point == 0xfffe || point == 0xffff
                   ? "\xef\xbf\xbd"
                   : NULL;
    }
}

void markup_text_cut(struct buffer *out, const char *text, size_t characters_max)
{
    size_t left = text != NULL ? strlen(text) : 0;
    for (size_t count = 0; left > 0; count++) {
        uint32_t point = 0;
        size_t length = utf8_decode(text, left, &point);
        const char *replacement = length > 0 ? replacement_of(point) : "\xef\xbf\xbd";
        if (count == characters_max) {
            buffer_append_text(out, "...");
            return;
        }
        if (length == 0)
            length = 1;
        if (replacement != NULL)
            buffer_append_text(out, replacement);
        else
            buffer_append(out, text, length);
        text += length;
        left -= length;
    }
}

void markup_text(struct buffer *out, const char *text)
{
    markup_text_cut(out, text, SIZE_MAX);
}
