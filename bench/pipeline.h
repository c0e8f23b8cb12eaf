/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline: the measurement `argosy-bench pipeline`: a workflow of three sequential activities of
 * 100 bytes, from the client's start to the result in its hands; engine, worker and client are
 * processes of this machine, and every commit is flushed to its disk.
 *
 * Threading: one thread.
 */
#ifndef ARGOSY_BENCH_PIPELINE_H
#define ARGOSY_BENCH_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define PIPELINE_LEVEL_MAX 8

struct pipeline_options {
    size_t concurrency[PIPELINE_LEVEL_MAX]; /* one measurement each */
    size_t level_count;
    size_t count;       /* workflows per measurement; 0: by concurrency */
    int workers;        /* processes */
    bool is_bare;       /* worker and client without the SDK */
    bool is_memory;     /* the memory store instead of SQLite */
    const char *folder; /* a new folder is made in it and removed */
    bool is_json;
};

/* Measures and prints. ERR_IO, ERR_INTERNAL (a workflow went wrong). */
int pipeline_measure(const struct pipeline_options *options, struct error *err);

#endif
