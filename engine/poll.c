/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll: requests for tasks: one-shot long polls, and standing polls with slots
 * (docs/spec/01-wire.md, "Polls").
 */
#include <string.h>

#include "common/assert.h"
#include "engine/handler.h"
#include "engine/validate.h"

/* What both kinds of poll say. */
struct poll {
    const Api__TaskQueue *task_queue;
    const char *identity;
    const char *const *types;
    size_t type_count;
    int32_t slots;
};

static int check_poll(const struct poll *poll, struct error *err)
{
    int rc = validate_task_queue(poll->task_queue, err);
    if (rc == 0)
        rc = validate_text("identity", poll->identity, err);
    for (size_t i = 0; i < poll->type_count && rc == 0; i++)
        rc = validate_id("registered type", poll->types[i], err);
    if (rc == 0 && poll->slots < 0)
        rc = error_set(err, ERR_INVALID, "slots is negative");
    return rc;
}

static void poll_add(struct core *core, const struct core_request *request, enum queue_kind kind,
                     const struct poll *poll)
{
    struct error err;
    int rc = check_poll(poll, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return;
    }
    int64_t deadline_us = 0; /* a standing poll stays */
    if (poll->slots == 0) {
        deadline_us = core->now_us + core->config.long_poll_timeout_us;
        if (request->deadline_utc_us != 0 && request->deadline_utc_us < deadline_us)
            deadline_us = request->deadline_utc_us;
    }
    struct pending *pending = pending_create(core, request, PENDING_POLL, deadline_us);
    if (pending == NULL)
        return;
    struct queue *queue = queue_get(core, kind, poll->task_queue->name);
    pending->queue = queue;
    pending->standing = poll->slots > 0;
    pending->identity = strdup(text_or_empty(poll->identity));
    ASSERT(pending->identity != NULL);
    queue->polled_us = core->now_us;
    struct task_queue_poll entry = {.session = request->session,
                                    .correlation_id = request->correlation,
                                    .types = poll->types,
                                    .type_count = poll->type_count,
                                    .slots = poll->slots};
    uint64_t replaced;
    if (task_queue_poll(queue->tasks, &entry, core->now_us, &replaced)) {
        struct pending *old = pending_find(core, request->session, replaced);
        ASSERT(old != NULL && old != pending);
        pending_expire(core, old); /* an empty answer ends it */
    }
    queue_dirty(core, queue);
    queue_setting_greet(core, pending, poll->slots);
}

enum core_result handle_poll_workflow(struct core *core, const struct core_request *request,
                                      struct core_need *need)
{
    (void)need;
    const Api__PollWorkflowTaskQueueRequest *body =
        (const Api__PollWorkflowTaskQueueRequest *)request->body;
    bool sticky = body->task_queue != NULL && body->task_queue->kind == TASK_QUEUE_KIND_STICKY;
    poll_add(core, request, sticky ? QUEUE_STICKY : QUEUE_WORKFLOW,
             &(struct poll){.task_queue = body->task_queue,
                            .identity = body->identity,
                            .types = body->registered_types,
                            .type_count = body->n_registered_types,
                            .slots = body->slots});
    return CORE_HANDLED;
}

enum core_result handle_poll_activity(struct core *core, const struct core_request *request,
                                      struct core_need *need)
{
    (void)need;
    const Api__PollActivityTaskQueueRequest *body =
        (const Api__PollActivityTaskQueueRequest *)request->body;
    poll_add(core, request, QUEUE_ACTIVITY,
             &(struct poll){.task_queue = body->task_queue,
                            .identity = body->identity,
                            .types = body->registered_types,
                            .type_count = body->n_registered_types,
                            .slots = body->slots});
    return CORE_HANDLED;
}
