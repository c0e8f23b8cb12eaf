/* SPDX-License-Identifier: Apache-2.0 */
/* random: numbers to compute with. The same ones in every run. Threading: any thread. */
#ifndef KERNELS_BENCH_RANDOM_H
#define KERNELS_BENCH_RANDOM_H

#include <stdint.h>
#include <stdlib.h>

/* count numbers, uniform in [-spread, spread); the caller frees them. NULL: no memory. */
static inline float *random_floats(size_t count, float spread)
{
    uint64_t state = count;
    float *numbers = malloc(count * sizeof(*numbers));

    for (size_t i = 0; numbers && i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        numbers[i] = spread * ((float)(state >> 40) / (float)(1 << 23) - 1.0f);
    }
    return numbers;
}

#endif
