/* SPDX-License-Identifier: Apache-2.0 */
/*
 * death: how children ended, and what a bounded memory of that means for starting them again
 * (docs/spec/04-supervision.md, section "Restart").
 *
 * The delay before a start is DEATH_DELAY_FIRST_NS, doubled for each death in a row whose life was
 * short, up to DEATH_DELAY_MAX_NS. A life that was healthy for DEATH_HEALTHY_NS ends the row.
 *
 * Threading: no state of its own; a history belongs to its process. Time is handed in.
 */
#ifndef ARGOSY_SUPERVISOR_DEATH_H
#define ARGOSY_SUPERVISOR_DEATH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

#define DEATH_DELAY_FIRST_NS (100 * NS_PER_MS)
#define DEATH_DELAY_MAX_NS   (30 * NS_PER_S)
#define DEATH_HEALTHY_NS     (60 * NS_PER_S)
/* Ready for so long, it started well. */
#define DEATH_SETTLED_NS (1 * NS_PER_S)
/* From this many short lives in a row on it is called a crash loop: 1.5 s of delays went by. */
#define DEATH_LOOP_COUNT 5
/* Ten doublings pass the longest delay; a few more are kept for whoever asks what happened. */
#define DEATH_HISTORY_MAX 16

/* Why a child was ended. */
enum death_cause {
    DEATH_CAUSE_NONE,    /* it did not */
    DEATH_CAUSE_START,   /* not ready in time */
    DEATH_CAUSE_HANG,    /* no progress */
    DEATH_CAUSE_GRACE,   /* the grace period of a drain was over */
    DEATH_CAUSE_HURRY,   /* an operator asked twice */
    DEATH_CAUSE_EXEC,    /* its program could not be started; status is an errno */
    DEATH_CAUSE_RESTART, /* it was to be restarted */
    DEATH_CAUSE_MEMORY,  /* over its memory limit */
    /* Not by the supervisor, which found out why: */
    DEATH_CAUSE_OOM,       /* the kernel killed it for want of memory */
    DEATH_CAUSE_OOM_MAYBE, /* killed when the kernel killed somebody for that */
};

/* What restarts are counted by. */
enum death_kind {
    DEATH_KIND_EXIT,   /* by itself */
    DEATH_KIND_SIGNAL, /* not sent by the supervisor */
    DEATH_KIND_START,  /* not ready in time */
    DEATH_KIND_HANG,   /* no progress */
    DEATH_KIND_EXEC,   /* its program could not be started */
    DEATH_KIND_MEMORY, /* over its limit, or the kernel killed it for want of memory */
};
#define DEATH_KIND_COUNT 6

struct death {
    uint64_t at_ns;
    uint64_t healthy_ns; /* how long it had been ready */
    int status;          /* as waitpid gives it */
    enum death_cause cause;
    uint32_t memory_mb;     /* MEMORY: what it had */
    uint32_t memory_max_mb; /* MEMORY, OOM: what it was allowed; 0: not bounded */
};

struct death_history {
    struct death deaths[DEATH_HISTORY_MAX]; /* a ring */
    unsigned count;                         /* of all deaths ever; the last is at count - 1 */
};

void death_history_add(struct death_history *history, const struct death *death);

/* The latest death; NULL when there was none. */
const struct death *death_history_last(const struct death_history *history);

/* Whether somebody else killed it, and not for want of memory: it did not die of itself. */
bool death_is_from_outside(const struct death *death);

/* How many of the latest deaths in a row ended a short life. One that was killed from outside after
 * it had been ready for DEATH_SETTLED_NS does not count. */
unsigned death_history_row(const struct death_history *history);

/* How long to wait after the latest death before the next start. */
uint64_t death_history_delay_ns(const struct death_history *history);

/* Whether the child said by its exit code that starting it again cannot help. */
bool death_is_final(const struct death *death);

enum death_kind death_kind(const struct death *death);

/* "exit", "signal", "start", "hang", "exec", "memory" */
const char *death_kind_name(enum death_kind kind);

/* "no progress", "restarted"; "" for none. */
const char *death_cause_text(enum death_cause cause);

/* "signal 9 (killed)", "exit 78 (bad configuration)", "no progress, signal 9 (killed)", "over its
 * memory limit: 1,234 of 1,024 MB, exit 0 (ended)" into out, which is returned. */
#define DEATH_TEXT_MAX 96
const char *death_format(const struct death *death, char out[DEATH_TEXT_MAX]);

#endif
