/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_lookup: reads closed runs from the store on the core's behalf.
 *
 * Threading: the server's thread.
 */
#ifndef ARGOSY_ENGINE_SERVER_LOOKUP_H
#define ARGOSY_ENGINE_SERVER_LOOKUP_H

#include "common/arena.h"
#include "engine/core.h"
#include "engine/store.h"

/* Looks need up; a run that is not there gives 0 and found = false. Strings and records are in
 * arena. ERR_LIMIT when the log does not fit there; ERR_STORAGE, ERR_CORRUPT. */
int server_lookup(struct store *store, const struct core_need *need, struct arena *arena,
                  struct core_lookup *ret_lookup, struct error *err);

#endif
