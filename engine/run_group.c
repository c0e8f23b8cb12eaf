/* SPDX-License-Identifier: Apache-2.0 */
/* run_group: see run_group.h. */
#include "engine/run_group.h"

#include <string.h>

#include "common/assert.h"

/* What an error text has room for. */
#define LISTED_MAX 5

struct run_group {
    struct run *runs; /* oldest first */
    int32_t count;
    UT_hash_handle hh; /* by key */
    char key[];
};

static struct run_group *find(const struct core *core, const char *key)
{
    struct run_group *group;
    HASH_FIND(hh, core->run_groups, key, strlen(key), group);
    return group;
}

void run_group_join(struct core *core, struct run *run)
{
    if (run->concurrency_key == NULL)
        return;
    struct run_group *group = find(core, run->concurrency_key);
    if (group == NULL) {
        size_t length = strlen(run->concurrency_key);
        group = calloc(1, sizeof *group + length + 1);
        ASSERT(group != NULL);
        memcpy(group->key, run->concurrency_key, length + 1);
        HASH_ADD_KEYPTR(hh, core->run_groups, group->key, length, group);
    }
    DL_APPEND2(group->runs, run, group_prev, group_next);
    group->count++;
}

void run_group_leave(struct core *core, struct run *run)
{
    if (run->concurrency_key == NULL)
        return;
    struct run_group *group = find(core, run->concurrency_key);
    ASSERT(group != NULL && group->count > 0);
    DL_DELETE2(group->runs, run, group_prev, group_next);
    if (--group->count > 0)
        return;
    HASH_DEL(core->run_groups, group);
    free(group);
}

static bool has_key(const struct run *run, const char *key)
{
    return run != NULL && run->concurrency_key != NULL && strcmp(run->concurrency_key, key) == 0;
}

int32_t run_group_size(const struct core *core, const char *key, const struct run *except)
{
    const struct run_group *group = find(core, key);
    return group != NULL ? group->count - has_key(except, key) : 0;
}

void run_group_list(const struct core *core, const char *key, const struct run *except,
                    struct buffer *text)
{
    const struct run_group *group = find(core, key);
    const struct run *run;
    int listed = 0;
    if (group == NULL)
        return;
    DL_FOREACH2(group->runs, run, group_next)
    {
        if (run == except)
            continue;
        if (listed == LISTED_MAX) {
            buffer_append_text(text, ", ...");
            break;
        }
        buffer_printf(text, "%s%.64s", listed++ > 0 ? ", " : "", run->workflow_id);
    }
}

void run_groups_destroy(struct core *core)
{
    struct run_group *group, *next;
    HASH_ITER (hh, core->run_groups, group, next) {
        HASH_DEL(core->run_groups, group);
        free(group);
    }
}
