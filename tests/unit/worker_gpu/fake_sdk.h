/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_sdk: the part of libargosy that activities.c calls, for tests: tasks are made by hand, and
 * what became of each is written down.
 */
#ifndef ARGOSY_TESTS_FAKE_SDK_H
#define ARGOSY_TESTS_FAKE_SDK_H

#include <argosy/registry.h>
#include <stdatomic.h>
#include <stdbool.h>

enum fake_outcome { FAKE_OPEN, FAKE_COMPLETED, FAKE_FAILED, FAKE_CANCELED, FAKE_RELEASED };

struct argosy_activity {
    /* set by the test */
    struct argosy_activity_info info;
    struct argosy_payload input;
    struct argosy_payloads inputs; /* where there are several; else empty */
    struct argosy_payload last_heartbeat;
    atomic_bool is_canceled;
    atomic_bool is_draining;
    /* Becomes true within the first heartbeat that has details: &is_canceled, &is_draining or NULL.
     * Until then a task takes a millisecond between two looks at is_draining: it is not done
     * before.
     */
    atomic_bool *set_by_details;

    /* written by what is tested; read after fake_wait */
    enum fake_outcome outcome;
    char *result; /* NUL-terminated copy; NULL: none */
    size_t result_size;
    char encoding[32];
    int error_code;
    char error_text[512];
    char failure_type[64];
    bool is_non_retryable;
    unsigned heartbeats;
    char *details; /* of the newest heartbeat that had some */
    void *memory;  /* of the task's arena: the newest piece, which begins with the one before */
};

/* A task of type with JSON input (borrowed) that is not started yet. */
struct argosy_activity *fake_activity_create(const char *type, const char *input);
void fake_activity_destroy(struct argosy_activity *activity);

/* Hands it to the function that was registered for its type; a synchronous one gets a thread. */
void fake_start(struct argosy_activity *activity);

/* Waits until it is finished; returns how. */
enum fake_outcome fake_wait(struct argosy_activity *activity);

/* Whether it is not finished yet. */
bool fake_is_open(struct argosy_activity *activity);

#endif
