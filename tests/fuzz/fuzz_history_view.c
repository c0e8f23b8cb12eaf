/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_history_view: whatever JSON stands where a history should, it is shown without a crash and
 * without a byte that could disturb a terminal. */
#include <stdlib.h>

#include "cli/history_steps.h"
#include "cli/history_view.h"
#include "common/assert.h"
#include "common/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *history = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
    if (history == NULL)
        return 0;
    char *text = NULL;
    size_t text_size = 0;
    FILE *file = open_memstream(&text, &text_size);
    ASSERT(file != NULL);
    for (int full = 0; full < 2; full++)
        ASSERT(history_print(history, full, file, NULL) == 0);
    fclose(file);
    ASSERT(utf8_is_valid(text, text_size));
    for (size_t i = 0; i < text_size; i++)
        ASSERT(text[i] == '\n' || (unsigned char)text[i] >= ' ');
    free(text);
    json_decref(history_steps(history));
    json_decref(history);
    return 0;
}
