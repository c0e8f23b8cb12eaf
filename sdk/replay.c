/* SPDX-License-Identifier: Apache-2.0 */
/* replay: see include/argosy/replay.h. The code is the one that live runs go through (run.h). */
#include <argosy/replay.h>
#include <jansson.h>

#include "api/json.h"
#include "common/limits.h"
#include "sdk/error.h"
#include "sdk/run.h"

static int parse_history(const char *text, struct arena *arena, Api__History **ret_history,
                         struct error *err)
{
    json_error_t at;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &at);
    if (json == NULL)
        return error_set(err, ERR_INVALID, "the history is not JSON: line %d column %d: %s",
                         at.line, at.column, at.text);
    ProtobufCMessage *message;
    int code = message_from_json(&api__history__descriptor, json, arena, &message, err);
    json_decref(json);
    if (code < 0)
        return error_prefix(err, "not a history");
    Api__History *history = (Api__History *)message;
    const Api__HistoryEvent *first = history->n_events == 0 ? NULL : history->events[0];
    if (first == NULL ||
        first->attributes_case !=
            API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_STARTED_EVENT_ATTRIBUTES ||
        first->workflow_execution_started_event_attributes == NULL)
        return error_set(err, ERR_INVALID,
                         "not a history: it does not begin with WorkflowExecutionStarted");
    *ret_history = history;
    return 0;
}

static const char *or_else(const char *text, const char *other)
{
    return text == NULL || text[0] == '\0' ? other : text;
}

static int replay(const struct run_config *config, const Api__History *history, struct arena *arena,
                  struct error *err)
{
    const Api__WorkflowExecutionStartedEventAttributes *started =
        history->events[0]->workflow_execution_started_event_attributes;
    /* The run id seeds random numbers: the original one, where a reset run has another. */
    const char *run_id = or_else(started->original_execution_run_id,
                                 or_else(started->first_execution_run_id, "unknown"));
    struct argosy_workflow *run;
    int code = run_create(config, or_else(started->workflow_id, "unknown"), run_id, &run, err);
    if (code < 0)
        return code;
    code = run_apply(run, history->events, history->n_events, false, arena, err);
    run_destroy(run);
    /* Here, events out of order are the file's fault. */
    if (code == ERR_STATE || code == ERR_PROTOCOL)
        err->code = code = ERR_INVALID;
    return code;
}

int argosy_replay_history(const struct argosy_registry *registry, const char *history_json,
                          struct argosy_error *err)
{
    struct error reason = {0};
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct run_config config = {
        .registry = registry,
        .pool = coroutine_pool_create(ARGOSY_WORKFLOW_STACK_SIZE, 0),
        .name_space = "replay",
    };
    Api__History *history = NULL;
    int code = config.pool == NULL ? error_set(&reason, ERR_MEMORY, "out of memory")
                                   : parse_history(history_json, &arena, &history, &reason);
    if (code == 0)
        code = replay(&config, history, &arena, &reason);
    coroutine_pool_destroy(config.pool);
    arena_fini(&arena);
    return code < 0 ? argosy_error_set(err, code, "%s", reason.text) : 0;
}
