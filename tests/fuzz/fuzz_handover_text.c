/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_handover_text: the input is a line that another supervisor left. What is taken is written as
 * a line that is taken for the same. */
#include <string.h>

#include "common/assert.h"
#include "supervisor/handover_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct handover_line line, again;
    struct error err = {0};
    struct buffer text = {0}, text_again = {0};
    if (handover_line_read((const char *)data, size, &line, &err) != 0)
        return 0;
    handover_line_print(&line, &text);
    ASSERT(!text.failed && text.data[text.size - 1] == '\n');
    if (memchr(text.data, '\n', text.size) == text.data + text.size - 1) { /* no text had one */
        ASSERT(handover_line_read((const char *)text.data, text.size - 1, &again, &err) == 0);
        handover_line_print(&again, &text_again);
        ASSERT(text.size == text_again.size && memcmp(text.data, text_again.data, text.size) == 0);
    }
    buffer_fini(&text);
    buffer_fini(&text_again);
    return 0;
}
