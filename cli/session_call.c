/* SPDX-License-Identifier: Apache-2.0 */
/* session_call: a session's calls on the API in JSON; see session.h. */
#include <stdlib.h>

#include "cli/message_view.h"
#include "cli/session.h"

/* The engine answers a wait for events after 20 s at the latest. */
#define FOLLOW_TIMEOUT_MS 30000

static int reply_load(const char *text, json_t **ret_reply, struct error *err)
{
    json_error_t at;
    json_t *reply = json_loads(text, JSON_ALLOW_NUL, &at);
    if (reply == NULL)
        return error_set(err, ERR_PROTOCOL, "the engine's answer is not JSON: %s", at.text);
    *ret_reply = reply;
    return 0;
}

int session_call(struct session *session, const char *method, json_t *request, json_t **ret_reply,
                 struct error *err)
{
    char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    /* Of its own: who looks at a fleet for days calls often. */
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_error why = {0};
    const char *reply;
    int code;
    if (text == NULL || arena == NULL)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if ((code = argosy_client_call(session->client, method, text, arena, &reply, &why)) == 0)
        code = reply_load(reply, ret_reply, err);
    else
        code = session_error(&why, err);
    argosy_arena_destroy(arena);
    free(text);
    return code;
}

int session_history(struct session *session, const char *workflow_id, const char *run_id,
                    json_t **ret_history, struct error *err)
{
    struct argosy_error why = {0};
    const char *text;
    int code =
        argosy_client_history(session->client, workflow_id, run_id, session->arena, &text, &why);
    return code == 0 ? reply_load(text, ret_history, err) : session_error(&why, err);
}

/* Hands over the events of one reply and keeps them in history. */
static void follow_page(json_t *history, const json_t *reply, session_event_fn *on_event, void *arg)
{
    size_t index;
    json_t *event;
    json_array_foreach(view_get(reply, "history.events"), index, event)
    {
        json_array_append(json_object_get(history, "events"), event);
        on_event(history, event, arg);
    }
}

int session_follow(struct session *session, const char *workflow_id, const char *run_id,
                   session_event_fn *on_event, void *arg, struct error *err)
{
    json_t *history = json_pack("{s:[]}", "events");
    if (history == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    argosy_client_set_timeout(session->client, FOLLOW_TIMEOUT_MS);
    json_t *reply = NULL;
    const char *page = NULL; /* borrowed from reply */
    int code;
    do {
        json_t *request =
            json_pack("{s:{s:s, s:s*}, s:b, s:s*}", "execution", "workflowId", workflow_id, "runId",
                      run_id, "waitNewEvent", 1, "nextPageToken", page);
        json_decref(reply);
        reply = NULL;
        code = session_call(session, "GetWorkflowExecutionHistory", request, &reply, err);
        if (code != 0)
            break;
        follow_page(history, reply, on_event, arg);
        page = view_text(reply, "nextPageToken");
    } while (page[0] != '\0');
    json_decref(reply);
    json_decref(history);
    return code;
}
