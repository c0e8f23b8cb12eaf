/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A team of threads that share one piece of work at a time. The thread that calls team_run is its
 * first member; the others wait, spinning for some microseconds after each piece (the next
 * operation of a forward pass follows at once) and then sleeping, so that an idle team costs
 * nothing. OpenMP is not used: it pins and counts threads by environment variables, and what it
 * does cannot be seen by the thread sanitizer.
 */
#ifndef KERNELS_CPU_TEAM_H
#define KERNELS_CPU_TEAM_H

#include <stdint.h>

struct team;

/* One item of the work, done by member `thread` (0 is the caller of team_run). */
typedef void (*team_work)(const void *work, uint32_t item, uint32_t thread);

/* threads >= 1, the caller included. cores: NULL, or `threads` core numbers of which all but the
 * first are used to pin the members. Errors: NO_MEMORY, SYSTEM (a thread or its pinning was
 * refused). */
int team_create(uint32_t threads, const uint32_t *cores, struct team **ret_team);
void team_destroy(struct team *team); /* accepts NULL */

uint32_t team_threads(const struct team *team);

/* Runs do_item for every item in [0, items), in no order, and returns when all are done. One
 * caller at a time; a single item runs on the calling thread without waking anybody. */
void team_run(struct team *team, team_work do_item, const void *work, uint32_t items);

#endif
