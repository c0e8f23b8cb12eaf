/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_file: who may read a file that holds a secret key.
 *
 * A process's own file must be closed to group and others. A file that root gave it (a Kubernetes
 * secret volume, a package's /etc) may be open to the one group through which the process reads it.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_COMMON_SECRET_FILE_H
#define ARGOSY_COMMON_SECRET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

/* Checks the open file fd, which is named path in the error: ERR_PERMISSION with its mode and what
 * to do, ERR_IO. */
int secret_file_check(int fd, const char *path, struct error *err);

/* The rule itself: a file of that owner and mode, for a process of that effective user. */
bool secret_file_is_closed(uid_t owner, mode_t mode, uid_t user);

#endif
