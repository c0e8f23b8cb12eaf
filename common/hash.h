/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash: uthash and utlist, set up for the project: intrusive hash tables and linked lists.
 *
 * Running out of memory inside a hash table aborts (a table half updated cannot be trusted; the
 * process restarts and recovers from its log). Include this header, never <uthash.h> itself.
 */
#ifndef ARGOSY_COMMON_HASH_H
#define ARGOSY_COMMON_HASH_H

#include <stdlib.h>

#define uthash_fatal(message) abort()

#include <uthash.h>
#include <utlist.h>

#endif
