/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_worker: the smallest worker there can be, on a bare connection: workflow type
 * "Pipeline", three times activity type "step" in sequence, on one task queue. It measures the
 * engine without an SDK's cost, and shows what a client in another language has to do.
 *
 * A payload is "<step> <text>"; the activity answers "<step + 1> <text>" and the workflow ends with
 * what step 3 answered. So the worker keeps no state: the last event of a history says what is
 * next, on the sticky queue as on the normal one.
 *
 * Threading: one thread runs it.
 */
#ifndef ARGOSY_BENCH_PIPELINE_WORKER_H
#define ARGOSY_BENCH_PIPELINE_WORKER_H

#include <stdbool.h>

#include "common/error.h"

#define PIPELINE_WORKFLOW_TYPE "Pipeline"
#define PIPELINE_ACTIVITY_TYPE "step"
#define PIPELINE_STEPS         3
#define PIPELINE_PAYLOAD_SIZE  100

struct pipeline_worker_config {
    const char *address;
    const char *task_queue;
    int workflow_slots;
    int activity_slots;
    int stop_fd;  /* the worker ends when it is readable */
    int ready_fd; /* "ready\n" goes there when its polls are out; -1: nobody listens */

    /* Told of every activity before it runs and when the engine has acknowledged its completion;
     * NULL: nobody. text is the payload's, with its step. */
    void *context;
    void (*on_run)(void *context, const char *text);
    void (*on_acknowledged)(void *context, const char *text);
};

/* Works until stop_fd is readable. ERR_CONFIG, ERR_IO, ERR_MEMORY. */
int pipeline_worker_run(const struct pipeline_worker_config *config, struct error *err);

/* The payload of a workflow at this step: PIPELINE_PAYLOAD_SIZE characters and NUL. */
void pipeline_payload(int step, const char *workflow_id, char text[PIPELINE_PAYLOAD_SIZE + 1]);

#endif
