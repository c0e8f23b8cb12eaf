/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands: the measurements by name, each with its own options and help. argv[0] is the command's
 * name. They return 0, ERR_INVALID for a wrong command line, or the measurement's error.
 *
 * Threading: one thread.
 */
#ifndef ARGOSY_BENCH_COMMANDS_H
#define ARGOSY_BENCH_COMMANDS_H

#include "common/error.h"

int pipeline_command(int argc, char **argv, struct error *err);
int codec_command(int argc, char **argv, struct error *err);
int vectors_command(int argc, char **argv, struct error *err);
int encode_command(int argc, char **argv, struct error *err);

/* The processes that the pipeline starts itself; they run until SIGTERM. */
int pipeline_worker_command(int argc, char **argv, struct error *err);
int sdk_worker_command(int argc, char **argv, struct error *err);

#endif
