/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity_pool: the threads that run synchronous activities.
 *
 * Threads are made when a task finds none idle, up to a maximum that the slots decide, and stay.
 * At most one thread is being woken at any time: the one that comes takes a task and, where more
 * wait, calls the next one before it begins. So many short tasks cost few wake-ups, which are the
 * dearest part of a short task, and long ones still get a thread each.
 *
 * Threading: activity_pool_push and _release from one thread; the pool owns its threads, in which
 * all signals are blocked.
 */
#ifndef ARGOSY_SDK_ACTIVITY_POOL_H
#define ARGOSY_SDK_ACTIVITY_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "sdk/activity.h"

struct activity_pool {
    pthread_mutex_t mutex;
    pthread_cond_t has_task;
    struct argosy_activity *first; /* waiting, oldest first */
    struct argosy_activity **last;
    pthread_t *threads;
    size_t thread_count;
    size_t thread_max;
    size_t idle;
    bool is_waking; /* a thread was called and has not come yet */
    bool is_closing;
};

int activity_pool_init(struct activity_pool *pool, struct error *err);

/* Lets it have up to thread_max threads; never fewer than before. ERR_MEMORY. */
int activity_pool_grow(struct activity_pool *pool, size_t thread_max, struct error *err);

/* Takes the handle: a thread will run it. */
void activity_pool_push(struct activity_pool *pool, struct argosy_activity *activity);

/* Hands back the tasks that no thread has begun. */
void activity_pool_release(struct activity_pool *pool);

/* Waits for the tasks that run; those that wait are handed back. */
void activity_pool_fini(struct activity_pool *pool);

#endif
