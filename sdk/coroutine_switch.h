/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine_switch: the machine's part of a coroutine: leaving one stack for another.
 *
 * A context is where a stack stopped. context_switch stores the running one in *from and goes on in
 * *to; context_init makes one that begins with entry(argument), which must never return.
 */
#ifndef ARGOSY_SDK_COROUTINE_SWITCH_H
#define ARGOSY_SDK_COROUTINE_SWITCH_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__x86_64__) || defined(__aarch64__)
struct context {
    void *stack_pointer;
};
#else
#include <ucontext.h>
struct context {
    ucontext_t ucontext;
};
#endif

void context_init(struct context *context, void *stack, size_t size, void (*entry)(void *argument),
                  void *argument);
void context_switch(struct context *from, struct context *to);

/* In a signal handler with its third argument: the stack pointer of what was interrupted. NULL: not
 * on this machine. */
const void *context_stack(const void *signal_context);

/* In a signal handler with its third argument: lets the handler's return go on at the beginning of
 * *to, which is new from context_init. False: not on this machine. */
bool context_enter(const struct context *to, void *signal_context);

#endif
