/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: see text.h. One pass over the text; the only look-ahead is that of a capital sigma, over
 * characters that no other sigma looks over, so the work is linear in the text's size.
 */
#include "workflows/text.h"

#include <stdint.h>
#include <utf8proc.h>

#include "common/assert.h"

#define CAPITAL_SIGMA        0x3A3
#define SMALL_SIGMA          0x3C3
#define FINAL_SIGMA          0x3C2
#define CAPITAL_I_WITH_DOT   0x130 /* the one code point whose lower case is two: i and U+0307 */
#define COMBINING_DOT_ABOVE  0x307
#define UTF8_CODE_POINT_SIZE 4

struct code_point_range {
    int32_t first, last;
};

/* Bidirectional class B, S or WS, or category Zs: what str.split() splits at. */
static const struct code_point_range white_space[] = {
    {0x09, 0x0D},     {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
    {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
};

/* Unicode's Other_Lowercase and Other_Uppercase outside the categories that are case-ignorable:
 * cased by property, not by category. */
static const struct code_point_range cased_by_property[] = {
    {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2160, 0x217F},   {0x24B6, 0x24E9},
    {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189},
};

/* Word_Break = MidLetter, MidNumLet or Single_Quote: punctuation inside words, case-ignorable. */
static const struct code_point_range punctuation_in_words[] = {
    {0x27, 0x27},     {0x2E, 0x2E},     {0x3A, 0x3A},     {0xB7, 0xB7},
    {0x387, 0x387},   {0x55F, 0x55F},   {0x5F4, 0x5F4},   {0x2018, 0x2019},
    {0x2024, 0x2024}, {0x2027, 0x2027}, {0xFE13, 0xFE13}, {0xFE52, 0xFE52},
    {0xFE55, 0xFE55}, {0xFF07, 0xFF07}, {0xFF0E, 0xFF0E}, {0xFF1A, 0xFF1A},
};

#define IS_IN(table, code_point) ranges_have(table, sizeof(table) / sizeof((table)[0]), code_point)

static bool ranges_have(const struct code_point_range *ranges, size_t count, int32_t code_point)
{
    for (size_t i = 0; i < count && ranges[i].first <= code_point; i++)
        if (code_point <= ranges[i].last)
            return true;
    return false;
}

static bool is_white_space(int32_t code_point)
{
    return IS_IN(white_space, code_point);
}

/* Neither white space nor kept: the control and format characters. */
static bool is_dropped(int32_t code_point)
{
    utf8proc_category_t category = utf8proc_category(code_point);
    return (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF) &&
           !is_white_space(code_point);
}

static bool is_case_ignorable(int32_t code_point)
{
    switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return IS_IN(punctuation_in_words, code_point);
    }
}

static bool is_cased(int32_t code_point)
{
    switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
        return true;
    default:
        return IS_IN(cased_by_property, code_point);
    }
}

/* Reads the code point at *offset and moves past it. */
static int code_point_next(const char *text, size_t size, size_t *offset, int32_t *ret_code_point,
                           struct error *err)
{
    ASSERT(*offset < size);
    size_t rest = size - *offset;
    utf8proc_ssize_t window =
        rest < UTF8_CODE_POINT_SIZE ? (utf8proc_ssize_t)rest : UTF8_CODE_POINT_SIZE;
    int32_t code_point;
    utf8proc_ssize_t length =
        utf8proc_iterate((const uint8_t *)text + *offset, window, &code_point);
    if (length <= 0)
        return error_set(err, ERR_INVALID, "text is not valid UTF-8 at byte %zu", *offset);
    *offset += (size_t)length;
    *ret_code_point = code_point;
    return 0;
}

static void code_point_append(struct buffer *out, int32_t code_point)
{
    uint8_t *room = buffer_reserve(out, UTF8_CODE_POINT_SIZE);
    if (room != NULL)
        out->size += (size_t)utf8proc_encode_char(code_point, room);
}

/* Whether a cased character follows at offset, looking past case-ignorable and dropped ones. Bytes
 * that are not UTF-8 end the look; the caller meets them itself. */
static bool is_cased_next(const char *text, size_t size, size_t offset)
{
    int32_t code_point;
    while (offset < size && code_point_next(text, size, &offset, &code_point, NULL) == 0)
        if (!is_dropped(code_point) && !is_case_ignorable(code_point))
            return is_cased(code_point);
    return false;
}

int text_measure(const char *text, size_t size, struct text_measure *ret_measure, struct error *err)
{
    struct text_measure measure = {.length = 0, .blank = true};
    for (size_t offset = 0; offset < size; measure.length++) {
        int32_t code_point;
        int code = code_point_next(text, size, &offset, &code_point, err);
        if (code != 0)
            return code;
        if (!is_white_space(code_point) && !is_dropped(code_point))
            measure.blank = false;
    }
    *ret_measure = measure;
    return 0;
}

int text_clean(const char *text, size_t size, struct buffer *out, struct error *err)
{
    size_t start = out->size;
    bool space_pending = false;
    bool cased_before = false; /* the last kept character that is not case-ignorable is cased */
    for (size_t offset = 0; offset < size;) {
        int32_t code_point;
        int code = code_point_next(text, size, &offset, &code_point, err);
        if (code != 0) {
            out->size = start;
            return code;
        }
        if (is_white_space(code_point)) {
            space_pending = out->size > start;
            cased_before = false;
            continue;
        }
        if (is_dropped(code_point))
            continue;
        if (space_pending)
            buffer_append_byte(out, ' ');
        space_pending = false;
        if (code_point == CAPITAL_SIGMA) {
            bool final = cased_before && !is_cased_next(text, size, offset);
            code_point_append(out, final ? FINAL_SIGMA : SMALL_SIGMA);
        } else if (code_point == CAPITAL_I_WITH_DOT) {
            code_point_append(out, 'i');
            code_point_append(out, COMBINING_DOT_ABOVE);
        } else {
            code_point_append(out, utf8proc_tolower(code_point));
        }
        if (!is_case_ignorable(code_point))
            cased_before = is_cased(code_point);
    }
    if (out->failed) {
        out->size = start;
        return error_set(err, ERR_MEMORY, "could not clean a text of %zu bytes: out of memory",
                         size);
    }
    return 0;
}
