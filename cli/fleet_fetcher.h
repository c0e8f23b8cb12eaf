/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_fetcher: fetches the fleet (fleet_view.h) on a thread of its own, so that who draws it
 * answers keys meanwhile.
 *
 * Threading: the functions are for one thread; the session is the fetcher's until it is closed.
 */
#ifndef ARGOSY_CLI_FLEET_FETCHER_H
#define ARGOSY_CLI_FLEET_FETCHER_H

#include <stdbool.h>

#include "cli/fleet_view.h"

struct fleet_fetcher;

/* The question and the session are borrowed. ERR_IO, ERR_MEMORY. */
int fleet_fetcher_open(struct session *session, const struct fleet_question *question,
                       struct fleet_fetcher **ret_fetcher, struct error *err);

/* Waits for the call that is under way, if any. Accepts NULL. */
void fleet_fetcher_close(struct fleet_fetcher *fetcher);

/* Readable when an answer is there. */
int fleet_fetcher_fd(const struct fleet_fetcher *fetcher);

/* Asks; nothing while a question is open. */
void fleet_fetcher_ask(struct fleet_fetcher *fetcher);

/* True when there is an answer: *ret_code and the fleet, which the caller releases, or why not. */
bool fleet_fetcher_take(struct fleet_fetcher *fetcher, int *ret_code, json_t **ret_fleet,
                        struct error *err);

#endif
