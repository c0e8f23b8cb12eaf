/* SPDX-License-Identifier: Apache-2.0 */
/* rollout: see rollout.h. */
#include "supervisor/rollout.h"

#include <string.h>

bool rollout_may_go(const struct roster *roster, const struct process *process)
{
    const struct fleet_group *group = process->pin.group;
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
