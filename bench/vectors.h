/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors: the measurement `argosy-bench vectors`: fills a collection of a running storage process
 * and searches in it, as any client does.
 *
 * Threading: one thread.
 */
#ifndef ARGOSY_BENCH_VECTORS_H
#define ARGOSY_BENCH_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct vectors_options {
    const char *config;  /* the storage process's config file */
    const char *input;   /* little-endian floats, `dimension` a vector */
    const char *queries; /* likewise */
    uint32_t dimension;
    uint32_t neighbours;
};

/* Prints a JSON object: {"count", "fill_s", "first_search_ms", "search_ms": [...], "neighbours":
 * [[row, ...], ...]}, rows of the input by number, one list a query. ERR_IO for a file that cannot
 * be read or has no whole vectors; errors of storage/vectors.h. */
int vectors_measure(const struct vectors_options *options, struct error *err);

#endif
