/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_limits: what this machine can do without Argosy: the bounds a result is read beside.
 * Threading: any thread, one call at a time.
 */
#ifndef ARGOSY_BENCH_MACHINE_LIMITS_H
#define ARGOSY_BENCH_MACHINE_LIMITS_H

#include "common/error.h"

struct machine_limits {
    double flushes_per_s;     /* fdatasync after appending 8 KiB to a file in the folder */
    double round_trips_per_s; /* one 100-byte message to and fro between two processes, ipc */
};

/* Takes about two seconds. ERR_IO. */
int machine_limits_measure(const char *folder, struct machine_limits *ret_limits,
                           struct error *err);

#endif
