/* SPDX-License-Identifier: Apache-2.0 */
/* coroutine_guard: see coroutine_guard.h. Everything on_fault calls is async-signal-safe. */
#include "sdk/coroutine_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "sdk/coroutine.h"

/* Of handlers that run on it: ours takes a frame or two, a sanitizer's or a debugger's more. */
#define SIGNAL_STACK_SIZE (64 * 1024)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t stack_key; /* unmaps a thread's signal stack at its end */
static bool is_installed;
static struct sigaction segv_before;
static struct sigaction bus_before;

static void hand_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *before = number == SIGSEGV ? &segv_before : &bus_before;
    if ((before->sa_flags & SA_SIGINFO) != 0)
        before->sa_sigaction(number, info, context);
    else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
        before->sa_handler(number);
    else
        sigaction(number, before, NULL); /* the access is tried again, and ends the process */
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    if (!coroutine_overflow(info->si_addr, context))
        hand_on(number, info, context);
}

static void unmap_stack(void *stack)
{
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    munmap(stack, SIGNAL_STACK_SIZE);
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    is_installed = pthread_key_create(&stack_key, unmap_stack) == 0 &&
                   sigaction(SIGSEGV, &action, &segv_before) == 0 &&
                   sigaction(SIGBUS, &action, &bus_before) == 0;
}

/* A signal stack, where the thread has none yet. */
static void give_stack(void)
{
    stack_t present;
    if (sigaltstack(NULL, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0)
        return;
    void *stack = mmap(NULL, SIGNAL_STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return;
    if (pthread_setspecific(stack_key, stack) != 0 ||
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = SIGNAL_STACK_SIZE}, NULL) != 0) {
        pthread_setspecific(stack_key, NULL);
        munmap(stack, SIGNAL_STACK_SIZE);
    }
}

void coroutine_guard_thread(void)
{
    static _Thread_local bool is_guarded;
    if (is_guarded)
        return;
    is_guarded = true;
    pthread_once(&once, install);
    if (is_installed)
        give_stack();
}
