/* SPDX-License-Identifier: Apache-2.0 */
/* queue_name: see queue_name.h. */
#include "cli/queue_name.h"

#include <stdlib.h>
#include <string.h>

#include "cli/message_view.h"
#include "common/nearest.h"

static int say_unknown(const char *queue, const json_t *rows, struct error *err)
{
    const char **names = calloc(json_array_size(rows) + 1, sizeof names[0]);
    if (names == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    size_t count = 0, index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        if (view_text(row, "queue")[0] != '\0')
            names[count++] = view_text(row, "queue");
    }
    const char *nearest = nearest_name(queue, names, count);
    int code =
        nearest != NULL
            ? error_set(err, ERR_NOT_FOUND, "no task queue \"%s\" (did you mean \"%s\"?)", queue,
                        nearest)
            : error_set(err, ERR_NOT_FOUND,
                        "no task queue \"%s\": no worker has polled it, and nothing waits", queue);
    free(names);
    return code;
}

int queue_name_check(struct session *session, const char *queue, struct error *err)
{
    json_t *stats;
    int code = session_call(session, "GetEngineStats", json_object(), &stats, err);
    if (code != 0)
        return code;
    const json_t *rows = json_object_get(stats, "queues");
    bool is_known = view_number(stats, "queuesLeftOut") > 0;
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        is_known = is_known || strcmp(view_text(row, "queue"), queue) == 0;
    }
    code = is_known ? 0 : say_unknown(queue, rows, err);
    json_decref(stats);
    return code;
}
