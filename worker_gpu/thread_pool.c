/* SPDX-License-Identifier: Apache-2.0 */
/* thread_pool: see thread_pool.h. */
#include "worker_gpu/thread_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/hash.h"

struct thread_pool {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct pool_job *urgent_jobs;
    struct pool_job *jobs;
    bool is_stopping;
    uint32_t thread_count;
    pthread_t threads[THREAD_POOL_MAX];
};

static void *work(void *arg)
{
    struct thread_pool *pool = arg;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        struct pool_job **jobs = pool->urgent_jobs != NULL ? &pool->urgent_jobs : &pool->jobs;
        struct pool_job *job = *jobs;
        if (job == NULL && pool->is_stopping)
            break;
        if (job == NULL) {
            pthread_cond_wait(&pool->changed, &pool->mutex);
            continue;
        }
        DL_DELETE(*jobs, job);
        pthread_mutex_unlock(&pool->mutex);
        job->run(job);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

int thread_pool_create(uint32_t threads, struct thread_pool **ret_pool, struct error *err)
{
    if (threads == 0 || threads > THREAD_POOL_MAX)
        return error_set(err, ERR_INVALID, "a pool has 1 to %u threads", THREAD_POOL_MAX);
    struct thread_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, NULL);
    for (; pool->thread_count < threads; pool->thread_count++) {
        int failed = pthread_create(&pool->threads[pool->thread_count], NULL, work, pool);
        if (failed != 0) {
            thread_pool_destroy(pool);
            return error_set_errno(err, ERR_MEMORY, failed, "could not start a thread");
        }
    }
    *ret_pool = pool;
    return 0;
}

void thread_pool_destroy(struct thread_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->is_stopping = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void thread_pool_submit(struct thread_pool *pool, struct pool_job *job)
{
    pthread_mutex_lock(&pool->mutex);
    if (job->is_urgent)
        DL_APPEND(pool->urgent_jobs, job);
    else
        DL_APPEND(pool->jobs, job);
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}
