/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_pool: a few threads that run jobs in the order they come, urgent ones before all others.
 * Jobs are intrusive: submitting allocates nothing and cannot fail.
 *
 * Threading: thread_pool_submit from any thread, jobs included.
 */
#ifndef ARGOSY_WORKER_GPU_THREAD_POOL_H
#define ARGOSY_WORKER_GPU_THREAD_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

#define THREAD_POOL_MAX 64u

struct thread_pool;

/* The pool borrows a job until run is called, which may free it. */
struct pool_job {
    void (*run)(struct pool_job *job);
    bool is_urgent;
    struct pool_job *prev, *next; /* the pool's */
};

/* threads: 1 to THREAD_POOL_MAX. ERR_INVALID, ERR_MEMORY. */
int thread_pool_create(uint32_t threads, struct thread_pool **ret_pool, struct error *err);

/* Runs what was submitted, then ends the threads. Accepts NULL. */
void thread_pool_destroy(struct thread_pool *pool);

void thread_pool_submit(struct thread_pool *pool, struct pool_job *job);

#endif
