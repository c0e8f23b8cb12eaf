/* SPDX-License-Identifier: Apache-2.0 */
/* base64: see base64.h. */
#include "common/base64.h"

char *base64_encode(struct arena *arena, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (size > SIZE_MAX / 2)
        return NULL;
    char *text = arena_alloc(arena, (size + 2) / 3 * 4 + 1);
    if (text == NULL)
        return NULL;
    char *at = text;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)data[i + 2] : 0;
        *at++ = digits[bits >> 18];
        *at++ = digits[bits >> 12 & 63];
        *at++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *at++ = left > 2 ? digits[bits & 63] : '=';
    }
    *at = '\0';
    return text;
}

static int digit_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    if (digit == '+' || digit == '-')
        return 62;
    return digit == '/' || digit == '_' ? 63 : -1;
}

enum base64_result base64_decode(struct arena *arena, const char *text, size_t length,
                                 uint8_t **ret_data, size_t *ret_size)
{
    if (length % 4 == 0 && length > 0 && text[length - 1] == '=')
        length -= text[length - 2] == '=' ? 2 : 1;
    if (length % 4 == 1)
        return BASE64_MALFORMED;
    uint8_t *data = arena_alloc(arena, length / 4 * 3 + 3);
    if (data == NULL)
        return BASE64_NO_MEMORY;
    size_t size = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < length; i++) {
        int value = digit_value(text[i]);
        if (value < 0)
            return BASE64_MALFORMED;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 != 0) /* the second to fourth digit each complete a byte */
            data[size++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    *ret_data = data;
    *ret_size = size;
    return BASE64_OK;
}
