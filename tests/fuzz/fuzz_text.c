/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_text: any bytes are either refused by measuring and cleaning alike, or give a clean text:
 * UTF-8, empty exactly when blank, without doubled or outer spaces, and clean already. */
#include <string.h>

#include "common/assert.h"
#include "common/utf8.h"
#include "workflows/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text_measure measure;
    struct buffer once = {0}, twice = {0};
    int measured = text_measure((const char *)data, size, &measure, NULL);
    int cleaned = text_clean((const char *)data, size, &once, NULL);
    ASSERT(measured == cleaned);
    ASSERT((cleaned == 0) == utf8_is_valid(data, size));
    if (cleaned == 0) {
        const char *text = buffer_text(&once);
        ASSERT(measure.length <= size && measure.blank == (once.size == 0));
        ASSERT(utf8_is_valid(text, once.size));
        ASSERT(memmem(text, once.size, "  ", 2) == NULL);
        ASSERT(once.size == 0 || (text[0] != ' ' && text[once.size - 1] != ' '));
        ASSERT(text_clean(text, once.size, &twice, NULL) == 0);
        ASSERT(twice.size == once.size);
        ASSERT(once.size == 0 || memcmp(once.data, twice.data, once.size) == 0);
    }
    buffer_fini(&once);
    buffer_fini(&twice);
    return 0;
}
