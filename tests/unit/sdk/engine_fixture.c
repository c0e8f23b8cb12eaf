/* SPDX-License-Identifier: Apache-2.0 */
/* engine_fixture: see engine_fixture.h. */
#include "tests/unit/sdk/engine_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/server.h"

#define WAIT_S 20

/* ---- engine ---- */

static void *run_server(void *argument)
{
    struct engine_fixture *fixture = argument;
    struct error err = {0};
    if (server_run(fixture->server, &err) < 0)
        fail_msg("%s", err.text);
    return NULL;
}

void engine_fixture_resume(struct engine_fixture *fixture)
{
    fixture->stop_fd = eventfd(0, EFD_CLOEXEC);
    assert_true(fixture->stop_fd >= 0);
    const char *addresses[] = {fixture->address};
    struct server_config config = {
        .endpoint = {.addresses = addresses, .address_count = 1},
        .store_path = fixture->store[0] == '\0' ? NULL : fixture->store,
        .reclaim_us = 2000000,
        .commit_hold_us = 0,
        .stop_fd = fixture->stop_fd,
    };
    struct error err = {0};
    if (server_open(&config, &fixture->server, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_server, fixture), 0);
}

void engine_fixture_pause(struct engine_fixture *fixture)
{
    uint64_t one = 1;
    assert_int_equal(write(fixture->stop_fd, &one, sizeof one), (ssize_t)sizeof one);
    pthread_join(fixture->thread, NULL);
    server_close(fixture->server);
    close(fixture->stop_fd);
    fixture->server = NULL;
}

void engine_fixture_start(struct engine_fixture *fixture, bool with_store)
{
    *fixture = (struct engine_fixture){.folder = "/tmp/argosy-sdk-XXXXXX"};
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->address, sizeof fixture->address, "ipc://%s/engine.sock", fixture->folder);
    if (with_store)
        snprintf(fixture->store, sizeof fixture->store, "%s/engine.db", fixture->folder);
    engine_fixture_resume(fixture);
}

static void remove_folder(const char *folder)
{
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL)
        unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
    rmdir(folder);
}

void engine_fixture_stop(struct engine_fixture *fixture)
{
    if (fixture->server != NULL)
        engine_fixture_pause(fixture);
    remove_folder(fixture->folder);
}

struct argosy_client *fixture_client(const struct engine_fixture *fixture)
{
    struct argosy_client *client;
    struct argosy_error err = {0};
    if (argosy_client_connect(&(struct argosy_connection_options){.endpoint = fixture->address},
                              &client, &err) < 0)
        fail_msg("%s", err.text);
    return client;
}

/* ---- workers ---- */

static void on_ready(void *user_data)
{
    struct fixture_worker *worker = user_data;
    pthread_mutex_lock(&worker->mutex);
    worker->is_ready = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->mutex);
}

static void on_log(void *user_data, const struct argosy_log_record *record)
{
    (void)user_data;
    fprintf(stderr, "worker: %s\n", record->text);
}

static void *run_worker(void *argument)
{
    struct fixture_worker *worker = argument;
    worker->code = argosy_worker_run(worker->worker, &worker->error);
    return NULL;
}

static struct timespec wait_end(void)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    return end;
}

void fixture_worker_start(struct fixture_worker *worker, const struct engine_fixture *fixture,
                          const struct argosy_registry *registry,
                          struct argosy_worker_options options)
{
    *worker = (struct fixture_worker){0};
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->changed, NULL);
    options.connection.endpoint = fixture->address;
    options.user_data = worker;
    options.on_ready = on_ready;
    options.on_log = on_log;
    struct argosy_error err = {0};
    if (argosy_worker_create(&options, registry, &worker->worker, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&worker->thread, NULL, run_worker, worker), 0);
    struct timespec end = wait_end();
    pthread_mutex_lock(&worker->mutex);
    while (!worker->is_ready)
        assert_int_equal(pthread_cond_timedwait(&worker->changed, &worker->mutex, &end), 0);
    pthread_mutex_unlock(&worker->mutex);
}

void fixture_worker_stop(struct fixture_worker *worker, int64_t grace_ms)
{
    argosy_worker_stop(worker->worker, grace_ms);
    pthread_join(worker->thread, NULL);
    if (worker->code < 0)
        fail_msg("%s", worker->error.text);
    argosy_worker_destroy(worker->worker);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->mutex);
}

/* ---- gates ---- */

void gate_init(struct gate *gate)
{
    gate->passed = 0;
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->changed, NULL);
}

void gate_fini(struct gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
}

void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->passed++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void gate_wait(struct gate *gate, int count)
{
    struct timespec end = wait_end();
    pthread_mutex_lock(&gate->mutex);
    while (gate->passed < count)
        assert_int_equal(pthread_cond_timedwait(&gate->changed, &gate->mutex, &end), 0);
    pthread_mutex_unlock(&gate->mutex);
}
