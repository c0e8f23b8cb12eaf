/* SPDX-License-Identifier: Apache-2.0 */
/* rollout: see rollout.h. */
#include "supervisor/rollout.h"

#include <string.h>

static bool is_own(const struct process *process)
{
    return process->rank != PROCESS_RANK_WORKER;
}

bool rollout_may_go(const struct roster *roster, const struct process *process, uint64_t now_ns)
{
    const struct fleet_group *group = process->pin.group;
    if (is_own(process))
        return now_ns >= rollout_deadline_ns(process);
    if (group == NULL || process->lifecycle.state != LIFECYCLE_READY)
        return true;
    int others_ready = 0;
    for (size_t i = 0; i < roster->count; i++) {
        const struct process *other = roster->processes[i];
        others_ready += other != process && other->lifecycle.state == LIFECYCLE_READY &&
                        strcmp(other->group, process->group) == 0;
    }
    return others_ready >= group->processes - group->max_unavailable;
}

uint64_t rollout_deadline_ns(const struct process *process)
{
    bool is_waiting = process->is_stale && is_own(process) &&
                      process->lifecycle.state != LIFECYCLE_DRAINING &&
                      process->lifecycle.state != LIFECYCLE_KILLING;
    return is_waiting ? process->stale_ns + ROLLOUT_ANSWER_NS : UINT64_MAX;
}
