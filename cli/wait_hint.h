/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait_hint: why a task is not taken: no worker polls its queue, or none of those that do knows its
 * type. Only hints: where the engine cannot be asked, nothing is said. Threading: none.
 */
#ifndef ARGOSY_CLI_WAIT_HINT_H
#define ARGOSY_CLI_WAIT_HINT_H

#include <jansson.h>

#include "cli/session.h"

/* On standard error, for a run that was just started. */
void wait_hint_start(struct session *session, const char *type, const char *queue);

/* On standard output, for the tasks that a run waits for; description is the API's answer. */
void wait_hint_describe(struct session *session, const json_t *description);

#endif
