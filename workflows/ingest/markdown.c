/* SPDX-License-Identifier: Apache-2.0 */
/* markdown: see markdown.h. */
#include "workflows/ingest/markdown.h"

#include <string.h>

/* A line without its up to three spaces of indentation, its line end and white space before it. */
struct line {
    const char *text;
    size_t size;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct line line_of(const char *text, size_t size)
{
    for (int indent = 0; indent < 3 && size > 0 && *text == ' '; indent++) {
        text++;
        size--;
    }
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    return (struct line){text, size};
}

static size_t run_of(const struct line *line, char c)
{
    size_t run = 0;
    while (run < line->size && line->text[run] == c)
        run++;
    return run;
}

/* Whether the line opens or closes fenced code, or is part of it. */
static bool fence_takes(struct markdown *markdown, const struct line *line)
{
    if (markdown->fence != 0) {
        size_t run = run_of(line, markdown->fence);
        if (run >= markdown->fence_size && run == line->size)
            markdown->fence = 0;
        return true;
    }
    char mark = line->size > 0 ? line->text[0] : 0;
    size_t run = mark == '`' || mark == '~' ? run_of(line, mark) : 0;
    if (run < 3 || (mark == '`' && memchr(line->text + run, '`', line->size - run) != NULL))
        return false;
    markdown->fence = mark;
    markdown->fence_size = run;
    return true;
}

/* Whether the line is a heading; leaves its words. */
static bool heading_take(struct line *line)
{
    size_t level = run_of(line, '#');
    if (level == 0 || level > 6 || level >= line->size || !is_blank(line->text[level]))
        return false;
    while (level < line->size && is_blank(line->text[level]))
        level++;
    line->text += level;
    line->size -= level;
    /* "# words #" */
    size_t size = line->size;
    while (size > 0 && line->text[size - 1] == '#')
        size--;
    if (size > 0 && size < line->size && is_blank(line->text[size - 1]))
        while (size > 0 && is_blank(line->text[size - 1]))
            size--;
    else
        size = line->size;
    line->size = size;
    return line->size > 0;
}

static int line_read(struct markdown *markdown, const char *text, size_t size,
                     const struct document_sink *sink, struct error *err)
{
    struct line line = line_of(text, size);
    if (fence_takes(markdown, &line) || !heading_take(&line))
        return 0;
    return sink->heading(sink->context, markdown->offset, line.text, line.size, err);
}

int markdown_headings(struct markdown *markdown, const char *text, size_t size, bool is_end,
                      const struct document_sink *sink, size_t *ret_size, struct error *err)
{
    size_t at = 0;
    while (at < size) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - text) - at + 1 : size - at;
        bool is_whole = end != NULL || is_end;
        if (!is_whole && !markdown->is_in_line && length <= DOCUMENT_HEADING_MAX)
            break;
        if (is_whole && !markdown->is_in_line && length <= DOCUMENT_HEADING_MAX) {
            int code = line_read(markdown, text + at, length, sink, err);
            if (code != 0)
                return code;
        }
        markdown->is_in_line = end == NULL;
        at += length;
        markdown->offset += length;
    }
    *ret_size = at;
    return 0;
}
