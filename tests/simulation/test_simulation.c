/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core under simulated chaos (sim.h). Without an argument: many seeds, and one small world that
 * crashes before every one of its commits in turn. With an argument: that one seed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

static struct sim_options options_of(uint64_t seed)
{
    /* Every fourth world is without crashes of the engine, every third without dying workers, so
     * that each kind of trouble is also seen alone. */
    return (struct sim_options){
        .seed = seed,
        .workflows = 4 + (int)(seed % 7),
        .workers = 1 + (int)(seed % 4),
        .signals = (int)(seed % 3),
        .chaos_us = 30 * SIM_S,
        .crash_chance = seed % 4 == 0 ? 0 : 12,
        .cut_chance = seed % 5 == 0 ? 0 : 10,
        .death_chance = seed % 3 == 0 ? 0 : 40,
        .repeat_chance = 50,
    };
}

static void run_seeds(uint64_t first, uint64_t count)
{
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sim_options options = options_of(seed);
        sim_run(&options, NULL);
    }
    printf("%" PRIu64 " seeds from %" PRIu64 " on: ok\n", count, first);
}

/* The same world again and again, each time with a crash before another commit. */
static void run_crash_points(uint64_t seed)
{
    struct sim_options options = options_of(seed);
    options.workflows = 3;
    options.crash_chance = 0;
    size_t batches;
    sim_run(&options, &batches);
    for (size_t i = 1; i <= batches; i++) {
        options.crash_at = (int64_t)i;
        sim_run(&options, NULL);
    }
    printf("seed %" PRIu64 ": a crash at each of %zu commits: ok\n", seed, batches);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        run_seeds(strtoull(argv[1], NULL, 10), argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
        return 0;
    }
    run_seeds(1, 250);
    run_crash_points(1001);
    run_crash_points(1002);
    return 0;
}
