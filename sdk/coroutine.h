/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine: a function on a stack of its own that can stop in the middle and go on later.
 *
 * coroutine_resume runs it until it yields or returns; coroutine_yield goes back to whoever resumed
 * it. Destroying a coroutine that has not returned drops it: its stack is not unwound. Stacks come
 * from a pool that keeps used ones, so that beginning a run costs no system call; each has a guard
 * below it, so that an overflow stops the coroutine instead of corrupting another one. Frames that
 * are larger than the guard (64 KiB) and touch nothing on their way may jump over it.
 *
 * One that runs for seconds without a yield is interrupted (coroutine_watch.h).
 *
 * An overflow, or an interruption, is left where it happened: what the code had locked stays
 * locked. Workflow code locks nothing; if it was the C library's allocator, the thread hangs at its
 * next allocation, and whoever watches the process (the supervisor) replaces it.
 *
 * The switch saves what the ABI says a callee must save and nothing else (x86-64, aarch64; ucontext
 * elsewhere, whose signal mask calls cost two system calls per switch). Address and thread
 * sanitizers are told of every switch.
 *
 * Threading: a pool and its coroutines belong to one thread.
 */
#ifndef ARGOSY_SDK_COROUTINE_H
#define ARGOSY_SDK_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct coroutine;
struct coroutine_pool;

typedef void coroutine_fn(void *argument);

/* A pool of stacks of stack_size bytes (whole pages) that keeps at most kept_max unused ones. NULL
 * when memory is exhausted. */
struct coroutine_pool *coroutine_pool_create(size_t stack_size, size_t kept_max);

/* All its coroutines must be destroyed. NULL is fine. */
void coroutine_pool_destroy(struct coroutine_pool *pool);

/* A coroutine that will run function(argument) when first resumed. ERR_MEMORY. */
int coroutine_create(struct coroutine_pool *pool, coroutine_fn *function, void *argument,
                     struct coroutine **ret_coroutine, struct error *err);

/* Runs it until it yields, returns, overflows its stack or is interrupted. It must have done none
 * of the last three, nor be running. */
void coroutine_resume(struct coroutine *coroutine);

/* From inside the running coroutine: back to coroutine_resume. */
void coroutine_yield(struct coroutine *coroutine);

bool coroutine_is_done(const struct coroutine *coroutine);

/* Whether it has overflowed its stack; it is then good for coroutine_destroy only. */
bool coroutine_has_overflowed(const struct coroutine *coroutine);

/* Whether it computed for too long; likewise. */
bool coroutine_was_interrupted(const struct coroutine *coroutine);

/* Whether address is on its stack. Asked by its own code. */
bool coroutine_holds(const struct coroutine *coroutine, const void *address);

/* What its code can use, in bytes. */
size_t coroutine_stack_size(const struct coroutine *coroutine);

/* For coroutine_guard.h, in a signal handler: when address is in the guard of the coroutine that
 * runs on this thread, makes the handler's return go back to its coroutine_resume. */
bool coroutine_overflow(const void *address, void *signal_context);

/* For coroutine_watch.h, in a signal handler, of the calling thread: whether a coroutine runs, how
 * often one was resumed, and the end of the one that runs: the handler's return goes back to its
 * coroutine_resume. False: it is just coming or going. */
bool coroutine_is_any_running(void);
uint64_t coroutine_resume_count(void);
bool coroutine_interrupt(void *signal_context);

/* Not while it runs. NULL is fine. */
void coroutine_destroy(struct coroutine *coroutine);

#endif
