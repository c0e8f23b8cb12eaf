/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_text: see document_text.h. Bytes -> decoder -> text, with the headings of Markdown found
 * on the way; PDF's bytes come from pdftotext; HTML goes its own way (document_html.c).
 */
#include "workflows/ingest/document_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workflows/ingest/document_html.h"
#include "workflows/ingest/document_pdf.h"
#include "workflows/ingest/markdown.h"
#include "workflows/ingest/text_decoder.h"

/* One read: a system call per 64 KiB is nothing beside what is done with them. */
#define PIECE_SIZE ((size_t)64 * 1024)

#define KNOWN_TYPES "text, Markdown, HTML, PDF"

/* ---- types ---- */

static const struct {
    const char *name;
    enum document_type type;
} type_names[] = {
    {"text/plain", DOCUMENT_PLAIN},
    {"text/markdown", DOCUMENT_MARKDOWN},
    {"text/html", DOCUMENT_HTML},
    {"application/xhtml+xml", DOCUMENT_HTML},
    {"application/pdf", DOCUMENT_PDF},
    {"text", DOCUMENT_PLAIN},
    {"txt", DOCUMENT_PLAIN},
    {"markdown", DOCUMENT_MARKDOWN},
    {"md", DOCUMENT_MARKDOWN},
    {"html", DOCUMENT_HTML},
    {"htm", DOCUMENT_HTML},
    {"xhtml", DOCUMENT_HTML},
    {"pdf", DOCUMENT_PDF},
};

#define TYPE_NAME_COUNT (sizeof type_names / sizeof type_names[0])

const char *document_type_name(enum document_type type)
{
    size_t i = 0;
    while (type_names[i].type != type)
        i++;
    return type_names[i].name;
}

static bool type_by_name(const char *name, enum document_type *ret_type)
{
    for (size_t i = 0; i < TYPE_NAME_COUNT; i++) {
        if (strcasecmp(name, type_names[i].name) != 0)
            continue;
        *ret_type = type_names[i].type;
        return true;
    }
    return false;
}

static bool type_by_head(const char *head, size_t size, enum document_type *ret_type)
{
    size_t mark;
    text_encoding_by_mark(head, size, &mark);
    head += mark;
    size -= mark;
    while (size > 0 && strchr(" \t\r\n", *head) != NULL && *head != '\0') {
        head++;
        size--;
    }
    static const struct {
        const char *start;
        enum document_type type;
    } starts[] = {
        {"%PDF-", DOCUMENT_PDF},
        {"<!doctype html", DOCUMENT_HTML},
        {"<html", DOCUMENT_HTML},
    };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        size_t length = strlen(starts[i].start);
        if (size < length || strncasecmp(head, starts[i].start, length) != 0)
            continue;
        *ret_type = starts[i].type;
        return true;
    }
    return false;
}

/* Whether the head decodes as plain text would. */
static bool is_text(const char *head, size_t size)
{
    size_t mark;
    const char *encoding = text_encoding_by_mark(head, size, &mark);
    struct text_decoder decoder;
    if (text_decoder_open(&decoder, encoding != NULL ? encoding : "UTF-8", false, NULL) != 0)
        return false;
    struct buffer out = {0};
    bool is_valid = text_decoder_add(&decoder, head + mark, size - mark, &out, NULL) == 0;
    buffer_fini(&out);
    text_decoder_close(&decoder);
    return is_valid;
}

int document_type_find(const char *type, const char *name, const char *head, size_t head_size,
                       enum document_type *ret_type, struct error *err)
{
    if (type != NULL)
        return type_by_name(type, ret_type)
                   ? 0
                   : error_set(err, ERR_UNSUPPORTED,
                               "a document of type \"%.64s\" cannot be read: " KNOWN_TYPES " can",
                               type);
    if (type_by_head(head, head_size, ret_type))
        return 0;
    const char *dot = name != NULL ? strrchr(name, '.') : NULL;
    if (dot != NULL && type_by_name(dot + 1, ret_type))
        return 0;
    if (!is_text(head, head_size))
        return error_set(err, ERR_UNSUPPORTED,
                         "neither name nor content is of a type that can be "
                         "read: " KNOWN_TYPES);
    *ret_type = DOCUMENT_PLAIN;
    return 0;
}

