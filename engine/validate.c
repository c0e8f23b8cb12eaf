/* SPDX-License-Identifier: Apache-2.0 */
/* validate: see validate.h. */
#include "engine/validate.h"

#include <string.h>

int validate_id(const char *what, const char *id, struct error *err)
{
    if (id == NULL || *id == '\0')
        return error_set(err, ERR_INVALID, "%s is not set", what);
    return validate_text(what, id, err);
}

int validate_text(const char *what, const char *text, struct error *err)
{
    if (text != NULL && strlen(text) > LIMIT_ID_LENGTH)
        return error_set(err, ERR_INVALID, "%s is longer than %d bytes", what, LIMIT_ID_LENGTH);
    return 0;
}

int validate_duration(const char *what, const Api__Duration *duration, struct error *err)
{
    if (duration == NULL)
        return 0;
    if (duration->seconds < 0 || duration->nanos < 0)
        return error_set(err, ERR_INVALID, "%s is negative", what);
    if (duration->nanos > 999999999)
        return error_set(err, ERR_INVALID, "%s has more than a second in its nanoseconds", what);
    return 0;
}

int validate_size(const char *what, const void *message, size_t limit, struct error *err)
{
    if (message == NULL)
        return 0;
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > limit)
        return error_set(err, ERR_INVALID, "%s has %zu bytes, more than the limit of %zu", what,
                         size, limit);
    return 0;
}

int validate_task_queue(const Api__TaskQueue *task_queue, struct error *err)
{
    return validate_id("task queue", task_queue != NULL ? task_queue->name : NULL, err);
}

int validate_priority(const Api__Priority *priority, struct error *err)
{
    if (priority == NULL)
        return 0;
    if (priority->priority_key < 0)
        return error_set(err, ERR_INVALID, "the priority %d is negative", priority->priority_key);
    return validate_text("fairness key", priority->fairness_key, err);
}
