/* SPDX-License-Identifier: Apache-2.0 */
/* method: see method.h. */
#include "api/method.h"

#include <string.h>

#include "api/messages.h"

static const struct method_row rows[] = {
#define METHOD_ROW(name, number, lower, camel)                                                     \
    {METHOD_##name, #camel, &api__##lower##_request__descriptor,                                   \
     &api__##lower##_response__descriptor},
    METHODS(METHOD_ROW)
#undef METHOD_ROW
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

const struct method_row *method_get(int number)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if ((int)rows[i].method == number)
            return &rows[i];
    }
    return NULL;
}

const struct method_row *method_find(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}
