/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timing: how long one piece of work takes, from many runs of it.
 *
 * The best run says what the machine does when nothing else runs on it; the median beside it, what
 * it did. Short work is timed several runs at once, so that neither the clock nor waiting for a
 * device counts. Threading: one measurement at a time on a quiet machine, or it measures the
 * others.
 */
#ifndef KERNELS_BENCH_TIMING_H
#define KERNELS_BENCH_TIMING_H

#include <stdint.h>

/* Does the work `times` times and returns when it is done: 0, or a negative status. */
typedef int timed_work(void *context, uint32_t times);

struct timing {
    double best_s; /* seconds of one run */
    double median_s;
    uint32_t samples;
};

/* Runs work for about `seconds`, at least three times after a warm-up. Returns what work returned
 * when that is not 0. */
int timing_measure(timed_work *work, void *context, double seconds, struct timing *ret_timing);

#endif
