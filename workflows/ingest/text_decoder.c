/* SPDX-License-Identifier: Apache-2.0 */
/* text_decoder: see text_decoder.h. */
#include "workflows/ingest/text_decoder.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/utf8.h"

#define NO_CONVERTER ((iconv_t)-1)
#define REPLACEMENT  "\xef\xbf\xbd"

static bool is_encoding_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.:+";
    size_t length = strlen(name);
    return length > 0 && length < 64 && strspn(name, allowed) == length;
}

int text_decoder_open(struct text_decoder *decoder, const char *encoding, bool is_lenient,
                      struct error *err)
{
    iconv_t converter = NO_CONVERTER;
    if (strcasecmp(encoding, "UTF-8") != 0) {
        /* iconv takes options after a slash, which are none of a document's business. */
        converter = is_encoding_name(encoding) ? iconv_open("UTF-8", encoding) : NO_CONVERTER;
        if (converter == NO_CONVERTER)
            return error_set(err, ERR_UNSUPPORTED, "encoding \"%.64s\" is not known here",
                             encoding);
    }
    *decoder = (struct text_decoder){
        .converter = converter,
        .unit_size = strncasecmp(encoding, "UTF-16", 6) == 0 ? 2 : 1,
        .is_lenient = is_lenient,
    };
    return 0;
}

void text_decoder_close(struct text_decoder *decoder)
{
    if (decoder->converter != NO_CONVERTER)
        iconv_close(decoder->converter);
    decoder->converter = NO_CONVERTER;
}

/* A byte, of UTF-16 two, that stands for nothing. */
static int take_wrong(struct text_decoder *decoder, const char **data, size_t *size,
                      struct buffer *out, struct error *err)
{
    if (!decoder->is_lenient)
        return error_set(err, ERR_INVALID, "byte 0x%02x at offset %llu is not text",
                         (unsigned)(uint8_t) * *data, (unsigned long long)decoder->offset);
    size_t taken = *size < decoder->unit_size ? *size : decoder->unit_size;
    buffer_append_text(out, REPLACEMENT);
    *data += taken;
    *size -= taken;
    decoder->offset += taken;
    return 0;
}

/* How many bytes at data are whole characters other than NUL. */
static size_t utf8_run(const char *data, size_t size)
{
    size_t run = 0;
    while (run < size) {
        uint32_t point;
        size_t length = utf8_decode(data + run, size - run, &point);
        if (length == 0 || point == 0)
            break;
        run += length;
    }
    return run;
}

