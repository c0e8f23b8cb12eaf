/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal: a terminal of its own for a program that draws: another screen, no cursor, keys as they
 * are pressed. It is given back whatever ends the program: terminal_close, exit(), a failed
 * assertion, a crash (SIGKILL alone cannot be seen). Signals that end or stop a program, and
 * changes of the terminal's size, come as events.
 *
 * Threading: one terminal a process, used by one thread. Other threads have all signals blocked:
 * those of the client do, and those that are started later inherit it.
 */
#ifndef ARGOSY_CLI_TERMINAL_H
#define ARGOSY_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

enum terminal_event {
    TERMINAL_NOTHING, /* the time is over, or wake_fd is readable */
    TERMINAL_KEY,
    TERMINAL_RESIZED, /* or it was ours again after a stop: draw everything */
    TERMINAL_ENDED,   /* a signal, or the terminal has gone */
};

/* Keys that are no character. */
enum { KEY_UP = 256, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_OTHER };

/* Whether standard input and output are one. */
bool terminal_is_there(void);

/* ERR_IO. */
int terminal_open(struct error *err);

/* Gives it back. May be called twice. */
void terminal_close(void);

/* Waits for an event: at most timeout_ms (-1: for ever), or until wake_fd is readable. */
enum terminal_event terminal_wait(int wake_fd, int timeout_ms, int *ret_key);

/* The signal that ended it; 0: none. */
int terminal_signal(void);

void terminal_size(uint32_t *ret_columns, uint32_t *ret_rows);

/* Shows lines in place of what is there. ERR_IO. */
int terminal_show(struct buffer *lines, struct error *err);

#endif
