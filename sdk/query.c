/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query: answers questions to a run from its variables, between activations.
 *
 * A handler leaves no trace: what it allocates goes with the query, random numbers it draws are not
 * missing afterwards, and calls that would make a command fail.
 */
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "sdk/error.h"
#include "sdk/failure.h"
#include "sdk/payload.h"
#include "sdk/run.h"

void argosy_query_handle(struct argosy_workflow *run, const char *type,
                         argosy_query_function *function, void *user_data)
{
    if (!run_may_command(run))
        return;
    struct query_handler *handler;
    LL_FOREACH (run->query_handlers, handler) {
        if (strcmp(handler->type, type) == 0)
            break;
    }
    if (handler == NULL) {
        handler = run_alloc(run, sizeof *handler);
        handler->type = arena_strdup(&run->arena.arena, type);
        run_check_memory(run, handler->type);
        LL_PREPEND(run->query_handlers, handler);
    }
    handler->function = function;
    handler->user_data = user_data;
    handler->is_local = coroutine_holds(run->current, user_data);
}

struct query_call {
    struct argosy_workflow *run;
    const struct query_handler *handler;
    struct argosy_payloads input;
    int code;
    struct argosy_payload answer;
    struct argosy_error error;
};

static void call_handler(void *argument)
{
    struct query_call *call = argument;
    call->code = call->handler->function(call->run, &call->input, call->handler->user_data,
                                         &call->answer, &call->error);
}

/* Runs the handler on memory of its own; what the answer needs of it is copied to arena. */
static bool run_handler(struct query_call *call, struct arena *arena,
                        Api__WorkflowQueryResult *result)
{
    struct argosy_workflow *run = call->run;
    struct argosy_workflow saved = *run;
    arena_init(&run->arena.arena, RUN_MEMORY_MAX);
    if (run_call(run, RUN_MODE_QUERY, call_handler, call) < 0)
        call->code = argosy_error_set(&call->error, run->fatal.code, "%s", run->fatal.text);
    bool fits = true;
    if (call->code >= 0) {
        struct argosy_payload answer;
        fits = payload_copy(&call->answer, arena, &answer);
        result->answer = fits ? payload_message(&answer, arena) : NULL;
        fits = result->answer != NULL;
        result->has_result_type = 1;
        result->result_type = QUERY_RESULT_TYPE_ANSWERED;
    } else {
        if (call->error.code != call->code)
            argosy_error_set(&call->error, call->code, "%s", argosy_error_text(call->code));
        Api__Failure *failure = failure_of_error(&call->error, arena);
        result->failure = failure == NULL ? NULL : failure_copy(failure, arena);
        result->error_message = arena_strdup(arena, call->error.text);
        fits = result->failure != NULL && result->error_message != NULL;
    }
    arena_fini(&run->arena.arena);
    *run = saved;
    return fits;
}

static const struct query_handler *find_handler(const struct argosy_workflow *run, const char *type)
{
    struct query_handler *handler;
    LL_FOREACH (run->query_handlers, handler) {
        if (handler->function != NULL && strcmp(handler->type, type) == 0)
            return handler;
    }
    return NULL;
}

Api__WorkflowQueryResult *run_query(struct argosy_workflow *run, const Api__WorkflowQuery *query,
                                    struct arena *arena)
{
    Api__WorkflowQueryResult *result = arena_alloc(arena, sizeof *result);
    if (result == NULL)
        return NULL;
    api__workflow_query_result__init(result);
    result->has_result_type = 1;
    result->result_type = QUERY_RESULT_TYPE_FAILED;
    const char *type = query->query_type == NULL ? "" : query->query_type;
    struct query_call call = {.run = run, .handler = find_handler(run, type)};
    if (call.handler == NULL) {
        result->error_message = arena_printf(arena, "the workflow has no query \"%s\"", type);
        return result->error_message == NULL ? NULL : result;
    }
    if (run->is_done && call.handler->is_local) {
        result->error_message = arena_printf(arena,
                                             "the run is over, and the query \"%s\" reads a local "
                                             "variable of its function, which has "
                                             "returned (what argosy_workflow_alloc gives stays)",
                                             type);
        return result->error_message == NULL ? NULL : result;
    }
    if (!payloads_view(query->query_args, arena, &call.input))
        return NULL;
    return run_handler(&call, arena, result) ? result : NULL;
}
