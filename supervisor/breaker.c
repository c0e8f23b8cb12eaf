/* SPDX-License-Identifier: Apache-2.0 */
/* breaker: see breaker.h. */
#include "supervisor/breaker.h"

#include <string.h>

static bool is_neighbour(const struct process *process, const struct process *other)
{
    return process->group[0] != '\0' && strcmp(process->group, other->group) == 0;
}

/* Short lives that ended of themselves in the window. */
static unsigned count_deaths(const struct death_history *history, uint64_t now_ns)
{
    unsigned known = history->count < DEATH_HISTORY_MAX ? history->count : DEATH_HISTORY_MAX;
    unsigned deaths = 0;
    for (unsigned i = 0; i < known; i++) {
        const struct death *death = &history->deaths[i];
        deaths += death->at_ns + BREAKER_WINDOW_NS > now_ns &&
                  death->healthy_ns < DEATH_HEALTHY_NS && !death_is_from_outside(death);
    }
    return deaths;
}

/* Deaths of the worker's group beyond what leaves the breaker closed; 0 where it is closed. */
static unsigned count_excess(const struct roster *roster, const struct process *process,
                             uint64_t now_ns)
{
    unsigned deaths = 0;
    unsigned workers = 0;
    for (size_t i = 0; i < roster->count; i++) {
        const struct process *other = roster->processes[i];
        if (!is_neighbour(process, other))
            continue;
        deaths += count_deaths(&other->lifecycle.deaths, now_ns);
        workers++;
    }
    unsigned bound = workers * BREAKER_DEATHS_PER_WORKER;
    if (bound < BREAKER_DEATHS_MIN)
        bound = BREAKER_DEATHS_MIN;
    return deaths >= bound ? deaths - bound + 1 : 0;
}

bool breaker_is_open(const struct roster *roster, const struct process *process, uint64_t now_ns)
{
    return count_excess(roster, process, now_ns) > 0;
}

bool breaker_was_opened(const struct roster *roster, const struct process *process, uint64_t now_ns)
{
    return count_excess(roster, process, now_ns) == 1;
}

static bool is_on_trial(const struct lifecycle *lifecycle, uint64_t now_ns)
{
    return lifecycle->state == LIFECYCLE_STARTING ||
           (lifecycle->state == LIFECYCLE_READY && now_ns < lifecycle->ready_ns + BREAKER_TRIAL_NS);
}

bool breaker_may_start(const struct roster *roster, const struct process *process, uint64_t now_ns)
{
    if (!breaker_is_open(roster, process, now_ns))
        return true;
    for (size_t i = 0; i < roster->count; i++) {
        const struct process *other = roster->processes[i];
        if (other != process && is_neighbour(process, other) &&
            is_on_trial(&other->lifecycle, now_ns))
            return false;
    }
    return true;
}
