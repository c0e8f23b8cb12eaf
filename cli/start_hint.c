/* SPDX-License-Identifier: Apache-2.0 */
/* start_hint: see start_hint.h. Tasks go only to workers that registered their type, so a misspelt
 * one would wait for ever in silence. */
#include "cli/start_hint.h"

#include <string.h>

#include "common/nearest.h"

/* Enough to find the nearest of; a queue with more types is no worse off. */
#define TYPES_MAX 256

/* What the pollers of a queue say they know. */
struct known_types {
    const char *names[TYPES_MAX]; /* borrowed from the reply */
    size_t count;
    bool has_type; /* the one looked for, or some poller takes any */
};

static void collect_types(const json_t *pollers, const char *type, struct known_types *known)
{
    size_t index, at;
    const json_t *poller, *name;
    json_array_foreach(pollers, index, poller)
    {
        const json_t *types = json_object_get(poller, "registeredTypes");
        known->has_type = known->has_type || json_array_size(types) == 0;
        json_array_foreach(types, at, name)
        {
            const char *text = json_string_value(name);
            if (text == NULL)
                continue;
            known->has_type = known->has_type || strcmp(text, type) == 0;
            if (known->count < TYPES_MAX)
                known->names[known->count++] = text;
        }
    }
}

void start_hint(struct session *session, const char *type, const char *queue)
{
    json_t *reply;
    if (session_call(session, "DescribeTaskQueue",
                     json_pack("{s:{s:s}, s:s}", "taskQueue", "name", queue, "taskQueueType",
                               "TASK_QUEUE_TYPE_WORKFLOW"),
                     &reply, NULL) != 0)
        return;
    const json_t *pollers = json_object_get(reply, "pollers");
    struct known_types known = {0};
    collect_types(pollers, type, &known);
    const char *nearest = nearest_name(type, known.names, known.count);
    if (json_array_size(pollers) == 0)
        fprintf(stderr, "note: no worker serves queue \"%s\" now: the run waits for one\n", queue);
    else if (!known.has_type)
        fprintf(stderr,
                "note: no worker of queue \"%s\" knows workflow type \"%s\": the run waits for "
                "one%s%s%s\n",
                queue, type, nearest != NULL ? "; did you mean \"" : "",
                nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    json_decref(reply);
}
