/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal: signals of a run, from their events to handlers or argosy_signal_receive.
 *
 * All signals wait in one list, in the order of history, until a handler or a receive takes them.
 */
#include <string.h>

#include "common/hash.h"
#include "sdk/error.h"
#include "sdk/payload.h"
#include "sdk/run.h"

int signal_apply(struct argosy_workflow *run, const Api__HistoryEvent *event, struct error *err)
{
    const Api__WorkflowExecutionSignaledEventAttributes *signaled =
        event->workflow_execution_signaled_event_attributes;
    struct arena *arena = &run->arena.arena;
    struct signal *signal = arena_calloc(arena, 1, sizeof *signal);
    if (signal == NULL)
        return error_set(err, ERR_LIMIT, "the run's memory is exhausted");
    signal->name = arena_strdup(arena, signaled->signal_name == NULL ? "" : signaled->signal_name);
    struct argosy_payloads input;
    if (signal->name == NULL || !payloads_view(signaled->input, arena, &input) ||
        !payloads_copy(input, arena, &signal->input))
        return error_set(err, ERR_LIMIT, "the run's memory is exhausted");
    DL_APPEND(run->signals, signal);
    return 0;
}

static struct signal_handler *find_handler(const struct argosy_workflow *run, const char *name)
{
    struct signal_handler *handler;
    LL_FOREACH (run->signal_handlers, handler) {
        if (handler->function != NULL && strcmp(handler->name, name) == 0)
            return handler;
    }
    return NULL;
}

void signal_deliver(struct argosy_workflow *run)
{
    /* A handler may set or remove handlers: each step looks again, from the first signal on. */
    struct signal *signal = run->signals;
    while (signal != NULL) {
        const struct signal_handler *handler = find_handler(run, signal->name);
        if (handler == NULL) {
            signal = signal->next;
            continue;
        }
        DL_DELETE(run->signals, signal);
        handler->function(run, &signal->input, handler->user_data);
        signal = run->signals;
    }
}

void argosy_signal_handle(struct argosy_workflow *run, const char *name,
                          argosy_signal_function *function, void *user_data)
{
    if (!run_may_command(run))
        return;
    struct signal_handler *handler;
    LL_FOREACH (run->signal_handlers, handler) {
        if (strcmp(handler->name, name) == 0)
            break;
    }
    if (handler == NULL) {
        handler = run_alloc(run, sizeof *handler);
        handler->name = arena_strdup(&run->arena.arena, name);
        run_check_memory(run, handler->name);
        LL_PREPEND(run->signal_handlers, handler);
    }
    handler->function = function;
    handler->user_data = user_data;
    if (run->mode != RUN_MODE_CODE)
        return; /* a delivery is under way and will look again */
    run->mode = RUN_MODE_HANDLER;
    signal_deliver(run);
    run->mode = RUN_MODE_CODE;
}

/* ---- receiving ---- */

struct receive {
    const struct argosy_workflow *run;
    const char *name;
};

static struct signal *find_signal(const struct argosy_workflow *run, const char *name)
{
    struct signal *signal;
    DL_FOREACH (run->signals, signal) {
        if (strcmp(signal->name, name) == 0)
            return signal;
    }
    return NULL;
}

static bool has_signal(void *user_data)
{
    const struct receive *receive = user_data;
    return find_signal(receive->run, receive->name) != NULL;
}

int argosy_signal_receive(struct argosy_workflow *run, const char *name, int64_t timeout_ms,
                          struct argosy_payload *ret_input, struct argosy_error *err)
{
    struct receive receive = {run, name};
    int code = argosy_condition_wait(run, has_signal, &receive, timeout_ms, err);
    if (code < 0)
        return code;
    struct signal *signal = find_signal(run, name);
    DL_DELETE(run->signals, signal);
    if (ret_input != NULL)
        *ret_input = signal->input.count > 0 ? signal->input.items[0] : argosy_payload_null();
    return 0;
}
