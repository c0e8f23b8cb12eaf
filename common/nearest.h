/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest: the known name closest to a misspelt one, for error messages that help.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_COMMON_NEAREST_H
#define ARGOSY_COMMON_NEAREST_H

#include <stddef.h>

/* The entry of names (count of them, none NULL) with the smallest edit distance (insert, delete,
 * replace, swap neighbours) to name, when that is at most a third of name's length, and at least
 * 1 is allowed; else the only entry that begins with name, when name has at least 3 bytes ("grace":
 * "grace_ms"); NULL when none is near. Borrowed from names. */
const char *nearest_name(const char *name, const char *const *names, size_t count);

#endif
