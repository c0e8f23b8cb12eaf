/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine: see coroutine.h.
 *
 * Layout of one mapping, low to high: guard, stack (grows down), struct coroutine at the top.
 */
#include "sdk/coroutine.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/assert.h"
#include "sdk/coroutine_guard.h"
#include "sdk/coroutine_switch.h"
#include "sdk/coroutine_watch.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Address space, no memory. Larger than the frames that people write without thinking. */
#define GUARD_SIZE (64 * 1024)

struct coroutine {
    struct context context; /* where it stopped */
    struct context caller;  /* where coroutine_resume stopped */
    coroutine_fn *function;
    void *argument;
    struct coroutine_pool *pool;
    struct coroutine *next; /* unused ones in the pool */
    char *stack;            /* above the guard */
    size_t stack_size;
    struct coroutine *outer; /* what runs on this thread when this one does not */
    bool is_running;
    bool is_done;
    bool has_overflowed;
    bool was_interrupted;
#ifdef WITH_ASAN
    void *fake_stack;
    const void *caller_stack;
    size_t caller_stack_size;
#endif
#ifdef WITH_TSAN
    void *fiber;
    void *caller_fiber;
#endif
};

struct coroutine_pool {
    size_t mapping_size;
    size_t kept_max;
    size_t kept;
    size_t used;
    struct coroutine *unused;
};

/* What runs on this thread; NULL: no coroutine. */
static _Thread_local struct coroutine *running;

/* How often one was resumed on this thread. */
static _Thread_local uint64_t resume_count;

/* Left in the middle for good. */
static bool is_lost(const struct coroutine *coroutine)
{
    return coroutine->has_overflowed || coroutine->was_interrupted;
}

/* ---- sanitizers: told before and after each switch ---- */

static void enter_begin(struct coroutine *coroutine, void **ret_fake_stack)
{
    (void)coroutine, (void)ret_fake_stack;
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(ret_fake_stack, coroutine->stack, coroutine->stack_size);
#endif
#ifdef WITH_TSAN
    coroutine->caller_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(coroutine->fiber, 0);
#endif
}

static void enter_end(struct coroutine *coroutine)
{
    (void)coroutine;
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(coroutine->fake_stack, &coroutine->caller_stack,
                                    &coroutine->caller_stack_size);
#endif
}

static void leave_begin(struct coroutine *coroutine)
{
    (void)coroutine;
#ifdef WITH_ASAN
    /* NULL tells that the stack being left will not be used again. */
    bool is_last = coroutine->is_done || is_lost(coroutine);
    __sanitizer_start_switch_fiber(is_last ? NULL : &coroutine->fake_stack, coroutine->caller_stack,
                                   coroutine->caller_stack_size);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(coroutine->caller_fiber, 0);
#endif
}

