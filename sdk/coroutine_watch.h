/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine_watch: ends a coroutine that computes and computes and never yields: an endless loop in
 * workflow code, which would hold its thread, and all other runs on it, for ever.
 *
 * It goes by the thread's processor time, so that a busy machine makes nobody look guilty: a
 * coroutine that used between one and two COROUTINE_WATCH_NS without a yield is left where it is
 * (coroutine_interrupt), as an overflow is. One inside the C library, which may hold a lock, is
 * looked at again in a moment. Code that waits (sleeps, locks, reads) uses no time and is not found
 * here: whoever watches the process (the supervisor) replaces it.
 *
 * A timer of the thread's own, armed while coroutines run, and SIGVTALRM, which the thread
 * unblocks; a handler that was there before gets the signals that are not ours.
 *
 * Threading: any thread.
 */
#ifndef ARGOSY_SDK_COROUTINE_WATCH_H
#define ARGOSY_SDK_COROUTINE_WATCH_H

#include "common/clock.h"

#define COROUTINE_WATCH_NS (2 * NS_PER_S)

/* A coroutine is about to run on the calling thread. Cheap while the watch is on. Where it cannot
 * be had (a sanitizer of threads, which holds signals back) nothing is watched. */
void coroutine_watch_thread(void);

#endif
