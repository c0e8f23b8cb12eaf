/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: a counter-based random generator: the n-th number of a seed's sequence, in any order.
 *
 * It is splitmix64 (Steele, Lea, Flood, 2014), whose state is nothing but seed + n * constant: a
 * checkpoint keeps a place in the sequence as one number, and what a place gives depends on nothing
 * that came before. Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_RANDOM_H
#define ARGOSY_WORKER_GPU_TRAINER_RANDOM_H

#include <stdint.h>

static inline uint64_t random_at(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Uniform in [-1, 1), of 53 bits: exact. */
static inline double random_unit(uint64_t seed, uint64_t counter)
{
    return (double)(random_at(seed, counter) >> 11) * 0x1p-52 - 1.0;
}

/* Uniform in [0, bound); for bounds below 2^32 the bias is below 2^-32. */
static inline uint32_t random_below(uint64_t seed, uint64_t counter, uint32_t bound)
{
    return (uint32_t)(((unsigned __int128)random_at(seed, counter) * bound) >> 64);
}

#endif
