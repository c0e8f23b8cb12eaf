/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parallel: one piece of work on several cores, for the length of a call. Threads are made for the
 * call: some 30 us each, against searches of milliseconds.
 *
 * Threading: any thread, several calls at once.
 */
#ifndef ARGOSY_STORAGE_PARALLEL_H
#define ARGOSY_STORAGE_PARALLEL_H

#define PARALLEL_THREADS_MAX 32

/* Cores this process may run on, at most PARALLEL_THREADS_MAX. */
unsigned parallel_thread_count(void);

/* Calls work(context, i) for i from 0 to count - 1, each on a thread of its own, 0 on the caller's,
 * and returns when all have. count is at most PARALLEL_THREADS_MAX. Where a thread cannot be had
 * its call is left out: works share what is to do between them, so that any number completes it. */
void parallel_run(unsigned count, void (*work)(void *context, unsigned index), void *context);

#endif
