/* SPDX-License-Identifier: Apache-2.0 */
/* lifecycle: see lifecycle.h. */
#include "supervisor/lifecycle.h"

#include "common/assert.h"

#define BIT(state) (1u << (state))

struct state_row {
    const char *name;
    unsigned next; /* states it may move to, as bits */
};

static const struct state_row state_rows[] = {
    [LIFECYCLE_IDLE] = {"idle", BIT(LIFECYCLE_STARTING) | BIT(LIFECYCLE_STOPPED)},
    [LIFECYCLE_STARTING] = {"starting", BIT(LIFECYCLE_READY) | BIT(LIFECYCLE_DRAINING) |
                                            BIT(LIFECYCLE_KILLING) | BIT(LIFECYCLE_BACKOFF) |
                                            BIT(LIFECYCLE_FAILED)},
    [LIFECYCLE_READY] = {"ready", BIT(LIFECYCLE_DRAINING) | BIT(LIFECYCLE_KILLING) |
                                      BIT(LIFECYCLE_BACKOFF) | BIT(LIFECYCLE_FAILED)},
    [LIFECYCLE_DRAINING] = {"draining", BIT(LIFECYCLE_KILLING) | BIT(LIFECYCLE_STOPPED) |
                                            BIT(LIFECYCLE_BACKOFF) | BIT(LIFECYCLE_FAILED) |
                                            BIT(LIFECYCLE_IDLE)},
    [LIFECYCLE_KILLING] = {"killing",
                           BIT(LIFECYCLE_BACKOFF) | BIT(LIFECYCLE_STOPPED) | BIT(LIFECYCLE_IDLE)},
    [LIFECYCLE_BACKOFF] = {"backoff",
                           BIT(LIFECYCLE_STARTING) | BIT(LIFECYCLE_STOPPED) | BIT(LIFECYCLE_IDLE)},
    [LIFECYCLE_FAILED] = {"failed", BIT(LIFECYCLE_STOPPED) | BIT(LIFECYCLE_IDLE)},
    [LIFECYCLE_STOPPED] = {"stopped", BIT(LIFECYCLE_IDLE)},
};

static void move(struct lifecycle *lifecycle, enum lifecycle_state next)
{
    ASSERT((state_rows[lifecycle->state].next & BIT(next)) != 0);
    lifecycle->state = next;
    lifecycle->deadline_ns = LIFECYCLE_NEVER;
}

void lifecycle_init(struct lifecycle *lifecycle)
{
    *lifecycle = (struct lifecycle){.state = LIFECYCLE_IDLE, .deadline_ns = LIFECYCLE_NEVER};
}

void lifecycle_set_times(struct lifecycle *lifecycle, uint64_t grace_ns, uint64_t hang_ns)
{
    lifecycle->grace_ns = grace_ns;
    lifecycle->hang_ns = hang_ns;
}

void lifecycle_started(struct lifecycle *lifecycle, uint64_t now_ns)
{
    move(lifecycle, LIFECYCLE_STARTING);
    lifecycle->deadline_ns = now_ns + LIFECYCLE_START_NS;
    lifecycle->cause = DEATH_CAUSE_NONE;
    lifecycle->ready_ns = 0;
    lifecycle->has_progress = false;
}

void lifecycle_postpone(struct lifecycle *lifecycle, uint64_t until_ns)
{
    ASSERT(lifecycle->state == LIFECYCLE_BACKOFF);
    lifecycle->deadline_ns = until_ns;
}

void lifecycle_again(struct lifecycle *lifecycle)
{
    move(lifecycle, LIFECYCLE_IDLE);
    lifecycle->is_stopping = false;
}

/* Looking twice in each hang_ns finds a hang within one and a half. */
static void watch_progress(struct lifecycle *lifecycle, uint64_t now_ns)
{
    if (lifecycle->hang_ns > 0)
        lifecycle->deadline_ns = now_ns + lifecycle->hang_ns / 2;
}

void lifecycle_ready(struct lifecycle *lifecycle, uint64_t now_ns)
{
    if (lifecycle->state != LIFECYCLE_STARTING)
        return;
    move(lifecycle, LIFECYCLE_READY);
    lifecycle->was_ready = true;
    lifecycle->ready_ns = now_ns;
    lifecycle->progress_ns = now_ns;
    watch_progress(lifecycle, now_ns);
}

void lifecycle_progress(struct lifecycle *lifecycle, uint64_t now_ns)
{
    lifecycle->has_progress = true;
    lifecycle->progress_ns = now_ns;
}

static enum lifecycle_action kill_for(struct lifecycle *lifecycle, enum death_cause cause)
{
    move(lifecycle, LIFECYCLE_KILLING);
    lifecycle->cause = cause;
    return LIFECYCLE_DO_KILL;
}

