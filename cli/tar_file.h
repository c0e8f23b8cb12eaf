/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar_file: an archive of plain files as it is written, .tar.gz: POSIX ustar, gzip.
 *
 * The file is new, for its owner alone, and is removed again when it could not be finished.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_TAR_FILE_H
#define ARGOSY_CLI_TAR_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Longest names: of the folder, and of a file in it. */
#define TAR_FOLDER_MAX 100
#define TAR_NAME_MAX   150

struct tar_file;

/* Makes path, whose files will lie in folder. ERR_EXISTS, ERR_IO, ERR_LIMIT, ERR_MEMORY. */
int tar_file_create(const char *path, const char *folder, struct tar_file **ret_tar,
                    struct error *err);

/* Adds a file; in its name only the part behind the last slash may be longer than 50 bytes. ERR_IO,
 * ERR_LIMIT for a name that is too long. */
int tar_file_add(struct tar_file *tar, const char *name, const void *data, size_t size,
                 struct error *err);

/* The same of what fd holds from where it stands: size bytes, with zeros for what is missing. */
int tar_file_add_fd(struct tar_file *tar, const char *name, int fd, uint64_t size,
                    struct error *err);

/* Writes the end. The archive is gone when this fails; so is tar. ERR_IO. */
int tar_file_finish(struct tar_file *tar, struct error *err);

/* Gives the archive up. Accepts NULL. */
void tar_file_discard(struct tar_file *tar);

#endif
