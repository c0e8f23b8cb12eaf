/* SPDX-License-Identifier: Apache-2.0 */
/* session: see session.h. */
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/message_view.h"
#include "common/fleet_config.h"

/* The engine answers a wait for events after 20 s at the latest. */
#define FOLLOW_TIMEOUT_MS 30000

const struct option session_options[] = {
    {"address", NULL, 0, OPTION_TEXT, "ADDRESS",
     "the engine's address: ipc:///path/engine.sock or tcp://host:port", NULL},
    {"data-dir", NULL, 0, OPTION_TEXT, "FOLDER", "the fleet's data folder (./.argosy)", NULL},
    {"config", NULL, 'c', OPTION_TEXT, "FILE", "the fleet's config file", NULL},
    {"namespace", NULL, 'n', OPTION_TEXT, "NAME", "namespace (default)", NULL},
    {0},
};

int session_error(const struct argosy_error *from, struct error *err)
{
    return error_set(err, from->code, "%s",
                     from->text[0] != '\0' ? from->text : argosy_error_text(from->code));
}

/* Loads the config that the options point at, or the one a data folder keeps of its last fleet;
 * leaves NULL when there is none. */
static int config_find(const struct parsed *parsed, struct fleet_config **ret_config,
                       struct error *err)
{
    const char *file = parsed_text(parsed, "config");
    const char *data_dir = parsed_text(parsed, "data-dir");
    if (file != NULL)
        return fleet_config_load(file, ret_config, err);
    if (data_dir == NULL && getenv("ARGOSY_ENDPOINT") != NULL)
        return 0;
    if (data_dir == NULL)
        data_dir = getenv("ARGOSY_DATA_DIR");
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/%s", data_dir != NULL ? data_dir : ".argosy",
                          FLEET_EFFECTIVE);
    if (length < 0 || (size_t)length >= sizeof(path))
        return error_set(err, ERR_INVALID, "--data-dir: the path is too long");
    if (access(path, F_OK) != 0)
        return 0;
    return fleet_config_load(path, ret_config, err);
}

static int session_connect(const struct argosy_connection_options *options,
                           struct session *ret_session, struct error *err)
{
    struct argosy_error why = {0};
    struct session session = {.arena = argosy_arena_create()};
    if (session.arena == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = argosy_client_connect(options, &session.client, &why);
    if (code != 0) {
        argosy_arena_destroy(session.arena);
        if (code == ERR_UNAVAILABLE)
            return error_set(err, code,
                             "%s (is the fleet running? start it with \"argosy dev\", or name it "
                             "with --address or --data-dir)",
                             why.text);
        return session_error(&why, err);
    }
    *ret_session = session;
    return 0;
}

int session_open(const struct invocation *invocation, struct session *ret_session,
                 struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    struct argosy_connection_options options = {
        .endpoint = parsed_text(parsed, "address"),
        .data_dir = parsed_text(parsed, "data-dir"),
        .name_space = parsed_text(parsed, "namespace"),
    };
    struct fleet_config *config = NULL;
    int code = options.endpoint == NULL ? config_find(parsed, &config, err) : 0;
    if (code == 0 && config != NULL) {
        struct fleet_endpoint endpoint;
        code = fleet_config_endpoint(config, &endpoint, err);
        if (code == 0) {
            options.endpoint = endpoint.address;
            options.server_key_file = endpoint.server_public_key_file;
            options.client_key_file = endpoint.client_key_file;
        }
    }
    char address[4096];
    if (code == 0 && options.endpoint == NULL && options.data_dir != NULL) {
        /* An option outranks the environment's address. */
        snprintf(address, sizeof(address), "ipc://%s/engine.sock", options.data_dir);
        options.endpoint = address;
    }
    if (code == 0)
        code = session_connect(&options, ret_session, err);
    fleet_config_destroy(config);
    return code;
}

void session_close(struct session *session)
{
    argosy_client_close(session->client);
    argosy_arena_destroy(session->arena);
    *session = (struct session){0};
}

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
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    struct argosy_error why = {0};
    const char *reply;
    int code = argosy_client_call(session->client, method, text, session->arena, &reply, &why);
    free(text);
    return code == 0 ? reply_load(reply, ret_reply, err) : session_error(&why, err);
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
