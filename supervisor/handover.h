/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover: a supervisor is replaced in place by a new one, under children that go on running
 * (docs/spec/04-supervision.md, section "Upgrade"). It writes down what it knows of them, and
 * becomes the new program by exec: the process id, and with it the children, the descriptors, the
 * lock of the data folder and the listening socket stay.
 *
 * What is written is text, so that another version can read it: a word and key=value pairs on each
 * line, in a memfd that ARGOSY_TAKEOVER_FD names. A key that is missing is zero; one that is
 * unknown, or malformed, makes the state unreadable, and then nothing is replaced: the new program
 * is asked first (handover_try).
 *
 * Not handed over: the link and the helper for GPUs, which are replaced; latest log lines, and a
 * line that had come in part.
 *
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_HANDOVER_H
#define ARGOSY_SUPERVISOR_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "supervisor/node.h"

#define HANDOVER_ENV_FD "ARGOSY_TAKEOVER_FD"
/* Some 300 bytes for each process, and 80 for each of its deaths. */
#define HANDOVER_SIZE_MAX ((size_t)8 * 1024 * 1024)

struct handover;

/* Reads what the environment names. NULL without an error when there is nothing. ERR_INVALID,
 * ERR_MEMORY. handover_destroy frees it; the descriptors in it are its node's. */
int handover_read(struct handover **ret_handover, struct error *err);

/* Accepts NULL. */
void handover_destroy(struct handover *handover);

/* What the program needs before there is a node. */
const char *handover_config_path(const struct handover *handover); /* the effective one */
int handover_http_fd(const struct handover *handover);             /* -1: none */
int handover_lock_fd(const struct handover *handover);
void handover_scale(const struct handover *handover, struct plan_source *source, struct plan *plan);

/* Gives a node that was opened the processes that run, and replaces those that are not handed over.
 * Whoever the plan does not have, which cannot be, is killed. */
void handover_apply(const struct handover *handover, struct node *node);

/* Asks the program at this node's own path whether it could take over; waits a few seconds at most.
 * ERR_STATE: not now, ERR_UNAVAILABLE: it cannot. */
int handover_try(const struct node *node, struct error *err);

/* Becomes it. Returns only when that failed, with everything as it was. */
int handover_exec(struct node *node, struct error *err);

#endif
