/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_progress: what the last heartbeat of a task says of how far it is. Known are objects with
 * "done" and "total", or "step" and "steps", among other members: what the shipped activities send.
 * The engine tells the beginning of the details, so the object may end in the middle.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_TASK_PROGRESS_H
#define ARGOSY_CLI_TASK_PROGRESS_H

#include <stdbool.h>

struct task_progress {
    bool is_known;
    double done;
    double total; /* 0: not told */
};

/* Reads the beginning of a heartbeat's JSON; whatever it is. */
void task_progress_read(const char *details, struct task_progress *ret_progress);

#endif
