/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain_list: the workers that an operator wants down until they are resumed, whatever is restarted
 * meanwhile (`argosy fleet drain --keep`): <data_dir>/drained, a worker's name on each line. The
 * file is replaced as a whole; nothing kept is no file.
 *
 * Threading: none.
 */
#ifndef ARGOSY_SUPERVISOR_DRAIN_LIST_H
#define ARGOSY_SUPERVISOR_DRAIN_LIST_H

#include "common/buffer.h"
#include "common/error.h"

/* The names, each with a line feed after it; empty without a file. The caller calls buffer_fini.
 * ERR_IO. */
int drain_list_read(const char *data_dir, struct buffer *ret_names, struct error *err);

bool drain_list_has(const struct buffer *names, const char *name);

/* Durable when it returns 0. Otherwise ERR_IO, and what was there before still counts. */
int drain_list_write(const char *data_dir, const struct buffer *names, struct error *err);

#endif
