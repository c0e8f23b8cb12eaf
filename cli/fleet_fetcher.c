/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_fetcher: see fleet_fetcher.h. */
#include "cli/fleet_fetcher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fleet_fetcher {
    struct session *session;
    struct fleet_question question;
    pthread_t thread;
    int event_fd;
    atomic_bool is_closing;

    pthread_mutex_t mutex; /* over what follows */
    pthread_cond_t asked;
    bool is_asked;
    bool has_answer;
    int code;
    json_t *fleet;
    struct error error;
};

static bool wait_for_question(struct fleet_fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->mutex);
    while (!atomic_load(&fetcher->is_closing) && (!fetcher->is_asked || fetcher->has_answer))
        pthread_cond_wait(&fetcher->asked, &fetcher->mutex);
    pthread_mutex_unlock(&fetcher->mutex);
    return !atomic_load(&fetcher->is_closing);
}

static void *fetch(void *context)
{
    struct fleet_fetcher *fetcher = context;
    while (wait_for_question(fetcher)) {
        json_t *fleet = NULL;
        struct error err = {0};
        int code = fleet_fetch(fetcher->session, &fetcher->question, &fleet, &err);
        pthread_mutex_lock(&fetcher->mutex);
        fetcher->code = code;
        fetcher->fleet = fleet;
        fetcher->error = err;
        fetcher->has_answer = true;
        pthread_mutex_unlock(&fetcher->mutex);
        eventfd_write(fetcher->event_fd, 1);
    }
    return NULL;
}

int fleet_fetcher_open(struct session *session, const struct fleet_question *question,
                       struct fleet_fetcher **ret_fetcher, struct error *err)
{
    struct fleet_fetcher *fetcher = calloc(1, sizeof *fetcher);
    if (fetcher == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    fetcher->session = session;
    fetcher->question = *question;
    fetcher->question.is_over = &fetcher->is_closing;
    pthread_mutex_init(&fetcher->mutex, NULL);
    pthread_cond_init(&fetcher->asked, NULL);
    fetcher->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failure = fetcher->event_fd < 0 ? errno : 0;
    if (failure == 0)
        failure = pthread_create(&fetcher->thread, NULL, fetch, fetcher);
    if (failure != 0) {
        if (fetcher->event_fd >= 0)
            close(fetcher->event_fd);
        free(fetcher);
        return error_set_errno(err, ERR_IO, failure, "cannot start to fetch");
    }
    *ret_fetcher = fetcher;
    return 0;
}

void fleet_fetcher_close(struct fleet_fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    pthread_mutex_lock(&fetcher->mutex);
    atomic_store(&fetcher->is_closing, true);
    pthread_cond_signal(&fetcher->asked);
    pthread_mutex_unlock(&fetcher->mutex);
    pthread_join(fetcher->thread, NULL);
    json_decref(fetcher->fleet);
    close(fetcher->event_fd);
    pthread_mutex_destroy(&fetcher->mutex);
    pthread_cond_destroy(&fetcher->asked);
    free(fetcher);
}

int fleet_fetcher_fd(const struct fleet_fetcher *fetcher)
{
    return fetcher->event_fd;
}

void fleet_fetcher_ask(struct fleet_fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->mutex);
    fetcher->is_asked = true;
    pthread_cond_signal(&fetcher->asked);
    pthread_mutex_unlock(&fetcher->mutex);
}

bool fleet_fetcher_take(struct fleet_fetcher *fetcher, int *ret_code, json_t **ret_fleet,
                        struct error *err)
{
    eventfd_t count;
    eventfd_read(fetcher->event_fd, &count);
    pthread_mutex_lock(&fetcher->mutex);
    bool has_answer = fetcher->has_answer;
    if (has_answer) {
        *ret_code = fetcher->code;
        *ret_fleet = fetcher->fleet;
        *err = fetcher->error;
        fetcher->fleet = NULL;
        fetcher->has_answer = fetcher->is_asked = false;
    }
    pthread_mutex_unlock(&fetcher->mutex);
    return has_answer;
}
