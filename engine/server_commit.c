/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_commit: see server_commit.h.
 *
 *     IDLE --submit--> SUBMITTED --commit--> DONE --done--> IDLE
 */
#include "engine/server_commit.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/assert.h"

enum commit_state { COMMIT_IDLE, COMMIT_SUBMITTED, COMMIT_DONE };

struct server_commit {
    struct store *store;
    int fd; /* eventfd: the state became DONE */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    enum commit_state state;
    bool stopping;
    const struct store_write *writes;
    size_t count;
    int code;
    struct error failure;
};

static void finish(struct server_commit *commit, int code, const struct error *failure)
{
    pthread_mutex_lock(&commit->lock);
    commit->code = code;
    commit->failure = *failure;
    commit->state = COMMIT_DONE;
    pthread_cond_broadcast(&commit->changed);
    /* Under the lock: who sees DONE also finds the descriptor readable, and empties it. */
    uint64_t one = 1;
    ssize_t size = write(commit->fd, &one, sizeof one);
    ASSERT(size == (ssize_t)sizeof one);
    pthread_mutex_unlock(&commit->lock);
}

static void *run(void *arg)
{
    struct server_commit *commit = arg;
    for (;;) {
        pthread_mutex_lock(&commit->lock);
        while (commit->state != COMMIT_SUBMITTED && !commit->stopping)
            pthread_cond_wait(&commit->changed, &commit->lock);
        bool has_work = commit->state == COMMIT_SUBMITTED;
        const struct store_write *writes = commit->writes;
        size_t count = commit->count;
        pthread_mutex_unlock(&commit->lock);
        if (!has_work)
            return NULL;
        struct error failure = {0};
        int code = store_commit(commit->store, writes, count, &failure);
        finish(commit, code, &failure);
    }
}

int server_commit_start(struct store *store, struct server_commit **ret_commit, struct error *err)
{
    struct server_commit *commit = calloc(1, sizeof *commit);
    if (commit == NULL)
        return error_set(err, ERR_MEMORY, "no memory for the commit thread");
    commit->store = store;
    commit->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (commit->fd < 0) {
        free(commit);
        return error_set_errno(err, ERR_IO, errno, "could not make an event descriptor");
    }
    pthread_mutex_init(&commit->lock, NULL);
    pthread_cond_init(&commit->changed, NULL);
    int status = pthread_create(&commit->thread, NULL, run, commit);
    if (status != 0) {
        close(commit->fd);
        free(commit);
        return error_set_errno(err, ERR_MEMORY, status, "could not start the commit thread");
    }
    *ret_commit = commit;
    return 0;
}

void server_commit_stop(struct server_commit *commit)
{
    if (commit == NULL)
        return;
    pthread_mutex_lock(&commit->lock);
    commit->stopping = true;
    pthread_cond_broadcast(&commit->changed);
    pthread_mutex_unlock(&commit->lock);
    pthread_join(commit->thread, NULL);
    pthread_cond_destroy(&commit->changed);
    pthread_mutex_destroy(&commit->lock);
    close(commit->fd);
    free(commit);
}

void server_commit_submit(struct server_commit *commit, const struct store_write *writes,
                          size_t count)
{
    pthread_mutex_lock(&commit->lock);
    ASSERT(commit->state == COMMIT_IDLE);
    commit->state = COMMIT_SUBMITTED;
    commit->writes = writes;
    commit->count = count;
    pthread_cond_broadcast(&commit->changed);
    pthread_mutex_unlock(&commit->lock);
}

int server_commit_done(struct server_commit *commit, bool wait, struct error *err)
{
    pthread_mutex_lock(&commit->lock);
    ASSERT(commit->state != COMMIT_IDLE);
    while (wait && commit->state != COMMIT_DONE)
        pthread_cond_wait(&commit->changed, &commit->lock);
    int code = 0;
    if (commit->state == COMMIT_DONE) {
        code = commit->code == 0 ? 1 : commit->code;
        if (commit->code != 0 && err != NULL)
            *err = commit->failure;
        commit->state = COMMIT_IDLE;
        uint64_t count;
        ssize_t size = read(commit->fd, &count, sizeof count);
        ASSERT(size == (ssize_t)sizeof count);
    }
    pthread_mutex_unlock(&commit->lock);
    return code;
}

int server_commit_fd(const struct server_commit *commit)
{
    return commit->fd;
}
