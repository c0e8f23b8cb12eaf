/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: the programs a measurement or a fault test runs: started, known to be ready, measured,
 * killed. A process started here dies with the one that started it.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_BENCH_PROCESS_H
#define ARGOSY_BENCH_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

/* Most arguments of a started program, its name and "--ready-fd N" included. */
#define PROCESS_ARGUMENT_MAX 32

struct process {
    pid_t pid; /* 0: not running */
};

/* The path of a program beside the running one. */
int process_path(const char *name, char *ret_path, size_t size, struct error *err);

/* Starts the program (arguments end with NULL; arguments[0] is its path) with "--ready-fd N" added
 * and waits until it says "ready" there. ERR_IO when it ends before that. */
int process_start(struct process *process, const char *const *arguments, struct error *err);

/* Starts it and returns at once; *ret_ready_fd ends or becomes readable when it is ready. */
int process_spawn(struct process *process, const char *const *arguments, int *ret_ready_fd,
                  struct error *err);

/* Sends the signal (0: none) and waits for the end; *ret_status (may be NULL) is waitpid's. */
void process_stop(struct process *process, int signal_number, int *ret_status);

/* Removes a folder with the files in it (no folders). */
void process_remove_folder(const char *folder);

struct process_usage {
    uint64_t cpu_us;       /* user and system, since its start */
    uint64_t memory_bytes; /* resident */
};

/* pid 0: the calling process. Zeroes for one that is not there. */
struct process_usage process_usage_get(pid_t pid);

#endif
