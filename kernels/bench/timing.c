/* SPDX-License-Identifier: Apache-2.0 */
/* timing: see timing.h. */
#include "kernels/bench/timing.h"

#include <stdlib.h>
#include <time.h>

#define SAMPLES_MAX 1024u
/* A sample is long against the clock (50 ns) and the wake-up of a team, short against a time slice
 * of the operating system. */
#define SAMPLE_S  1e-3
#define TIMES_MAX (1u << 20)

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int sample(timed_work *work, void *context, uint32_t times, double *ret_seconds)
{
    double begin = now_s();
    int r = work(context, times);

    *ret_seconds = now_s() - begin;
    return r;
}

/* The warm-up: how many runs make a sample of SAMPLE_S. */
static int count_times(timed_work *work, void *context, uint32_t *ret_times)
{
    uint32_t times = 1;

    for (;;) {
        double took;
        int r = sample(work, context, times, &took);
        if (r < 0)
            return r;
        if (took >= SAMPLE_S || times >= TIMES_MAX)
            break;
        times = took > SAMPLE_S / 1024 ? (uint32_t)(times * SAMPLE_S / took) + 1 : times * 1024;
    }
    *ret_times = times;
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int timing_measure(timed_work *work, void *context, double seconds, struct timing *ret_timing)
{
    double took[SAMPLES_MAX], total = 0;
    uint32_t times, count = 0;
    int r = count_times(work, context, &times);

    if (r < 0)
        return r;
    while (count < SAMPLES_MAX && (count < 3 || total < seconds)) {
        r = sample(work, context, times, &took[count]);
        if (r < 0)
            return r;
        total += took[count++];
    }
    qsort(took, count, sizeof(took[0]), by_size);
    *ret_timing = (struct timing){
        .best_s = took[0] / times, .median_s = took[count / 2] / times, .samples = count};
    return 0;
}
