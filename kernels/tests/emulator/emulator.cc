/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of fibers (cuda_runtime.h here).
 *
 * Fibers are started by ucontext and switched by _setjmp and _longjmp, which make no system call.
 * Between two barriers of its block each warp runs as far as it can while the others stand still,
 * forwards and backwards in turn: a barrier that a kernel forgot shows as a wrong result. Threads
 * of a warp must meet at the same shuffle, warps at the same barrier; anything else is a fault of
 * the kernel.
 */
#include "kernels/tests/emulator/cuda_runtime.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <vector>

#define FIBER_STACK_BYTES (128u * 1024u)
#define WARP_LANES        32u
#define THREADS_MAX       EMULATOR_THREADS_MAX

enum wait_kind { WAIT_NONE, WAIT_BLOCK, WAIT_SHUFFLE, WAIT_END };

struct fiber {
    ucontext_t start;
    jmp_buf at;
    bool is_started;
    enum wait_kind wait;
    float published;
    std::vector<char> stack;
};

dim3 threadIdx(0), blockIdx(0), blockDim(1), gridDim(1);

static std::vector<fiber> fibers;
static size_t current;
static jmp_buf scheduler;
static const std::function<void()> *thread_body;

[[noreturn]] static void kernel_fault(const char *what)
{
    fprintf(stderr, "emulator: block (%u, %u, %u), thread %zu: %s\n", blockIdx.x, blockIdx.y,
            blockIdx.z, current, what);
    abort();
}

/* ---- fibers ---- */

static void fiber_yield(enum wait_kind wait)
{
    fibers[current].wait = wait;
    if (_setjmp(fibers[current].at) == 0)
        _longjmp(scheduler, 1);
}

/* A fiber lives on: after the end it is a thread of the next block. */
static void fiber_main()
{
    for (;;) {
        (*thread_body)();
        fiber_yield(WAIT_END);
    }
}

/* Runs one fiber to where it waits next. */
static void fiber_resume(size_t index)
{
    struct fiber *fiber = &fibers[index];

    current = index;
    threadIdx = dim3((uint32_t)index % blockDim.x, (uint32_t)index / blockDim.x % blockDim.y,
                     (uint32_t)index / blockDim.x / blockDim.y);
    if (_setjmp(scheduler) != 0)
        return;
    if (fiber->is_started)
        _longjmp(fiber->at, 1);
    fiber->is_started = true;
    fiber->stack.resize(FIBER_STACK_BYTES);
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = fiber->stack.data();
    fiber->start.uc_stack.ss_size = fiber->stack.size();
    fiber->start.uc_link = nullptr;
    makecontext(&fiber->start, fiber_main, 0);
    setcontext(&fiber->start);
}

/* Runs a warp through its shuffles to the block's next barrier or the end. */
static void warp_run(size_t first, size_t end)
{
    do {
        for (size_t i = first; i < end; i++) {
            fiber_resume(i);
            if (fibers[i].wait != fibers[first].wait)
                kernel_fault("waits where another thread of its warp does not");
        }
    } while (fibers[first].wait == WAIT_SHUFFLE);
}

static void block_run(size_t threads)
{
    size_t warps = (threads + WARP_LANES - 1) / WARP_LANES;
    bool is_backward = false;

    do {
        for (size_t i = 0; i < warps; i++) {
            size_t warp = is_backward ? warps - 1 - i : i;
            size_t first = warp * WARP_LANES;
            warp_run(first, first + WARP_LANES < threads ? first + WARP_LANES : threads);
            if (i > 0 &&
                fibers[first].wait != fibers[is_backward ? (warps - 1) * WARP_LANES : 0].wait)
                kernel_fault("waits where another warp of its block does not");
        }
        is_backward = !is_backward;
    } while (fibers[0].wait != WAIT_END);
}

void emulator_blocks(dim3 grid, dim3 block, const std::function<void()> &thread)
{
    size_t threads = (size_t)block.x * block.y * block.z;

    if (fibers.empty())
        fibers.resize(THREADS_MAX); /* once: a fiber must not move */
    thread_body = &thread;
    blockDim = block;
    gridDim = grid;
    for (uint32_t z = 0; z < grid.z; z++)
        for (uint32_t y = 0; y < grid.y; y++)
            for (uint32_t x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                block_run(threads);
            }
}

void __syncthreads()
{
    fiber_yield(WAIT_BLOCK);
}

/* A warp's lanes meet as they do at a shuffle. */
void __syncwarp()
{
    fiber_yield(WAIT_SHUFFLE);
}

/* Every lane publishes, then reads: two rounds, so that nobody publishes again before all read. */
static float shuffle(unsigned mask, float value, uint32_t lane)
{
    size_t index = current;

    if (mask != 0xffffffffu)
        kernel_fault("shuffles with a part of its warp");
    fibers[index].published = value;
    fiber_yield(WAIT_SHUFFLE);
    float result = fibers[index / WARP_LANES * WARP_LANES + lane % WARP_LANES].published;
    fiber_yield(WAIT_SHUFFLE);
    return result;
}

float __shfl_xor_sync(unsigned mask, float value, int lane_mask)
{
    return shuffle(mask, value, (uint32_t)(current % WARP_LANES) ^ (uint32_t)lane_mask);
}

float __shfl_sync(unsigned mask, float value, int lane)
{
    return shuffle(mask, value, (uint32_t)lane);
}
