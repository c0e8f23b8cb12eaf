/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start_hint: says on standard error when a run that was just started has nobody to serve it: no
 * worker polls its queue, or none of those that do knows its type. Threading: none.
 */
#ifndef ARGOSY_CLI_START_HINT_H
#define ARGOSY_CLI_START_HINT_H

#include "cli/session.h"

/* Only a hint: what goes wrong here changes nothing. */
void start_hint(struct session *session, const char *type, const char *queue);

#endif