/* Whether size bytes, fewer than a character has, may be the beginning of one. */
static bool is_utf8_head(const char *data, size_t size)
{
    uint8_t lead = (uint8_t)data[0];
    size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1;
    if (lead > 0xf4 || size >= wanted)
        return false;
    for (size_t i = 1; i < size; i++)
        if (((uint8_t)data[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* Converts until input that is incomplete, or none is left; the rest stays at *data. */
static int utf8_convert(struct text_decoder *decoder, const char **data, size_t *size,
                        struct buffer *out, struct error *err)
{
    int code = 0;
    while (code == 0 && *size > 0) {
        size_t run = utf8_run(*data, *size);
        buffer_append(out, *data, run);
        *data += run;
        *size -= run;
        decoder->offset += run;
        if (*size == 0 || is_utf8_head(*data, *size))
            return 0;
        code = take_wrong(decoder, data, size, out, err);
    }
    return code;
}

static int iconv_convert(struct text_decoder *decoder, const char **data, size_t *size,
                         struct buffer *out, struct error *err)
{
    int code = 0;
    while (code == 0 && *size > 0) {
        /* Four bytes for each byte of input are always enough; iconv says so if not. */
        size_t room = *size * 4 + 16;
        char *at = (char *)buffer_reserve(out, room);
        if (at == NULL)
            return 0; /* out->failed tells */
        char *input = (char *)*data, *target = at;
        size_t before = *size;
        size_t result = iconv(decoder->converter, &input, size, &target, &room);
        *data = input;
        decoder->offset += before - *size;
        out->size += (size_t)(target - at);
        if (result != (size_t)-1 || errno == E2BIG)
            continue;
        if (errno == EINVAL)
            return 0;
        code = take_wrong(decoder, data, size, out, err);
    }
    return code;
}

static int convert(struct text_decoder *decoder, const char **data, size_t *size,
                   struct buffer *out, struct error *err)
{
    return decoder->converter == NO_CONVERTER ? utf8_convert(decoder, data, size, out, err)
                                              : iconv_convert(decoder, data, size, out, err);
}

/* A NUL that a converter wrote: U+0000 is a character of UTF-16 as of any encoding. */
static int nul_check(const struct text_decoder *decoder, struct buffer *out, size_t start,
                     struct error *err)
{
    char *nul;
    while (out->size > start &&
           (nul = memchr(out->data + start, '\0', out->size - start)) != NULL) {
        if (!decoder->is_lenient)
            return error_set(err, ERR_INVALID, "a NUL before offset %llu is not text",
                             (unsigned long long)decoder->offset);
        *nul = ' ';
        start = (size_t)((uint8_t *)nul - out->data) + 1;
    }
    return 0;
}

/* Completes the character in the tail with bytes from data, one by one. */
static int tail_convert(struct text_decoder *decoder, const char **data, size_t *size,
                        struct buffer *out, struct error *err)
{
    int code = 0;
    while (code == 0 && decoder->tail_size > 0 && *size > 0) {
        const char *tail = decoder->tail;
        if (decoder->tail_size == sizeof decoder->tail) {
            code = take_wrong(decoder, &tail, &decoder->tail_size, out, err);
        } else {
            decoder->tail[decoder->tail_size++] = *(*data)++;
            (*size)--;
        }
        if (code == 0)
            code = convert(decoder, &tail, &decoder->tail_size, out, err);
        memmove(decoder->tail, tail, decoder->tail_size);
    }
    return code;
}

int text_decoder_add(struct text_decoder *decoder, const char *data, size_t size,
                     struct buffer *out, struct error *err)
{
    size_t start = out->size;
    int code = tail_convert(decoder, &data, &size, out, err);
    if (code == 0)
        code = convert(decoder, &data, &size, out, err);
    if (code == 0 && out->failed)
        code = error_set(err, ERR_MEMORY, "out of memory");
    if (code == 0)
        code = nul_check(decoder, out, start, err);
    if (code != 0)
        return code;
    while (code == 0 && size > sizeof decoder->tail)
        code = take_wrong(decoder, &data, &size, out, err);
    if (code == 0 && size > 0) {
        memcpy(decoder->tail, data, size);
        decoder->tail_size = size;
    }
    return code;
}

int text_decoder_end(struct text_decoder *decoder, struct buffer *out, struct error *err)
{
    int code = 0;
    const char *tail = decoder->tail;
    while (code == 0 && decoder->tail_size > 0)
        code = take_wrong(decoder, &tail, &decoder->tail_size, out, err);
    if (code == 0 && out->failed)
        code = error_set(err, ERR_MEMORY, "out of memory");
    return code;
}

const char *text_encoding_by_mark(const char *head, size_t size, size_t *ret_mark_size)
{
    static const struct {
        const char *mark, *encoding;
        size_t size;
    } marks[] = {
        {"\xef\xbb\xbf", "UTF-8", 3},
        {"\xff\xfe", "UTF-16LE", 2},
        {"\xfe\xff", "UTF-16BE", 2},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (size < marks[i].size || memcmp(head, marks[i].mark, marks[i].size) != 0)
            continue;
        *ret_mark_size = marks[i].size;
        return marks[i].encoding;
    }
    *ret_mark_size = 0;
    return NULL;
}
