/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_html: see document_html.h. Bytes -> decoder -> libxml2's push parser -> the handlers
 * below, which write text and, between texts, the widest gap that the elements asked for.
 */
#include "workflows/ingest/document_html.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxml/HTMLparser.h>

#include "common/utf8.h"
#include "workflows/ingest/text_decoder.h"

/* One read and one call of the parser. */
#define PIECE_SIZE ((size_t)16 * 1024)
/* Words in one tag. libxml2 compares every attribute with all before it: 20,000 take half a second,
 * a hundred times as many an hour. */
#define TAG_WORDS_MAX 20000
/* Text is handed over in pieces of about this size. */
#define TEXT_SIZE ((size_t)64 * 1024)

/* What stands between two texts, the wider the larger. */
enum gap { GAP_NONE, GAP_SPACE, GAP_LINE, GAP_PARAGRAPH };

enum element_kind {
    ELEMENT_INLINE = 0,
    ELEMENT_CELL,
    ELEMENT_LINE,
    ELEMENT_BLOCK,
    ELEMENT_PRE,
    ELEMENT_HEADING,
    ELEMENT_HIDDEN,
};

static const struct element {
    const char *name;
    enum element_kind kind;
} elements[] = {
    {"address", ELEMENT_BLOCK},   {"article", ELEMENT_BLOCK},    {"aside", ELEMENT_BLOCK},
    {"audio", ELEMENT_HIDDEN},    {"blockquote", ELEMENT_BLOCK}, {"body", ELEMENT_BLOCK},
    {"br", ELEMENT_LINE},         {"canvas", ELEMENT_HIDDEN},    {"caption", ELEMENT_BLOCK},
    {"dd", ELEMENT_LINE},         {"details", ELEMENT_BLOCK},    {"dialog", ELEMENT_BLOCK},
    {"div", ELEMENT_BLOCK},       {"dl", ELEMENT_BLOCK},         {"dt", ELEMENT_LINE},
    {"fieldset", ELEMENT_BLOCK},  {"figcaption", ELEMENT_BLOCK}, {"figure", ELEMENT_BLOCK},
    {"footer", ELEMENT_BLOCK},    {"form", ELEMENT_BLOCK},       {"h1", ELEMENT_HEADING},
    {"h2", ELEMENT_HEADING},      {"h3", ELEMENT_HEADING},       {"h4", ELEMENT_HEADING},
    {"h5", ELEMENT_HEADING},      {"h6", ELEMENT_HEADING},       {"head", ELEMENT_BLOCK},
    {"header", ELEMENT_BLOCK},    {"hr", ELEMENT_BLOCK},         {"iframe", ELEMENT_HIDDEN},
    {"legend", ELEMENT_BLOCK},    {"li", ELEMENT_LINE},          {"main", ELEMENT_BLOCK},
    {"nav", ELEMENT_BLOCK},       {"noscript", ELEMENT_HIDDEN},  {"object", ELEMENT_HIDDEN},
    {"ol", ELEMENT_BLOCK},        {"option", ELEMENT_LINE},      {"p", ELEMENT_BLOCK},
    {"pre", ELEMENT_PRE},         {"script", ELEMENT_HIDDEN},    {"section", ELEMENT_BLOCK},
    {"style", ELEMENT_HIDDEN},    {"summary", ELEMENT_BLOCK},    {"svg", ELEMENT_HIDDEN},
    {"table", ELEMENT_BLOCK},     {"td", ELEMENT_CELL},          {"template", ELEMENT_HIDDEN},
    {"textarea", ELEMENT_HIDDEN}, {"th", ELEMENT_CELL},          {"title", ELEMENT_HEADING},
    {"tr", ELEMENT_LINE},         {"ul", ELEMENT_BLOCK},         {"video", ELEMENT_HIDDEN},
};

struct page {
    const struct document_sink *sink;
    htmlParserCtxtPtr parser;
    struct error *err;
    int code; /* of what ended the parse early */

    /* the tag being fed to the parser */
    bool is_in_tag;
    char last; /* character fed */
    unsigned tag_words;

    /* the text that is not handed over yet, and where it begins in all of it */
    struct buffer text;
    uint64_t offset;
    enum gap gap;   /* before the next text */
    bool has_text;  /* there is a text before the gap */
    bool is_opened; /* a heading was opened since the last text */

    /* where the parse stands */
    unsigned depth;        /* open elements */
    unsigned hidden_depth; /* of them, from the outermost hidden one on */
    unsigned pre_depth;    /* open <pre> */
    unsigned heading_depth;
    uint64_t heading_offset; /* of the outermost open heading's first character */
};

