/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine_switch: see coroutine_switch.h. Saved registers follow the System V ABI for x86-64 and
 * the procedure call standard for aarch64: what a callee must leave as it found it.
 */
#include "sdk/coroutine_switch.h"

#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#if defined(__x86_64__)

/* Frame at the stack pointer: floating-point control words, r15 r14 r13 r12 rbx rbp, address. */
__asm__(".text\n"
        ".p2align 4\n"
        ".local stack_switch\n"
        ".type stack_switch, @function\n"
        "stack_switch:\n" /* rdi: where to store rsp; rsi: the rsp to go to */
        "  pushq %rbp\n"
        "  pushq %rbx\n"
        "  pushq %r12\n"
        "  pushq %r13\n"
        "  pushq %r14\n"
        "  pushq %r15\n"
        "  subq $8, %rsp\n"
        "  stmxcsr (%rsp)\n"
        "  fnstcw 4(%rsp)\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  ldmxcsr (%rsp)\n"
        "  fldcw 4(%rsp)\n"
        "  addq $8, %rsp\n"
        "  popq %r15\n"
        "  popq %r14\n"
        "  popq %r13\n"
        "  popq %r12\n"
        "  popq %rbx\n"
        "  popq %rbp\n"
        "  ret\n"
        ".size stack_switch, . - stack_switch\n"
        ".p2align 4\n"
        ".local stack_begin\n"
        ".type stack_begin, @function\n"
        "stack_begin:\n" /* entry in r12, its argument in r13 */
        "  xorl %ebp, %ebp\n"
        "  movq %r13, %rdi\n"
        "  callq *%r12\n"
        "  ud2\n"
        ".size stack_begin, . - stack_begin\n");

void stack_switch(void **from, void *to);
void stack_begin(void);

void context_init(struct context *context, void *stack, size_t size, void (*entry)(void *argument),
                  void *argument)
{
    uint64_t *top = (uint64_t *)((char *)stack + size);
    *--top = 0; /* keeps the stack aligned to 16 at stack_begin's call, and ends back traces */
    *--top = 0;
    *--top = (uint64_t)(uintptr_t)stack_begin;
    *--top = 0;                          /* rbp */
    *--top = 0;                          /* rbx */
    *--top = (uint64_t)(uintptr_t)entry; /* r12 */
    *--top = (uint64_t)(uintptr_t)argument;
    *--top = 0;                        /* r14 */
    *--top = 0;                        /* r15 */
    *--top = UINT64_C(0x037f00001f80); /* default x87 and SSE control words */
    context->stack_pointer = top;
}

void context_switch(struct context *from, struct context *to)
{
    stack_switch(&from->stack_pointer, to->stack_pointer);
}

const void *context_stack(const void *signal_context)
{
    return (const void *)((const ucontext_t *)signal_context)->uc_mcontext.gregs[REG_RSP];
}

bool context_enter(const struct context *to, void *signal_context)
{
    greg_t *registers = ((ucontext_t *)signal_context)->uc_mcontext.gregs;
    const uint64_t *frame = to->stack_pointer;
    registers[REG_R13] = (greg_t)frame[3];
    registers[REG_R12] = (greg_t)frame[4];
    registers[REG_RIP] = (greg_t)frame[7];
    registers[REG_RSP] = (greg_t)(uintptr_t)(frame + 8);
    registers[REG_EFL] &= ~INT64_C(0x400); /* the direction flag: up, as functions expect it */
    return true;
}

#elif defined(__aarch64__)

