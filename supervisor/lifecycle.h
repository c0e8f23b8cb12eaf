/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifecycle: the states of one supervised process, as a table of allowed moves
 * (docs/spec/04-supervision.md, section "Lifecycle").
 *
 *              start            ready          stop, replace     died
 *     idle ──────────► starting ───────► ready ──────► draining ──────► stopped
 *      │ ▲               ▲ │ │             │ │          │  │ │           │  ▲
 *      │ │    delay over │ │ │ too late    │ │ replaced │  │ │grace over │  │
 *      │ │ restarted     │ │ └────────► killing ◄───────│──│─┘           │  │
 *      │ └───────────────│─│─────────────│──────────────│──┘             │  │
 *      │                 │ │ died        │ ▼ died       ▼                │  │
 *      │                 backoff ◄───────┴──────────────┘          again │  │
 *      │ stop              │ stop                      idle ◄────────────┘  │
 *      └───────────────────┴────────────────────────────────────────────────┘
 *
 * A process that is replaced (it makes no progress, uses too much memory, is to be restarted) is
 * drained and starts again: at once when that was wanted, after the delay of a death otherwise.
 * What was stopped may be started again (an operator drained it, and brings it back): stopped
 * becomes idle. A death that is final leads to failed instead of backoff; a death while a stop is
 * wanted leads to stopped from anywhere.
 *
 * This is the pure part: it is handed the time and tells what to do; process.h does it.
 * Threading: a lifecycle belongs to its process.
 */
#ifndef ARGOSY_SUPERVISOR_LIFECYCLE_H
#define ARGOSY_SUPERVISOR_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/death.h"

/* A model of several gigabytes over a network file system is read within this. */
#define LIFECYCLE_START_NS (600 * NS_PER_S)
/* What is to be replaced for a fault of its own gets this long to hand its work back, if its grace
 * period is not shorter: its tasks wait meanwhile. */
#define LIFECYCLE_FAULT_GRACE_NS (5 * NS_PER_S)
#define LIFECYCLE_NEVER          UINT64_MAX

enum lifecycle_state {
    LIFECYCLE_IDLE,     /* not started yet */
    LIFECYCLE_STARTING, /* runs, is not serving yet */
    LIFECYCLE_READY,    /* serves */
    LIFECYCLE_DRAINING, /* was asked to end */
    LIFECYCLE_KILLING,  /* was killed, is not reaped yet */
    LIFECYCLE_BACKOFF,  /* died, waits for its next start */
    LIFECYCLE_FAILED,   /* died, is not started again */
    LIFECYCLE_STOPPED,  /* ended because that was wanted */
};

/* What the caller has to do now. */
enum lifecycle_action {
    LIFECYCLE_DO_NOTHING,
    LIFECYCLE_DO_START,
    LIFECYCLE_DO_TERM, /* ask it to drain */
    LIFECYCLE_DO_KILL,
};

struct lifecycle {
    /* configuration */
    uint64_t grace_ns;
    uint64_t hang_ns;       /* 0: not watched */
    uint32_t memory_max_mb; /* what it is allowed; 0: no limit */

    /* state */
    enum lifecycle_state state;
    enum death_cause cause; /* of the replacement or kill in progress */
    uint32_t memory_mb;     /* of that, for DEATH_CAUSE_MEMORY */
    bool is_stopping;       /* a stop is wanted */
    bool was_ready;         /* at least once */
    bool has_progress;      /* told progress in this life: watched for it */
    uint64_t ready_ns;      /* when it became ready in this life; 0: not yet */
    uint64_t progress_ns;   /* when progress was last seen */
    uint64_t deadline_ns;   /* when lifecycle_tick is to be called; LIFECYCLE_NEVER */
    struct death_history deaths;
};

/* Idle, without a grace period and not watched. */
void lifecycle_init(struct lifecycle *lifecycle);

/* Hold from the next deadline on. */
void lifecycle_set_times(struct lifecycle *lifecycle, uint64_t grace_ns, uint64_t hang_ns);

/* idle or backoff -> starting: it was started now. */
void lifecycle_started(struct lifecycle *lifecycle, uint64_t now_ns);

/* stopped -> idle: it is wanted again. */
void lifecycle_again(struct lifecycle *lifecycle);

/* backoff: its next start waits until then. */
void lifecycle_postpone(struct lifecycle *lifecycle, uint64_t until_ns);

/* starting -> ready. Late news of a process that is being stopped change nothing. */
void lifecycle_ready(struct lifecycle *lifecycle, uint64_t now_ns);

/* Notes progress that was seen now. */
void lifecycle_progress(struct lifecycle *lifecycle, uint64_t now_ns);

/* A stop is wanted. hurry: kill what still runs. */
enum lifecycle_action lifecycle_stop(struct lifecycle *lifecycle, bool hurry, uint64_t now_ns);

/* It is to be drained and started again. DEATH_CAUSE_RESTART is a wish, which also ends a backoff
 * and tries again what has failed; every other cause is a fault of its own. Nothing changes where
 * it is on its way out already. */
enum lifecycle_action lifecycle_replace(struct lifecycle *lifecycle, enum death_cause cause,
                                        uint64_t now_ns);

/* It died, or could not be started (cause DEATH_CAUSE_EXEC; status is then an errno). Returns the
 * death, with what caused it; one that was a wish is not among the deaths that count. */
struct death lifecycle_died(struct lifecycle *lifecycle, int status, enum death_cause cause,
                            uint64_t now_ns);

/* To be called when deadline_ns has come; progress must be noted before. */
enum lifecycle_action lifecycle_tick(struct lifecycle *lifecycle, uint64_t now_ns);

/* Whether there is a process. */
bool lifecycle_is_alive(const struct lifecycle *lifecycle);

const char *lifecycle_state_name(enum lifecycle_state state);

#endif
