/* SPDX-License-Identifier: Apache-2.0 */
/* field_path: see field_path.h. */
#include "api/field_path.h"

#include "common/buffer.h"

static void append_path(struct buffer *text, const struct field_path *path)
{
    if (path->parent != NULL)
        append_path(text, path->parent);
    else
        buffer_append_text(text, path->descriptor->short_name);
    if (path->field != NULL)
        buffer_printf(text, ".%s", path->field->name);
}

int field_path_fail(const struct field_path *path, struct error *err, int code, const char *reason)
{
    if (err == NULL)
        return code;
    struct buffer text = {0};
    append_path(&text, path);
    error_set(err, code, "%s: %s", buffer_text(&text), reason);
    buffer_fini(&text);
    return code;
}
