/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_name: whether the engine knows a task queue, so that a misspelt name is an error that helps
 * and not a queue in which nothing ever happens.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_QUEUE_NAME_H
#define ARGOSY_CLI_QUEUE_NAME_H

#include "cli/session.h"

/* ERR_NOT_FOUND, naming the nearest queue, when the engine was configured with none of that name,
 * no worker has polled one since it started, and nothing waits in one. */
int queue_name_check(struct session *session, const char *queue, struct error *err);

#endif
