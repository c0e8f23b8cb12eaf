/* SPDX-License-Identifier: Apache-2.0 */
/* json_members: see json_members.h. */
#include "workflows/json_members.h"

#include <stdint.h>
#include <string.h>

#include "common/nearest.h"

int json_members_check(const json_t *object, const char *const *names, size_t count,
                       struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        size_t place = 0;
        while (place < count && strcmp(names[place], name) != 0)
            place++;
        if (place < count)
            continue;
        const char *nearest = nearest_name(name, names, count);
        return error_set(err, ERR_INVALID, "unknown member \"%.100s\"%s%s%s", name,
                         nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                         nearest != NULL ? "\"?" : "");
    }
    return 0;
}