/* ---- text ---- */

struct loading {
    const struct document_sink *sink;
    struct text_decoder decoder;
    struct markdown markdown;
    bool is_markdown;
    struct buffer text;
    uint64_t size; /* of the text so far */
};

/* Hands over what was decoded; at the end also a line that is not ended. */
static int text_hand_over(struct loading *loading, bool is_end, struct error *err)
{
    size_t size = loading->text.size;
    if (loading->is_markdown) {
        int code = markdown_headings(&loading->markdown, (const char *)loading->text.data, size,
                                     is_end, loading->sink, &size, err);
        if (code != 0)
            return code;
    }
    if (size == 0)
        return 0;
    loading->size += size;
    if (loading->size > DOCUMENT_SIZE_MAX)
        return error_set(err, ERR_RANGE, "the document has more than %llu bytes of text",
                         (unsigned long long)DOCUMENT_SIZE_MAX);
    int code =
        loading->sink->text(loading->sink->context, (const char *)loading->text.data, size, err);
    loading->text.size -= size;
    memmove(loading->text.data, loading->text.data + size, loading->text.size);
    return code;
}

static int bytes_take(void *context, const char *data, size_t size, struct error *err)
{
    struct loading *loading = context;
    int code = text_decoder_add(&loading->decoder, data, size, &loading->text, err);
    return code == 0 ? text_hand_over(loading, false, err) : code;
}

static int file_size_check(int fd, uint64_t *ret_size, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not read the document");
    if ((uint64_t)st.st_size > DOCUMENT_SIZE_MAX)
        return error_set(err, ERR_RANGE, "the document has %lld bytes; at most %llu can be read",
                         (long long)st.st_size, (unsigned long long)DOCUMENT_SIZE_MAX);
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

/* Hands the file's bytes from offset on to take. */
static int file_take(int fd, uint64_t offset, struct loading *loading, struct error *err)
{
    char *piece = malloc(PIECE_SIZE);
    if (piece == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = 0;
    while (code == 0) {
        ssize_t count = pread(fd, piece, PIECE_SIZE, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            code = error_set_errno(err, ERR_IO, errno, "could not read the document");
        if (count <= 0)
            break;
        code = bytes_take(loading, piece, (size_t)count, err);
        offset += (uint64_t)count;
    }
    free(piece);
    return code;
}

static int text_load(int fd, enum document_type type, const struct document_sink *sink,
                     struct error *err)
{
    char head[4] = {0};
    ssize_t head_size = pread(fd, head, sizeof head, 0);
    if (head_size < 0)
        return error_set_errno(err, ERR_IO, errno, "could not read the document");
    size_t mark = 0;
    const char *encoding =
        type == DOCUMENT_PDF ? NULL : text_encoding_by_mark(head, (size_t)head_size, &mark);
    struct loading loading = {
        .sink = sink,
        .is_markdown = type == DOCUMENT_MARKDOWN && sink->heading != NULL,
    };
    int code =
        text_decoder_open(&loading.decoder, encoding != NULL ? encoding : "UTF-8", false, err);
    if (code != 0)
        return code;
    code = type == DOCUMENT_PDF ? document_pdf_read(fd, bytes_take, &loading, err)
                                : file_take(fd, mark, &loading, err);
    if (code == 0)
        code = text_decoder_end(&loading.decoder, &loading.text, err);
    if (code == 0)
        code = text_hand_over(&loading, true, err);
    text_decoder_close(&loading.decoder);
    buffer_fini(&loading.text);
    return code;
}

int document_text_load(int fd, enum document_type type, const struct document_sink *sink,
                       struct error *err)
{
    uint64_t size;
    int code = file_size_check(fd, &size, err);
    if (code != 0)
        return code;
    return type == DOCUMENT_HTML ? document_html_load(fd, sink, err)
                                 : text_load(fd, type, sink, err);
}
