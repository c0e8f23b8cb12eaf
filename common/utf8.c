/* SPDX-License-Identifier: Apache-2.0 */
/* utf8: see utf8.h. */
#include "common/utf8.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed sequence at text that begins with a byte of 0x80 or more; 0 when it is
 * none. The second byte's range depends on the first (RFC 3629, section 4). */
static size_t sequence_length(const uint8_t *text, size_t size)
{
    uint8_t first = text[0];
    uint8_t second_min = 0x80;
    uint8_t second_max = 0xbf;
    size_t length;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        second_min = first == 0xe0 ? 0xa0 : 0x80;
        second_max = first == 0xed ? 0x9f : 0xbf;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        second_min = first == 0xf0 ? 0x90 : 0x80;
        second_max = first == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (size < length || text[1] < second_min || text[1] > second_max)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

bool utf8_is_valid(const void *data, size_t size)
{
    const uint8_t *text = data;
    size_t i = 0;
    while (i < size) {
        uint64_t eight;
        if (size - i >= sizeof eight) {
            memcpy(&eight, text + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t length = text[i] < 0x80 ? 1 : sequence_length(text + i, size - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t utf8_decode(const char *text, size_t size, uint32_t *ret_point)
{
    /* What the first byte holds besides the length, by length. */
    static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const uint8_t *bytes = (const uint8_t *)text;
    if (size == 0)
        return 0;
    size_t length = bytes[0] < 0x80 ? 1 : sequence_length(bytes, size);
    uint32_t point = bytes[0] & first_bits[length];
    for (size_t i = 1; i < length; i++)
        point = point << 6 | (bytes[i] & 0x3f);
    if (length > 0)
        *ret_point = point;
    return length;
}
