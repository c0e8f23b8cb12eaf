/* SPDX-License-Identifier: Apache-2.0 */
/* uuid: see uuid.h. */
#include "common/uuid.h"

#include <sys/random.h>

#include "common/assert.h"

void uuid_format(const uint8_t entropy[16], char ret_text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *out = ret_text;
    for (int i = 0; i < 16; i++) {
        uint8_t byte = entropy[i];
        if (i == 6)
            byte = (uint8_t)((byte & 0x0f) | 0x40); /* version 4 */
        if (i == 8)
            byte = (uint8_t)((byte & 0x3f) | 0x80); /* variant 10 */
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 15];
    }
    *out = '\0';
}

void uuid_create(char ret_text[UUID_TEXT_SIZE])
{
    uint8_t entropy[16];
    /* 16 bytes are never cut short once the pool is initialised (getrandom(2)). */
    ASSERT(getrandom(entropy, sizeof entropy, 0) == (ssize_t)sizeof entropy);
    uuid_format(entropy, ret_text);
}
