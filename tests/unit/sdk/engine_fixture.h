/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_fixture: the real engine on a thread of the test, its store in memory, and workers and
 * clients of it. A worker runs on a thread of its own until fixture_worker_stop.
 */
#ifndef TESTS_UNIT_SDK_ENGINE_FIXTURE_H
#define TESTS_UNIT_SDK_ENGINE_FIXTURE_H

#include <argosy/argosy.h>
#include <pthread.h>
#include <stdatomic.h>

struct server;

struct engine_fixture {
    char folder[64];
    char address[128];
    char store[128]; /* "" for a memory store */
    struct server *server;
    pthread_t thread;
    int stop_fd;
};

/* with_store: the engine keeps its store in a file and can be stopped and started again. */
void engine_fixture_start(struct engine_fixture *fixture, bool with_store);
void engine_fixture_stop(struct engine_fixture *fixture);
/* Between start and stop: ends the engine's thread, or begins another one on the same store. */
void engine_fixture_pause(struct engine_fixture *fixture);
void engine_fixture_resume(struct engine_fixture *fixture);

struct argosy_client *fixture_client(const struct engine_fixture *fixture);

struct fixture_worker {
    struct argosy_worker *worker;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_ready;
    int code;
    struct argosy_error error;
};

/* options' connection and callbacks are filled in. Returns when the worker serves. */
void fixture_worker_start(struct fixture_worker *worker, const struct engine_fixture *fixture,
                          const struct argosy_registry *registry,
                          struct argosy_worker_options options);
/* Stops it, waits, destroys it; asserts that it ended well. */
void fixture_worker_stop(struct fixture_worker *worker, int64_t grace_ms);

/* A point that threads wait for, at most 20 s (then the test fails). */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int passed;
};

void gate_init(struct gate *gate);
void gate_fini(struct gate *gate);
void gate_pass(struct gate *gate);
void gate_wait(struct gate *gate, int count);

#endif