enum lifecycle_action lifecycle_stop(struct lifecycle *lifecycle, bool hurry, uint64_t now_ns)
{
    lifecycle->is_stopping = true;
    switch (lifecycle->state) {
    case LIFECYCLE_IDLE:
    case LIFECYCLE_BACKOFF:
    case LIFECYCLE_FAILED:
        move(lifecycle, LIFECYCLE_STOPPED);
        return LIFECYCLE_DO_NOTHING;
    case LIFECYCLE_STARTING:
    case LIFECYCLE_READY:
        if (hurry)
            return kill_for(lifecycle, DEATH_CAUSE_HURRY);
        move(lifecycle, LIFECYCLE_DRAINING);
        lifecycle->deadline_ns = now_ns + lifecycle->grace_ns;
        return LIFECYCLE_DO_TERM;
    case LIFECYCLE_DRAINING:
        return hurry ? kill_for(lifecycle, DEATH_CAUSE_HURRY) : LIFECYCLE_DO_NOTHING;
    case LIFECYCLE_KILLING:
    case LIFECYCLE_STOPPED:
        return LIFECYCLE_DO_NOTHING;
    }
    UNREACHABLE();
}

enum lifecycle_action lifecycle_replace(struct lifecycle *lifecycle, enum death_cause cause,
                                        uint64_t now_ns)
{
    uint64_t grace_ns = lifecycle->grace_ns;
    switch (lifecycle->state) {
    case LIFECYCLE_STARTING:
    case LIFECYCLE_READY:
        if (cause != DEATH_CAUSE_RESTART && grace_ns > LIFECYCLE_FAULT_GRACE_NS)
            grace_ns = LIFECYCLE_FAULT_GRACE_NS;
        move(lifecycle, LIFECYCLE_DRAINING);
        lifecycle->cause = cause;
        lifecycle->deadline_ns = now_ns + grace_ns;
        return LIFECYCLE_DO_TERM;
    case LIFECYCLE_BACKOFF:
    case LIFECYCLE_FAILED:
        if (cause == DEATH_CAUSE_RESTART)
            move(lifecycle, LIFECYCLE_IDLE);
        return LIFECYCLE_DO_NOTHING;
    default:
        return LIFECYCLE_DO_NOTHING;
    }
}

struct death lifecycle_died(struct lifecycle *lifecycle, int status, enum death_cause cause,
                            uint64_t now_ns)
{
    struct death death = {
        .at_ns = now_ns,
        .healthy_ns = lifecycle->ready_ns != 0 ? now_ns - lifecycle->ready_ns : 0,
        .status = status,
        .cause = cause != DEATH_CAUSE_NONE ? cause : lifecycle->cause,
        .memory_mb = lifecycle->memory_mb,
        .memory_max_mb = lifecycle->memory_max_mb,
    };
    bool is_restart = lifecycle->cause == DEATH_CAUSE_RESTART;
    /* A life that was ended by wish says nothing of the next. */
    if (!is_restart)
        death_history_add(&lifecycle->deaths, &death);
    if (lifecycle->is_stopping) {
        move(lifecycle, LIFECYCLE_STOPPED);
    } else if (is_restart) {
        move(lifecycle, LIFECYCLE_IDLE);
    } else if (death_is_final(&death)) {
        move(lifecycle, LIFECYCLE_FAILED);
    } else {
        move(lifecycle, LIFECYCLE_BACKOFF);
        lifecycle->deadline_ns = now_ns + death_history_delay_ns(&lifecycle->deaths);
    }
    return death;
}

enum lifecycle_action lifecycle_tick(struct lifecycle *lifecycle, uint64_t now_ns)
{
    if (now_ns < lifecycle->deadline_ns)
        return LIFECYCLE_DO_NOTHING;
    switch (lifecycle->state) {
    case LIFECYCLE_BACKOFF:
        return LIFECYCLE_DO_START;
    case LIFECYCLE_STARTING:
        return kill_for(lifecycle, DEATH_CAUSE_START);
    case LIFECYCLE_DRAINING:
        return kill_for(lifecycle, lifecycle->cause != DEATH_CAUSE_NONE ? lifecycle->cause
                                                                        : DEATH_CAUSE_GRACE);
    case LIFECYCLE_READY:
        if (lifecycle->hang_ns > 0 && lifecycle->has_progress &&
            now_ns - lifecycle->progress_ns >= lifecycle->hang_ns)
            return lifecycle_replace(lifecycle, DEATH_CAUSE_HANG, now_ns);
        lifecycle->deadline_ns = LIFECYCLE_NEVER;
        watch_progress(lifecycle, now_ns);
        return LIFECYCLE_DO_NOTHING;
    default:
        UNREACHABLE(); /* the other states have no deadline */
    }
}

bool lifecycle_is_alive(const struct lifecycle *lifecycle)
{
    const unsigned alive = BIT(LIFECYCLE_STARTING) | BIT(LIFECYCLE_READY) |
                           BIT(LIFECYCLE_DRAINING) | BIT(LIFECYCLE_KILLING);
    return (alive & BIT(lifecycle->state)) != 0;
}

const char *lifecycle_state_name(enum lifecycle_state state)
{
    return state_rows[state].name;
}