static int element_compare(const void *name, const void *element)
{
    return strcasecmp(name, ((const struct element *)element)->name);
}

static enum element_kind element_kind_of(const xmlChar *name)
{
    const struct element *found = bsearch(name, elements, sizeof elements / sizeof elements[0],
                                          sizeof elements[0], element_compare);
    return found != NULL ? found->kind : ELEMENT_INLINE;
}

/* ---- text ---- */

static void page_stop(struct page *page, int code)
{
    if (page->code != 0)
        return;
    page->code = code;
    xmlStopParser(page->parser);
}

/* Hands over what there is, at its size or at the end; an open heading holds its text back, so that
 * it is told before. */
static void text_hand_over(struct page *page, bool is_end)
{
    size_t size = page->text.size;
    bool is_due = size >= TEXT_SIZE && (page->heading_depth == 0 || size >= 2 * TEXT_SIZE);
    if (page->code != 0 || size == 0 || (!is_end && !is_due))
        return;
    int code = 0;
    if (page->text.failed)
        code = error_set(page->err, ERR_MEMORY, "out of memory");
    else if (page->offset + size > DOCUMENT_SIZE_MAX)
        code = error_set(page->err, ERR_RANGE, "the document has more than %llu bytes of text",
                         (unsigned long long)DOCUMENT_SIZE_MAX);
    else
        code =
            page->sink->text(page->sink->context, (const char *)page->text.data, size, page->err);
    page->offset += size;
    buffer_clear(&page->text);
    if (code != 0)
        page_stop(page, code);
}

static void gap_widen(struct page *page, enum gap gap)
{
    if (gap > page->gap)
        page->gap = gap;
}

/* Writes the gap, since a text follows. */
static void gap_write(struct page *page)
{
    static const char *const gaps[] = {"", " ", "\n", "\n\n"};
    if (page->has_text)
        buffer_append_text(&page->text, gaps[page->gap]);
    page->gap = GAP_NONE;
    page->has_text = true;
    if (page->is_opened)
        page->heading_offset = page->offset + page->text.size;
    page->is_opened = false;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Words with one space between them. */
static void words_write(struct page *page, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        if (is_white(text[at])) {
            gap_widen(page, GAP_SPACE);
            at++;
            continue;
        }
        size_t start = at;
        while (at < size && !is_white(text[at]))
            at++;
        gap_write(page);
        buffer_append(&page->text, text + start, at - start);
    }
}

static void on_characters(void *context, const xmlChar *text, int size)
{
    struct page *page = context;
    if (page->code != 0 || page->hidden_depth > 0 || size <= 0)
        return;
    if (page->pre_depth > 0) {
        gap_write(page);
        buffer_append(&page->text, text, (size_t)size);
    } else {
        words_write(page, (const char *)text, (size_t)size);
    }
    text_hand_over(page, false);
}

/* ---- elements ---- */

static void heading_open(struct page *page)
{
    gap_widen(page, GAP_PARAGRAPH);
    if (page->heading_depth++ == 0) {
        page->is_opened = true;
        page->heading_offset = 0;
    }
}

static void heading_close(struct page *page)
{
    if (page->heading_depth == 0 || --page->heading_depth > 0)
        return;
    gap_widen(page, GAP_PARAGRAPH);
    bool is_empty = page->is_opened;
    page->is_opened = false;
    if (is_empty || page->heading_offset < page->offset || page->sink->heading == NULL ||
        page->code != 0 || page->text.failed)
        return;
    size_t start = (size_t)(page->heading_offset - page->offset);
    size_t size = page->text.size - start;
    if (size > DOCUMENT_HEADING_MAX)
        return;
    int code = page->sink->heading(page->sink->context, page->heading_offset,
                                   (const char *)page->text.data + start, size, page->err);
    if (code != 0)
        page_stop(page, code);
}

static void element_open(struct page *page, enum element_kind kind)
{
    switch (kind) {
    case ELEMENT_INLINE:
    case ELEMENT_HIDDEN:
        return;
    case ELEMENT_CELL:
        gap_widen(page, GAP_SPACE);
        return;
    case ELEMENT_LINE:
        gap_widen(page, GAP_LINE);
        return;
    case ELEMENT_BLOCK:
        gap_widen(page, GAP_PARAGRAPH);
        return;
    case ELEMENT_PRE:
        gap_widen(page, GAP_PARAGRAPH);
        page->pre_depth++;
        return;
    case ELEMENT_HEADING:
        heading_open(page);
        return;
    }
}

