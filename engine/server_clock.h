/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_clock: what the shell hands the core with every call: the time and fresh random bits.
 *
 * The time is UTC that never goes back: where the machine's clock is set back, it goes on at the
 * monotonic clock's pace until UTC has caught up.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_ENGINE_SERVER_CLOCK_H
#define ARGOSY_ENGINE_SERVER_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core.h"

/* One system call brings entropy for this many core calls. */
#define SERVER_CLOCK_ENTROPY_CALLS 256

struct server_clock {
    int64_t base_utc_us; /* the time that base_ns stands for */
    uint64_t base_ns;
    int64_t skipped_us; /* how far it is ahead of UTC by server_clock_skip */
    uint64_t entropy[SERVER_CLOCK_ENTROPY_CALLS][2];
    size_t entropy_used;
};

void server_clock_init(struct server_clock *clock);

/* The time for given readings of both clocks; exposed for tests. */
int64_t server_clock_advance(struct server_clock *clock, int64_t utc_us, uint64_t monotonic_ns);

/* The time now. */
int64_t server_clock_now(struct server_clock *clock);

/* From now on it is to_utc_us, if that is later than now: an engine for tests. */
void server_clock_skip(struct server_clock *clock, int64_t to_utc_us);

/* The input of one core call, as of now. */
struct core_input server_clock_input(struct server_clock *clock);

#endif
