/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine_guard: what happens when a coroutine writes to the guard below its stack.
 *
 * One handler of SIGSEGV and SIGBUS for the process, on an alternate signal stack of the thread; it
 * asks coroutine_overflow and hands on what is no overflow to the handler there was before.
 *
 * Threading: any thread.
 */
#ifndef ARGOSY_SDK_COROUTINE_GUARD_H
#define ARGOSY_SDK_COROUTINE_GUARD_H

/* Makes the calling thread fit for overflows; cheap when it is. Where it fails an overflow ends the
 * process, as it does in a thread that never called it. */
void coroutine_guard_thread(void);

#endif
