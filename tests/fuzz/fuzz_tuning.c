/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tuning: the input is a file of measured products (kernels/cuda/tuning.h). What is taken is
 * within bounds, and writes and reads back as it is. */
#include <string.h>

#include "common/assert.h"
#include "kernels/cuda/tuning.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tuning_table table, again;
    static char text[TUNING_FILE_BYTES_MAX];
    char message[128] = "";

    if (tuning_parse((const char *)data, size, &table, message, sizeof message) < 0) {
        ASSERT(message[0] != '\0');
        return 0;
    }
    ASSERT(table.count <= TUNING_ENTRIES_MAX);
    for (uint32_t i = 0; i < table.count; i++) {
        const struct tuning_key *key = &table.entries[i].key;
        ASSERT(key->out_width >= 1 && key->out_width <= DEVICE_WIDTH_MAX);
        ASSERT(key->in_width >= 1 && key->in_width <= DEVICE_WIDTH_MAX);
        ASSERT((unsigned)key->precision <= DEVICE_BF16);
        ASSERT(memchr(key->device, '\0', sizeof key->device) != NULL);
        ASSERT(tuning_find(&table, key) != NULL);
    }
    size_t length = tuning_format(&table, text);
    ASSERT(length == size && memcmp(text, data, size) == 0);
    ASSERT(tuning_parse(text, length, &again, message, sizeof message) == 0);
    ASSERT(again.count == table.count);
    return 0;
}
