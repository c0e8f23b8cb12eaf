/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition: waiting until something the run can see is true, with an optional durable timeout.
 */
#include "sdk/error.h"
#include "sdk/run.h"

struct condition {
    const struct argosy_workflow *run;
    argosy_condition_function *is_true;
    void *user_data;
    const struct argosy_future *timer; /* NULL: no timeout */
};

static bool is_over(const void *wait)
{
    const struct condition *condition = wait;
    return condition->is_true(condition->user_data) || run_is_cut_off(condition->run) ||
           (condition->timer != NULL && condition->timer->is_ready);
}

static int timed_out(int64_t timeout_ms, struct argosy_error *err)
{
    return argosy_error_set(err, ARGOSY_ERR_TIMEOUT, "the condition was not met within %lld ms",
                            (long long)timeout_ms);
}

int argosy_condition_wait(struct argosy_workflow *run, argosy_condition_function *is_true,
                          void *user_data, int64_t timeout_ms, struct argosy_error *err)
{
    if (is_true(user_data))
        return 0;
    if (run_is_cut_off(run))
        return argosy_error_set(err, ARGOSY_ERR_CANCELED, "the workflow is canceled");
    if (timeout_ms == 0)
        return timed_out(timeout_ms, err);
    if (run->mode != RUN_MODE_CODE)
        return argosy_error_set(err, ARGOSY_ERR_STATE, "a handler cannot wait");
    struct argosy_future *timer = timeout_ms < 0 ? NULL : argosy_timer_start(run, timeout_ms);
    struct condition condition = {run, is_true, user_data, timer};
    int code = run_wait(run, is_over, &condition, err);
    if (code < 0)
        return code;
    bool is_met = is_true(user_data);
    if (timer != NULL && !timer->is_ready)
        argosy_future_cancel(timer);
    if (is_met)
        return 0;
    if (run_is_cut_off(run))
        return argosy_error_set(err, ARGOSY_ERR_CANCELED, "the workflow is canceled");
    return timed_out(timeout_ms, err);
}
