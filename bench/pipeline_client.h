/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_client: starts Pipeline workflows and waits for their results, a given number at a time,
 * as a client program does: start, its reply, then one waiting request for the closing event.
 *
 * Threading: one thread runs it and gets the callback.
 */
#ifndef ARGOSY_BENCH_PIPELINE_CLIENT_H
#define ARGOSY_BENCH_PIPELINE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct pipeline_client_config {
    const char *address;
    const char *task_queue;
    const char *id_prefix; /* workflow ids are "<prefix>-<number>" */
    size_t count;          /* workflows */
    size_t concurrency;    /* at a time */

    /* After each result, with how many are there by now; NULL: nobody. */
    void *context;
    void (*on_result)(void *context, size_t done);
};

struct pipeline_client_report {
    uint64_t wall_ns;
    uint64_t *latencies_ns; /* count of them, rising; the caller frees */
};

/* Runs all of them. Every result is checked; a wrong one, a failed workflow or a request that fails
 * for good is ERR_INTERNAL with the id and the reason. */
int pipeline_client_run(const struct pipeline_client_config *config,
                        struct pipeline_client_report *ret_report, struct error *err);

/* A report of latencies in any order, which it takes. */
void pipeline_report_fill(struct pipeline_client_report *ret_report, uint64_t wall_ns,
                          uint64_t *latencies_ns, size_t count);

/* The value below which this share of rising values lies. */
uint64_t percentile(const uint64_t *values, size_t count, double share);

#endif
