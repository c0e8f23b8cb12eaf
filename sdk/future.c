/* SPDX-License-Identifier: Apache-2.0 */
/* future: see future.h; and awaiting, from include/argosy/workflow.h. */
#include "sdk/future.h"

#include "common/hash.h"
#include "sdk/error.h"
#include "sdk/failure.h"
#include "sdk/run.h"

struct argosy_future *future_create(struct argosy_workflow *run, const struct future_ops *ops,
                                    const struct state_row *rows)
{
    struct argosy_future *future = run_alloc(run, sizeof *future);
    *future = (struct argosy_future){
        .run = run, .ops = ops, .machine = {rows, 0}, .is_shielded = run->is_shielded};
    return future;
}

void future_begin(struct argosy_future *future)
{
    future->is_pending = true;
    DL_APPEND(future->run->pending, future);
}

void future_end(struct argosy_future *future)
{
    future->is_pending = false;
    DL_DELETE(future->run->pending, future);
}

static void become_ready(struct argosy_future *future)
{
    ASSERT(!future->is_ready);
    future->is_ready = true;
    future->ready_order = future->run->ready_count++;
}

void future_succeed(struct argosy_future *future, struct argosy_payload result)
{
    future->result = result;
    become_ready(future);
}

void future_fail(struct argosy_future *future, int code, const Api__Failure *failure)
{
    future->code = code;
    future->failure = failure;
    become_ready(future);
}

void future_become_canceled(struct argosy_future *future, const char *message)
{
    Api__Failure *failure = failure_canceled(message, &future->run->arena.arena);
    run_check_memory(future->run, failure);
    future_fail(future, ARGOSY_ERR_CANCELED, failure);
}

struct argosy_future *future_find(struct argosy_workflow *run, int64_t event_id)
{
    struct argosy_future *future;
    DL_FOREACH (run->pending, future) {
        if (future->event_id == event_id)
            return future;
    }
    return NULL;
}

/* ---- awaiting ---- */

struct future_list {
    struct argosy_future *const *futures;
    size_t count;
};

static bool one_is_ready(const void *wait)
{
    return ((const struct argosy_future *)wait)->is_ready;
}

static bool all_are_ready(const void *wait)
{
    const struct future_list *list = wait;
    for (size_t i = 0; i < list->count; i++) {
        if (!list->futures[i]->is_ready)
            return false;
    }
    return true;
}

static bool any_is_ready(const void *wait)
{
    const struct future_list *list = wait;
    for (size_t i = 0; i < list->count; i++) {
        if (list->futures[i]->is_ready)
            return true;
    }
    return false;
}

/* The outcome of a ready future. */
static int outcome(const struct argosy_future *future, struct argosy_payload *ret_result,
                   struct argosy_error *err)
{
    if (future->code < 0)
        return failure_raise(future->code, future->failure, err);
    if (ret_result != NULL)
        *ret_result = future->result;
    return 0;
}

int argosy_await(struct argosy_future *future, struct argosy_payload *ret_result,
                 struct argosy_error *err)
{
    int code = future->is_ready ? 0 : run_wait(future->run, one_is_ready, future, err);
    return code < 0 ? code : outcome(future, ret_result, err);
}

int argosy_await_all(struct argosy_future *const *futures, size_t count, struct argosy_error *err)
{
    struct future_list list = {futures, count};
    if (!all_are_ready(&list)) {
        int code = run_wait(futures[0]->run, all_are_ready, &list, err);
        if (code < 0)
            return code;
    }
    for (size_t i = 0; i < count; i++) {
        if (futures[i]->code < 0)
            return outcome(futures[i], NULL, err);
    }
    return 0;
}

int argosy_await_any(struct argosy_future *const *futures, size_t count, size_t *ret_index,
                     struct argosy_error *err)
{
    if (count == 0)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "there is nothing to wait for");
    struct future_list list = {futures, count};
    if (!any_is_ready(&list)) {
        int code = run_wait(futures[0]->run, any_is_ready, &list, err);
        if (code < 0)
            return code;
    }
    size_t first = count;
    for (size_t i = 0; i < count; i++) {
        if (futures[i]->is_ready &&
            (first == count || futures[i]->ready_order < futures[first]->ready_order))
            first = i;
    }
    *ret_index = first;
    return 0;
}

bool argosy_future_is_ready(const struct argosy_future *future)
{
    return future->is_ready;
}

void argosy_future_cancel(struct argosy_future *future)
{
    if (!future->is_ready && run_may_command(future->run))
        future->ops->cancel(future);
}
