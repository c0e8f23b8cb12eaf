/* SPDX-License-Identifier: Apache-2.0 */
/* roster: see roster.h. */
#include "supervisor/roster.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "supervisor/status_page.h"

static void drop(struct process *process)
{
    process_fini(process);
    free(process);
}

void roster_fini(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        drop(roster->processes[i]);
    free(roster->processes);
    *roster = (struct roster){0};
}

/* Processes that the plan brings, in their places of added, which has one for each pin; the other
 * places stay NULL. */
static int create_added(const struct roster *roster, const struct placement *placement,
                        struct process **added, struct error *err)
{
    char name[PLACEMENT_NAME_MAX];
    for (size_t i = 0; i < placement->pin_count; i++) {
        if (roster_find_name(roster, placement_name(&placement->pins[i], name)) != NULL)
            continue;
        added[i] = calloc(1, sizeof *added[i]);
        if (added[i] == NULL)
            return error_set(err, ERR_MEMORY, "no memory for process %s", name);
        process_init(added[i], &placement->pins[i]);
    }
    return 0;
}

/* Fills merged, which has room for all. Returns how many there are. */
static size_t merge(const struct roster *roster, const struct placement *placement,
                    struct process **added, struct process **merged)
{
    char name[PLACEMENT_NAME_MAX];
    size_t count = 0;
    for (size_t i = 0; i < roster->count; i++)
        process_retire(roster->processes[i]);
    for (size_t i = 0; i < placement->pin_count; i++) {
        const struct placement_pin *pin = &placement->pins[i];
        struct process *process = added[i];
        if (process == NULL) {
            process = roster_find_name(roster, placement_name(pin, name));
            process_plan(process, pin);
        }
        merged[count++] = process;
    }
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->processes[i]->is_retired)
            merged[count++] = roster->processes[i];
    }
    return count;
}

int roster_apply(struct roster *roster, const struct placement *placement, struct error *err)
{
    size_t most = roster->count + placement->pin_count;
    if (most > STATUS_PROCESS_MAX)
        return error_set(err, ERR_LIMIT, "%zu processes on one node: at most %d, old ones included",
                         most, STATUS_PROCESS_MAX);
    struct process **added = calloc(placement->pin_count, sizeof(struct process *));
    struct process **merged = calloc(most, sizeof(struct process *));
    int code = added != NULL && merged != NULL
                   ? create_added(roster, placement, added, err)
                   : error_set(err, ERR_MEMORY, "no memory for the node's processes");
    if (code == 0) {
        size_t count = merge(roster, placement, added, merged);
        free(roster->processes);
        *roster = (struct roster){.processes = merged, .count = count};
    } else {
        for (size_t i = 0; added != NULL && i < placement->pin_count; i++)
            free(added[i]);
        free(merged);
    }
    free(added);
    return code;
}

void roster_sweep(struct roster *roster)
{
    size_t kept = 0;
    for (size_t i = 0; i < roster->count; i++) {
        struct process *process = roster->processes[i];
        if (process->is_retired && process->lifecycle.state == LIFECYCLE_STOPPED)
            drop(process);
        else
            roster->processes[kept++] = process;
    }
    roster->count = kept;
}

struct process *roster_find_pid(const struct roster *roster, pid_t pid)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->processes[i]->pid == pid)
            return roster->processes[i];
    }
    return NULL;
}

struct process *roster_find_name(const struct roster *roster, const char *name)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (strcmp(roster->processes[i]->name, name) == 0)
            return roster->processes[i];
    }
    return NULL;
}

struct process *roster_link(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->processes[i]->rank == PROCESS_RANK_LINK)
            return roster->processes[i];
    }
    UNREACHABLE(); /* every plan has one */
}
