/* SPDX-License-Identifier: Apache-2.0 */
/* task_progress: see task_progress.h. */
#include "cli/task_progress.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the string that begins at a quote; NULL when it does not end. */
static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
        if (*at == '\0')
            return NULL;
    }
    return at + 1;
}

/* At the comma or bracket behind a value; NULL when there is none. */
static const char *skip_value(const char *at)
{
    int depth = 0;
    while (at != NULL && *at != '\0') {
        if (depth == 0 && strchr(",]}", *at) != NULL)
            return at;
        depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        at = *at == '"' ? skip_string(at) : at + 1;
    }
    return NULL;
}

static void take_member(const char *name, size_t size, const char *value, struct task_progress *to)
{
    static const struct {
        const char *name;
        bool is_total;
    } known[] = {
        {"\"done\"", false}, {"\"step\"", false}, {"\"total\"", true}, {"\"steps\"", true}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char *end;
        if (strlen(known[i].name) != size || memcmp(known[i].name, name, size) != 0)
            continue;
        double number = strtod(value, &end);
        /* A number that ends with the text may have been cut. */
        if (end == value || *end == '\0' || !(number >= 0 && number < 1e18))
            return;
        if (known[i].is_total) {
            to->total = number;
        } else {
            to->is_known = true;
            to->done = number;
        }
    }
}

void task_progress_read(const char *details, struct task_progress *ret_progress)
{
    struct task_progress progress = {0};
    const char *at = skip_space(details);
    bool is_object = *at == '{';
    while (is_object && at != NULL && (*at == '{' || *at == ',')) {
        const char *name = skip_space(at + 1);
        const char *end = *name == '"' ? skip_string(name) : NULL;
        at = end != NULL ? skip_space(end) : NULL;
        if (at == NULL || *at != ':')
            break;
        const char *value = skip_space(at + 1);
        at = skip_value(value);
        take_member(name, (size_t)(end - name), value, &progress);
    }
    *ret_progress = progress;
}
