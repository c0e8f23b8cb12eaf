/* SPDX-License-Identifier: Apache-2.0 */
/* run_retry: see run_retry.h. */
#include "engine/run_retry.h"

#include "common/assert.h"
#include "engine/failure.h"
#include "engine/start.h"

void run_retry_decide(struct core *core, const struct run *run, const Api__Failure *failure,
                      struct run_retry *ret_retry)
{
    *ret_retry = (struct run_retry){.state = RETRY_STATE_RETRY_POLICY_NOT_SET};
    if (!run->has_retry)
        return;
    const struct retry_question question = {
        .policy = &run->retry,
        .failure = failure,
        .attempt = run->attempt,
        .now_us = core->now_us,
        .expiration_us = run->expiration_us > 0 ? run->expiration_us : INT64_MAX,
    };
    ret_retry->state = retry_decide(&question, &ret_retry->due_us);
    if (ret_retry->state != RETRY_STATE_IN_PROGRESS)
        return;
    ret_retry->failure = failure;
    core_uuid(core, ret_retry->run_id);
}

const char *run_retry_id(const struct run_retry *retry, struct arena *arena)
{
    return retry->state == RETRY_STATE_IN_PROGRESS ? text_copy(arena, retry->run_id) : NULL;
}

void run_retry_begin(struct core *core, const struct run *run, const struct run_retry *retry)
{
    if (retry->state != RETRY_STATE_IN_PROGRESS)
        return;
    /* The request that made the first run is not the one that made this. */
    struct run *next = run_open(core, run->workflow_id, retry->run_id, NULL, run->concurrency_key);
    struct arena *arena = &next->arena;
    Api__HistoryEvent *event = run_event_new(core, next, EVENT_TYPE_WORKFLOW_EXECUTION_STARTED);
    event->user_metadata = message_copy(arena, run->history.entries[0].event->user_metadata);
    Api__WorkflowExecutionStartedEventAttributes *attributes = message_copy(arena, run->attributes);
    attributes->original_execution_run_id = next->run_id;
    attributes->continued_execution_run_id = text_copy(arena, run->run_id);
    attributes->has_initiator = true;
    attributes->initiator = CONTINUE_AS_NEW_INITIATOR_RETRY;
    attributes->continued_failure = message_copy(arena, failure_cut(retry->failure, arena));
    attributes->has_attempt = true;
    attributes->attempt = run->attempt + 1;
    attributes->first_workflow_task_backoff = duration_new(arena, retry->due_us - core->now_us);
    event->workflow_execution_started_event_attributes = attributes;
    run_event(core, next, event);
    run_begin(core, next);
    run_first_task(core, next);
}