static void leave_end(void *fake_stack)
{
    (void)fake_stack;
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

/* ---- running ---- */

static void run(void *argument)
{
    struct coroutine *coroutine = argument;
    enter_end(coroutine);
    coroutine->function(coroutine->argument);
    coroutine->is_done = true;
    leave_begin(coroutine);
    context_switch(&coroutine->context, &coroutine->caller);
    UNREACHABLE();
}

void coroutine_resume(struct coroutine *coroutine)
{
    ASSERT(!coroutine->is_running && !coroutine->is_done && !is_lost(coroutine));
    void *fake_stack = NULL;
    coroutine_guard_thread();
    resume_count++;
    coroutine_watch_thread();
    coroutine->outer = running;
    coroutine->is_running = true;
    running = coroutine;
    enter_begin(coroutine, &fake_stack);
    context_switch(&coroutine->caller, &coroutine->context);
    leave_end(fake_stack);
    running = coroutine->outer;
    coroutine->is_running = false;
}

void coroutine_yield(struct coroutine *coroutine)
{
    ASSERT(coroutine->is_running);
    leave_begin(coroutine);
    context_switch(&coroutine->context, &coroutine->caller);
    enter_end(coroutine);
}

bool coroutine_is_done(const struct coroutine *coroutine)
{
    return coroutine->is_done;
}

bool coroutine_has_overflowed(const struct coroutine *coroutine)
{
    return coroutine->has_overflowed;
}

bool coroutine_was_interrupted(const struct coroutine *coroutine)
{
    return coroutine->was_interrupted;
}

bool coroutine_holds(const struct coroutine *coroutine, const void *address)
{
    const char *at = address;
#ifdef WITH_ASAN
    /* Locals may be in frames of the sanitizer's own. */
    void *frames = __asan_get_current_fake_stack();
    if (__asan_addr_is_in_fake_stack(frames, (void *)at, NULL, NULL) != NULL)
        return true;
#endif
    return at >= coroutine->stack && at < coroutine->stack + coroutine->stack_size;
}

size_t coroutine_stack_size(const struct coroutine *coroutine)
{
    return coroutine->stack_size;
}

/* ---- overflows and interruptions ---- */

/* Begins on the lost stack's top: nothing there is needed any more. */
static void leave_lost(void *argument)
{
    struct coroutine *coroutine = argument;
    leave_begin(coroutine);
    context_switch(&coroutine->context, &coroutine->caller);
    UNREACHABLE();
}

static void unpoison(struct coroutine *coroutine)
{
    (void)coroutine;
#ifdef WITH_ASAN
    /* A dropped stack keeps the red zones of its frames. */
    __asan_unpoison_memory_region(coroutine->stack, coroutine->stack_size);
#endif
}

/* Lets the signal handler's return go back to its coroutine_resume. */
static bool abandon(struct coroutine *coroutine, void *signal_context)
{
    unpoison(coroutine);
    context_init(&coroutine->context, coroutine->stack, coroutine->stack_size, leave_lost,
                 coroutine);
    return context_enter(&coroutine->context, signal_context);
}

bool coroutine_overflow(const void *address, void *signal_context)
{
    struct coroutine *coroutine = running;
    if (coroutine == NULL || (const char *)address >= coroutine->stack ||
        (const char *)address < coroutine->stack - GUARD_SIZE)
        return false;
    coroutine->has_overflowed = true;
    return abandon(coroutine, signal_context);
}

bool coroutine_is_any_running(void)
{
    return running != NULL;
}

uint64_t coroutine_resume_count(void)
{
    return resume_count;
}

bool coroutine_interrupt(void *signal_context)
{
    struct coroutine *coroutine = running;
    const char *at = context_stack(signal_context);
    /* On its way in or out it is on another stack. */
    if (coroutine == NULL || at < coroutine->stack ||
        at >= coroutine->stack + coroutine->stack_size)
        return false;
    coroutine->was_interrupted = true;
    return abandon(coroutine, signal_context);
}

/* ---- stacks ---- */

struct coroutine_pool *coroutine_pool_create(size_t stack_size, size_t kept_max)
{
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    struct coroutine_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->mapping_size = GUARD_SIZE + (stack_size + page_size - 1) / page_size * page_size;
    pool->kept_max = kept_max;
    return pool;
}

static void coroutine_unmap(struct coroutine *coroutine)
{
    munmap(coroutine->stack - GUARD_SIZE, coroutine->pool->mapping_size);
}

void coroutine_pool_destroy(struct coroutine_pool *pool)
{
    if (pool == NULL)
        return;
    ASSERT(pool->used == 0);
    while (pool->unused != NULL) {
        struct coroutine *coroutine = pool->unused;
        pool->unused = coroutine->next;
        coroutine_unmap(coroutine);
    }
    free(pool);
}

static struct coroutine *coroutine_map(struct coroutine_pool *pool)
{
    char *mapping = mmap(NULL, pool->mapping_size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    if (mprotect(mapping, GUARD_SIZE, PROT_NONE) < 0) {
        munmap(mapping, pool->mapping_size);
        return NULL;
    }
    size_t top = (pool->mapping_size - sizeof(struct coroutine)) / 64 * 64;
    struct coroutine *coroutine = (struct coroutine *)(void *)(mapping + top);
    coroutine->pool = pool;
    coroutine->stack = mapping + GUARD_SIZE;
    coroutine->stack_size = top - GUARD_SIZE;
    return coroutine;
}

int coroutine_create(struct coroutine_pool *pool, coroutine_fn *function, void *argument,
                     struct coroutine **ret_coroutine, struct error *err)
{
    struct coroutine *coroutine = pool->unused;
    if (coroutine != NULL) {
        pool->unused = coroutine->next;
        pool->kept--;
    } else {
        coroutine = coroutine_map(pool);
        if (coroutine == NULL)
            return error_set(err, ERR_MEMORY, "could not map a stack");
    }
    coroutine->function = function;
    coroutine->argument = argument;
    coroutine->is_running = false;
    coroutine->is_done = false;
    coroutine->has_overflowed = false;
    coroutine->was_interrupted = false;
    context_init(&coroutine->context, coroutine->stack, coroutine->stack_size, run, coroutine);
#ifdef WITH_ASAN
    coroutine->fake_stack = NULL;
#endif
#ifdef WITH_TSAN
    coroutine->fiber = __tsan_create_fiber(0);
#endif
    pool->used++;
    *ret_coroutine = coroutine;
    return 0;
}

void coroutine_destroy(struct coroutine *coroutine)
{
    if (coroutine == NULL)
        return;
    ASSERT(!coroutine->is_running);
    struct coroutine_pool *pool = coroutine->pool;
    unpoison(coroutine);
#ifdef WITH_TSAN
    __tsan_destroy_fiber(coroutine->fiber);
#endif
    pool->used--;
    if (pool->kept >= pool->kept_max) {
        coroutine_unmap(coroutine);
        return;
    }
    coroutine->next = pool->unused;
    pool->unused = coroutine;
    pool->kept++;
}
