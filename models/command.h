/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: runs another program to its end and keeps what it said last.
 * Threading: any thread; the child inherits nothing but standard descriptors and the environment.
 */
#ifndef ARGOSY_MODELS_COMMAND_H
#define ARGOSY_MODELS_COMMAND_H

#include "common/error.h"

/* Called some five times a second while the command runs. */
typedef void command_tick_fn(void *arg);

/* Runs argv (NULL at the end, found by PATH) with TMPDIR=temp_folder and no input. tick may be
 * NULL. 0 when it exits with 0; ERR_NOT_FOUND when there is no such program; ERR_UNAVAILABLE with
 * the last line it wrote when it fails; ERR_IO when it cannot be run. */
int command_run(const char *const *argv, const char *temp_folder, command_tick_fn *tick, void *arg,
                struct error *err);

#endif