static void on_start(void *context, const xmlChar *name, const xmlChar **attributes)
{
    (void)attributes;
    struct page *page = context;
    if (page->code != 0)
        return;
    if (++page->depth > DOCUMENT_HTML_DEPTH_MAX) {
        page_stop(page, error_set(page->err, ERR_RANGE,
                                  "elements are nested deeper than %d: not a page for readers",
                                  DOCUMENT_HTML_DEPTH_MAX));
        return;
    }
    enum element_kind kind = element_kind_of(name);
    if (page->hidden_depth > 0 || kind == ELEMENT_HIDDEN)
        page->hidden_depth++;
    else
        element_open(page, kind);
}

static void on_end(void *context, const xmlChar *name)
{
    struct page *page = context;
    if (page->code != 0 || page->depth == 0)
        return;
    page->depth--;
    if (page->hidden_depth > 0) {
        page->hidden_depth--;
        return;
    }
    enum element_kind kind = element_kind_of(name);
    if (kind == ELEMENT_HEADING) {
        heading_close(page);
        return;
    }
    if (kind == ELEMENT_PRE && page->pre_depth > 0)
        page->pre_depth--;
    if (kind == ELEMENT_BLOCK || kind == ELEMENT_PRE)
        gap_widen(page, GAP_PARAGRAPH);
}

/* ---- encoding ---- */

static ssize_t piece_read(int fd, char *piece, uint64_t offset, struct error *err)
{
    ssize_t count;
    do
        count = pread(fd, piece, PIECE_SIZE, (off_t)offset);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return error_set_errno(err, ERR_IO, errno, "could not read the document");
    return count;
}

static bool is_label_char(char c)
{
    return isalnum((unsigned char)c) || strchr("-_.:+", c) != NULL;
}

/* What a <meta> of the head says behind "charset=". False: nothing. */
static bool charset_find(const char *head, size_t size, char ret_label[64])
{
    static const char key[] = "charset=";
    const size_t key_size = sizeof key - 1;
    bool in_meta = false;
    for (size_t at = 0; at + key_size < size; at++) {
        if (head[at] == '<')
            in_meta = size - at > 5 && strncasecmp(head + at, "<meta", 5) == 0;
        if (!in_meta || strncasecmp(head + at, key, key_size) != 0)
            continue;
        at += key_size;
        if (head[at] == '"' || head[at] == '\'')
            at++;
        size_t length = 0;
        while (at < size && length < 63 && head[at] != '\0' && is_label_char(head[at]))
            ret_label[length++] = head[at++];
        ret_label[length] = '\0';
        return length > 0;
    }
    return false;
}