/* Frame at the stack pointer, 160 bytes: x19 to x30, d8 to d15. */
__asm__(".text\n"
        ".p2align 4\n"
        ".local stack_switch\n"
        ".type stack_switch, %function\n"
        "stack_switch:\n" /* x0: where to store sp; x1: the sp to go to */
        "  sub sp, sp, #160\n"
        "  stp x19, x20, [sp, #0]\n"
        "  stp x21, x22, [sp, #16]\n"
        "  stp x23, x24, [sp, #32]\n"
        "  stp x25, x26, [sp, #48]\n"
        "  stp x27, x28, [sp, #64]\n"
        "  stp x29, x30, [sp, #80]\n"
        "  stp d8, d9, [sp, #96]\n"
        "  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n"
        "  stp d14, d15, [sp, #144]\n"
        "  mov x9, sp\n"
        "  str x9, [x0]\n"
        "  mov sp, x1\n"
        "  ldp x19, x20, [sp, #0]\n"
        "  ldp x21, x22, [sp, #16]\n"
        "  ldp x23, x24, [sp, #32]\n"
        "  ldp x25, x26, [sp, #48]\n"
        "  ldp x27, x28, [sp, #64]\n"
        "  ldp x29, x30, [sp, #80]\n"
        "  ldp d8, d9, [sp, #96]\n"
        "  ldp d10, d11, [sp, #112]\n"
        "  ldp d12, d13, [sp, #128]\n"
        "  ldp d14, d15, [sp, #144]\n"
        "  add sp, sp, #160\n"
        "  ret\n"
        ".size stack_switch, . - stack_switch\n"
        ".p2align 4\n"
        ".local stack_begin\n"
        ".type stack_begin, %function\n"
        "stack_begin:\n" /* entry in x19, its argument in x20 */
        "  mov x29, xzr\n"
        "  mov x30, xzr\n"
        "  mov x0, x20\n"
        "  blr x19\n"
        "  brk #1\n"
        ".size stack_begin, . - stack_begin\n");

void stack_switch(void **from, void *to);
void stack_begin(void);

void context_init(struct context *context, void *stack, size_t size, void (*entry)(void *argument),
                  void *argument)
{
    uint64_t *frame = (uint64_t *)((char *)stack + size - 160);
    memset(frame, 0, 160);
    frame[0] = (uint64_t)(uintptr_t)entry;
    frame[1] = (uint64_t)(uintptr_t)argument;
    frame[11] = (uint64_t)(uintptr_t)stack_begin;
    context->stack_pointer = frame;
}

void context_switch(struct context *from, struct context *to)
{
    stack_switch(&from->stack_pointer, to->stack_pointer);
}

const void *context_stack(const void *signal_context)
{
    return (const void *)((const ucontext_t *)signal_context)->uc_mcontext.sp;
}

bool context_enter(const struct context *to, void *signal_context)
{
    mcontext_t *registers = &((ucontext_t *)signal_context)->uc_mcontext;
    const uint64_t *frame = to->stack_pointer;
    registers->regs[19] = frame[0];
    registers->regs[20] = frame[1];
    registers->pc = frame[11];
    registers->sp = (uintptr_t)frame + 160;
    return true;
}

#else

/* makecontext passes ints only: two halves of a pointer each. */
static void begin(unsigned entry_high, unsigned entry_low, unsigned argument_high,
                  unsigned argument_low)
{
    void (*entry)(void *) = (void (*)(void *))(uintptr_t)((uint64_t)entry_high << 32 | entry_low);
    entry((void *)(uintptr_t)((uint64_t)argument_high << 32 | argument_low));
}

void context_init(struct context *context, void *stack, size_t size, void (*entry)(void *argument),
                  void *argument)
{
    uint64_t entry_bits = (uintptr_t)entry;
    uint64_t argument_bits = (uintptr_t)argument;
    getcontext(&context->ucontext);
    context->ucontext.uc_stack = (stack_t){.ss_sp = stack, .ss_size = size};
    context->ucontext.uc_link = NULL;
    makecontext(&context->ucontext, (void (*)(void))begin, 4, (unsigned)(entry_bits >> 32),
                (unsigned)entry_bits, (unsigned)(argument_bits >> 32), (unsigned)argument_bits);
}

void context_switch(struct context *from, struct context *to)
{
    swapcontext(&from->ucontext, &to->ucontext);
}

const void *context_stack(const void *signal_context)
{
    (void)signal_context;
    return NULL;
}

bool context_enter(const struct context *to, void *signal_context)
{
    (void)to, (void)signal_context;
    return false;
}

#endif
