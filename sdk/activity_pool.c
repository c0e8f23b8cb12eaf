/* SPDX-License-Identifier: Apache-2.0 */
/* activity_pool: see activity_pool.h. */
#include "sdk/activity_pool.h"

#include <signal.h>
#include <stdlib.h>

int activity_pool_init(struct activity_pool *pool, struct error *err)
{
    *pool = (struct activity_pool){.last = &pool->first};
    int errnum = pthread_mutex_init(&pool->mutex, NULL);
    if (errnum != 0)
        return error_set_errno(err, ERR_MEMORY, errnum, "could not make a mutex");
    errnum = pthread_cond_init(&pool->has_task, NULL);
    if (errnum != 0) {
        pthread_mutex_destroy(&pool->mutex);
        return error_set_errno(err, ERR_MEMORY, errnum, "could not make a condition");
    }
    return 0;
}

int activity_pool_grow(struct activity_pool *pool, size_t thread_max, struct error *err)
{
    if (thread_max <= pool->thread_max)
        return 0;
    pthread_mutex_lock(&pool->mutex);
    pthread_t *threads = realloc(pool->threads, thread_max * sizeof *threads);
    if (threads != NULL) {
        pool->threads = threads;
        pool->thread_max = thread_max;
    }
    pthread_mutex_unlock(&pool->mutex);
    return threads == NULL ? error_set(err, ERR_MEMORY, "out of memory") : 0;
}

static void *thread_run(void *argument);

/* One more thread, signals blocked. The mutex is held. */
static void add_thread(struct activity_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&pool->threads[pool->thread_count], NULL, thread_run, pool) == 0) {
        pool->thread_count++;
        pool->is_waking = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Brings one more thread to the tasks that wait, unless one is on its way. The mutex is held. */
static void call_thread(struct activity_pool *pool)
{
    if (pool->first == NULL || pool->is_waking)
        return;
    if (pool->idle > 0) {
        pool->is_waking = true;
        pthread_cond_signal(&pool->has_task);
    } else if (pool->thread_count < pool->thread_max) {
        add_thread(pool);
    }
}

static struct argosy_activity *pop(struct activity_pool *pool)
{
    struct argosy_activity *activity = pool->first;
    pool->first = activity->queue_next;
    if (pool->first == NULL)
        pool->last = &pool->first;
    return activity;
}

static void *thread_run(void *argument)
{
    struct activity_pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    pool->is_waking = false;
    for (;;) {
        while (pool->first == NULL && !pool->is_closing) {
            pool->idle++;
            pthread_cond_wait(&pool->has_task, &pool->mutex);
            pool->idle--;
            pool->is_waking = false;
        }
        if (pool->first == NULL)
            break;
        struct argosy_activity *activity = pop(pool);
        call_thread(pool);
        pthread_mutex_unlock(&pool->mutex);
        activity_run(activity);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

void activity_pool_push(struct activity_pool *pool, struct argosy_activity *activity)
{
    activity->queue_next = NULL;
    pthread_mutex_lock(&pool->mutex);
    *pool->last = activity;
    pool->last = &activity->queue_next;
    call_thread(pool);
    pthread_mutex_unlock(&pool->mutex);
}

void activity_pool_release(struct activity_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    struct argosy_activity *waiting = pool->first;
    pool->first = NULL;
    pool->last = &pool->first;
    pthread_mutex_unlock(&pool->mutex);
    while (waiting != NULL) {
        struct argosy_activity *activity = waiting;
        waiting = activity->queue_next;
        argosy_activity_release(activity);
    }
}

void activity_pool_fini(struct activity_pool *pool)
{
    activity_pool_release(pool);
    pthread_mutex_lock(&pool->mutex);
    pool->is_closing = true;
    pthread_cond_broadcast(&pool->has_task);
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    pthread_cond_destroy(&pool->has_task);
    pthread_mutex_destroy(&pool->mutex);
}
