/* SPDX-License-Identifier: Apache-2.0 */
/* batch_call: see batch_call.h. */
#include "worker_gpu/batch_call.h"

#include <string.h>

#include "common/assert.h"

static bool is_wanted(const struct batch_job *job)
{
    return !argosy_activity_is_canceled(((const struct batch_call *)job)->activity);
}

static void on_results(struct batch_job *job, uint32_t first_text, uint32_t count,
                       const float *vectors, const float *probabilities)
{
    struct batch_call *call = (struct batch_call *)job;
    size_t width = encoder_width(job->encoder), classes = encoder_class_count(job->encoder);
    memcpy(call->vectors + first_text * width, vectors, count * width * sizeof *vectors);
    if (call->probabilities != NULL && probabilities != NULL)
        memcpy(call->probabilities + first_text * classes, probabilities,
               count * classes * sizeof *probabilities);
}

static void on_end(struct batch_job *job, int code, const struct error *err)
{
    struct batch_call *call = (struct batch_call *)job;
    pthread_mutex_lock(&call->mutex);
    call->code = code;
    if (err != NULL)
        call->err = *err;
    call->has_ended = true;
    pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&call->mutex);
}

static const struct batch_job_functions functions = {is_wanted, on_results, on_end};

_Static_assert(offsetof(struct batch_call, job) == 0, "a call's job is the call");

void batch_call_init(struct batch_call *call, struct argosy_activity *activity)
{
    *call = (struct batch_call){.activity = activity};
    pthread_mutex_init(&call->mutex, NULL);
    pthread_cond_init(&call->ended, NULL);
}

void batch_call_fini(struct batch_call *call)
{
    ASSERT(!call->is_under_way);
    pthread_cond_destroy(&call->ended);
    pthread_mutex_destroy(&call->mutex);
}

int batch_call_submit(struct batch_call *call, struct batcher *batcher, struct error *err)
{
    ASSERT(!call->is_under_way);
    call->job.functions = &functions;
    call->has_ended = false;
    int code = batcher_submit(batcher, &call->job, err);
    call->is_under_way = code == 0;
    return code;
}

int batch_call_wait(struct batch_call *call, struct error *err)
{
    if (!call->is_under_way)
        return 0;
    pthread_mutex_lock(&call->mutex);
    while (!call->has_ended)
        pthread_cond_wait(&call->ended, &call->mutex);
    pthread_mutex_unlock(&call->mutex);
    call->is_under_way = false;
    if (call->code == ERR_CANCELED)
        return error_set(err, ERR_CANCELED, "the task is no longer wanted");
    return call->code == 0 ? 0 : error_set(err, call->code, "%s", call->err.text);
}
