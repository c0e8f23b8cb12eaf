/* SPDX-License-Identifier: Apache-2.0 */
/* coroutine_watch: see coroutine_watch.h. Everything on_timer calls is async-signal-safe. */
#include "sdk/coroutine_watch.h"

#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "sdk/coroutine.h"

/* The thread sanitizer holds signals back until the code calls something. */
#define IS_SUPPORTED true
#if defined(__SANITIZE_THREAD__)
#undef IS_SUPPORTED
#define IS_SUPPORTED false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef IS_SUPPORTED
#define IS_SUPPORTED false
#endif
#endif

/* Not in every C library's headers. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* When to look again at one that is inside the C library. */
#define AGAIN_NS (10 * NS_PER_MS)

/* Code that may hold locks of the whole process: libraries by name, and the dynamic linker. */
#define RANGE_MAX 8
static const char *const locking_names[] = {"/libc.so", "/libc-", "/ld-", "/libasan", "/liblsan"};

struct range {
    uintptr_t start;
    uintptr_t end;
};

/* One for each thread that runs coroutines. */
struct watch {
    timer_t timer;
    bool has_timer;
    volatile sig_atomic_t is_armed;
    uint64_t resume_count; /* when the timer was armed */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t watch_key; /* deletes a thread's timer at its end */
static bool is_installed;
static struct sigaction before;
static struct range locking[RANGE_MAX];
static size_t locking_count;

static _Thread_local struct watch watch;

static int note_library(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    bool is_locking = false;
    for (size_t i = 0; i < sizeof locking_names / sizeof locking_names[0]; i++)
        is_locking = is_locking || strstr(info->dlpi_name, locking_names[i]) != NULL;
    for (int i = 0; is_locking && i < info->dlpi_phnum && locking_count < RANGE_MAX; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
            uintptr_t start = info->dlpi_addr + header->p_vaddr;
            locking[locking_count++] = (struct range){start, start + header->p_memsz};
        }
    }
    return 0;
}

static uintptr_t program_counter(const void *signal_context)
{
    const mcontext_t *registers = &((const ucontext_t *)signal_context)->uc_mcontext;
#if defined(__x86_64__)
    return (uintptr_t)registers->gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)registers->pc;
#else
    (void)registers;
    return 0;
#endif
}

static bool may_hold_lock(const void *signal_context)
{
    uintptr_t at = program_counter(signal_context);
    for (size_t i = 0; i < locking_count; i++) {
        if (at >= locking[i].start && at < locking[i].end)
            return true;
    }
    return false;
}

static void arm(uint64_t after_ns)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(after_ns / NS_PER_S),
                                           .tv_nsec = (long)(after_ns % NS_PER_S)}};
    watch.resume_count = coroutine_resume_count();
    watch.is_armed = timer_settime(watch.timer, 0, &when, NULL) == 0;
}

static void hand_on(int number, siginfo_t *info, void *context)
{
    if ((before.sa_flags & SA_SIGINFO) != 0)
        before.sa_sigaction(number, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(number);
}

static void on_timer(int number, siginfo_t *info, void *context)
{
    if (info->si_code != SI_TIMER || info->si_value.sival_ptr != &watch) {
        hand_on(number, info, context);
        return;
    }
    watch.is_armed = false;
    if (!coroutine_is_any_running())
        return; /* the next one arms it */
    if (watch.resume_count != coroutine_resume_count())
        arm(COROUTINE_WATCH_NS);
    else if (may_hold_lock(context) || !coroutine_interrupt(context))
        arm(AGAIN_NS);
}

static void delete_timer(void *argument)
{
    struct watch *own = argument;
    timer_delete(own->timer);
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_timer,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    dl_iterate_phdr(note_library, NULL);
    is_installed = pthread_key_create(&watch_key, delete_timer) == 0 &&
                   sigaction(SIGVTALRM, &action, &before) == 0;
}

static void give_timer(void)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM, .sigev_value.sival_ptr = &watch};
    event.sigev_notify_thread_id = gettid();
    pthread_once(&once, install);
    if (!is_installed || timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &watch.timer) != 0)
        return;
    watch.has_timer = pthread_setspecific(watch_key, &watch) == 0;
    if (!watch.has_timer) {
        timer_delete(watch.timer);
        return;
    }
    /* A thread of a program that takes its signals elsewhere begins with all of them blocked. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGVTALRM);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

void coroutine_watch_thread(void)
{
    static _Thread_local bool was_tried;
    if (IS_SUPPORTED && !was_tried) {
        was_tried = true;
        give_timer();
    }
    if (watch.has_timer && !watch.is_armed)
        arm(COROUTINE_WATCH_NS);
}
