/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept: what operators want of this node until they say otherwise, whatever is restarted meanwhile
 * (`argosy fleet drain --keep`, `argosy fleet scale --keep`): the file <data_dir>/kept, a wish on
 * each line.
 *
 *     drain cpu/0
 *     scale gpu 4
 *
 * The file is replaced as a whole; nothing kept is no file. A line that is no wish wishes nothing.
 *
 * Threading: none.
 */
#ifndef ARGOSY_SUPERVISOR_KEPT_H
#define ARGOSY_SUPERVISOR_KEPT_H

#include <stdbool.h>

#include "common/buffer.h"
#include "common/error.h"

/* The file's text; empty without a file. The caller calls buffer_fini. ERR_IO. */
int kept_read(const char *data_dir, struct buffer *ret_text, struct error *err);

/* Whether the worker of this name stays down. */
bool kept_has_drain(const struct buffer *text, const char *name);

/* How many processes the group has; -1 when that is the configuration's to say. */
int kept_scale(const struct buffer *text, const char *group);

/* Each adds a line; memory that runs out is found by kept_write. */
void kept_add_drain(struct buffer *text, const char *name);
void kept_add_scale(struct buffer *text, const char *group, int processes);

/* Durable when it returns 0. What is there already is not written again: a drain that is not to be
 * kept works on a full disk, too. Otherwise ERR_IO or ERR_MEMORY, and what was there before still
 * counts.
 */
int kept_write(const char *data_dir, const struct buffer *text, struct error *err);

#endif
