/* SPDX-License-Identifier: Apache-2.0 */
/* server_clock: see server_clock.h. */
#include "engine/server_clock.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/assert.h"
#include "common/clock.h"

void server_clock_init(struct server_clock *clock)
{
    *clock = (struct server_clock){.base_utc_us = clock_utc_us(),
                                   .base_ns = clock_monotonic_ns(),
                                   .entropy_used = SERVER_CLOCK_ENTROPY_CALLS};
}

int64_t server_clock_advance(struct server_clock *clock, int64_t utc_us, uint64_t monotonic_ns)
{
    int64_t now_us = clock->base_utc_us + (int64_t)((monotonic_ns - clock->base_ns) / NS_PER_US);
    if (utc_us <= now_us)
        return now_us;
    clock->base_utc_us = utc_us;
    clock->base_ns = monotonic_ns;
    return utc_us;
}

static void refill(struct server_clock *clock)
{
    uint8_t *at = (uint8_t *)clock->entropy;
    size_t left = sizeof clock->entropy;
    while (left > 0) {
        ssize_t size = getrandom(at, left, 0);
        ASSERT(size > 0 || errno == EINTR);
        if (size > 0) {
            at += size;
            left -= (size_t)size;
        }
    }
    clock->entropy_used = 0;
}

int64_t server_clock_now(struct server_clock *clock)
{
    return server_clock_advance(clock, clock_utc_us() + clock->skipped_us, clock_monotonic_ns());
}

void server_clock_skip(struct server_clock *clock, int64_t to_utc_us)
{
    int64_t now_us = server_clock_now(clock);
    if (to_utc_us > now_us)
        clock->skipped_us += to_utc_us - now_us;
}

struct core_input server_clock_input(struct server_clock *clock)
{
    if (clock->entropy_used == SERVER_CLOCK_ENTROPY_CALLS)
        refill(clock);
    struct core_input input = {.now_utc_us = server_clock_now(clock)};
    memcpy(input.entropy, clock->entropy[clock->entropy_used++], sizeof input.entropy);
    return input;
}
