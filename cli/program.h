/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program: the other programs of Argosy, found beside this one.
 * Threading: none.
 */
#ifndef ARGOSY_CLI_PROGRAM_H
#define ARGOSY_CLI_PROGRAM_H

#include "common/error.h"

/* Replaces this process by the program of that name in this program's own folder; arguments end in
 * NULL and begin with the program's name. Returns only on failure: ERR_NOT_FOUND, ERR_IO. */
int program_exec(const char *name, const char *const *arguments, struct error *err);

#endif