/* Names under which the web means something wider than they say. */
static const char *encoding_of_label(const char *label)
{
    static const char *const wider[][2] = {
        {"iso-8859-1", "CP1252"}, {"iso8859-1", "CP1252"}, {"latin1", "CP1252"},
        {"us-ascii", "CP1252"},   {"ascii", "CP1252"},     {"gb2312", "GBK"},
        {"utf8", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof wider / sizeof wider[0]; i++)
        if (strcasecmp(label, wider[i][0]) == 0)
            return wider[i][1];
    /* A page whose <meta> could be read as ASCII is not UTF-16, whatever it says. */
    return strncasecmp(label, "utf-16", 6) == 0 ? "UTF-8" : label;
}

/* Whether all of the file is UTF-8. */
static int is_utf8_file(int fd, char *piece, bool *ret_is_utf8, struct error *err)
{
    struct text_decoder decoder;
    int code = text_decoder_open(&decoder, "UTF-8", false, err);
    if (code != 0)
        return code;
    struct buffer out = {0};
    struct error wrong;
    *ret_is_utf8 = true;
    ssize_t count = 1;
    for (uint64_t offset = 0; *ret_is_utf8 && count > 0; offset += (uint64_t)count) {
        count = piece_read(fd, piece, offset, err);
        if (count > 0)
            *ret_is_utf8 =
                text_decoder_add(&decoder, piece, (size_t)count, &out, &wrong) != ERR_INVALID;
        buffer_clear(&out);
        if (count < 0)
            break;
    }
    if (*ret_is_utf8 && count == 0)
        *ret_is_utf8 = text_decoder_end(&decoder, &out, &wrong) == 0;
    buffer_fini(&out);
    text_decoder_close(&decoder);
    return count < 0 ? (int)count : 0;
}

/* Opens the decoder of the file's encoding; *ret_mark: bytes of the mark that says it. */
static int decoder_open(int fd, char *piece, struct text_decoder *ret_decoder, size_t *ret_mark,
                        struct error *err)
{
    ssize_t head = piece_read(fd, piece, 0, err);
    if (head < 0)
        return (int)head;
    char label[64];
    const char *encoding = text_encoding_by_mark(piece, (size_t)head, ret_mark);
    size_t head_size = head < DOCUMENT_HEAD_SIZE ? (size_t)head : DOCUMENT_HEAD_SIZE;
    if (encoding == NULL && charset_find(piece, head_size, label))
        encoding = encoding_of_label(label);
    if (encoding == NULL) {
        bool is_utf8;
        int code = is_utf8_file(fd, piece, &is_utf8, err);
        if (code != 0)
            return code;
        encoding = is_utf8 ? "UTF-8" : "CP1252";
    }
    return text_decoder_open(ret_decoder, encoding, true, err);
}

/* ---- parse ---- */

/* Stops at a tag of more words than the parser should meet. Quotes are not looked at: no harm where
 * a tag's end in them is taken for the tag's. */
static void tag_words_check(struct page *page, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (page->last == '<' && isalpha((unsigned char)c)) {
            page->is_in_tag = true;
            page->tag_words = 0;
        } else if (c == '>') {
            page->is_in_tag = false;
        }
        page->tag_words += page->is_in_tag && is_white(c);
        page->last = c;
    }
    if (page->tag_words > TAG_WORDS_MAX)
        page_stop(page, error_set(page->err, ERR_RANGE, "a tag has more than %d attributes",
                                  TAG_WORDS_MAX));
}

static void page_feed(struct page *page, struct buffer *text)
{
    if (page->code == 0 && text->failed)
        page_stop(page, error_set(page->err, ERR_MEMORY, "out of memory"));
    if (page->code == 0 && text->size > 0)
        tag_words_check(page, (const char *)text->data, text->size);
    if (page->code == 0 && text->size > 0)
        htmlParseChunk(page->parser, (const char *)text->data, (int)text->size, 0);
    buffer_clear(text);
}

static void page_parse(struct page *page, int fd, char *piece, struct text_decoder *decoder,
                       uint64_t offset)
{
    struct buffer text = {0};
    ssize_t count = 1;
    while (page->code == 0 && count > 0) {
        count = piece_read(fd, piece, offset, page->err);
        int code = count < 0   ? (int)count
                   : count > 0 ? text_decoder_add(decoder, piece, (size_t)count, &text, page->err)
                               : text_decoder_end(decoder, &text, page->err);
        if (code != 0)
            page_stop(page, code);
        page_feed(page, &text);
        offset += count > 0 ? (uint64_t)count : 0;
    }
    if (page->code == 0)
        htmlParseChunk(page->parser, "", 0, 1);
    text_hand_over(page, true);
    buffer_fini(&text);
}

static htmlParserCtxtPtr parser_create(struct page *page)
{
    htmlSAXHandler handlers = {
        .startElement = on_start,
        .endElement = on_end,
        .characters = on_characters,
        .ignorableWhitespace = on_characters,
    };
    htmlParserCtxtPtr parser =
        htmlCreatePushParserCtxt(&handlers, page, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
    if (parser != NULL)
        htmlCtxtUseOptions(parser, HTML_PARSE_IGNORE_ENC | HTML_PARSE_NONET | HTML_PARSE_NOERROR |
                                       HTML_PARSE_NOWARNING);
    return parser;
}

int document_html_load(int fd, const struct document_sink *sink, struct error *err)
{
    char *piece = malloc(PIECE_SIZE);
    if (piece == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    struct text_decoder decoder;
    size_t mark;
    int code = decoder_open(fd, piece, &decoder, &mark, err);
    if (code != 0) {
        free(piece);
        return code;
    }
    struct page page = {.sink = sink, .err = err};
    page.parser = parser_create(&page);
    if (page.parser == NULL)
        page.code = error_set(err, ERR_MEMORY, "out of memory");
    else
        page_parse(&page, fd, piece, &decoder, mark);
    if (page.parser != NULL) {
        xmlFreeDoc(page.parser->myDoc);
        htmlFreeParserCtxt(page.parser);
    }
    buffer_fini(&page.text);
    text_decoder_close(&decoder);
    free(piece);
    return page.code;
}
