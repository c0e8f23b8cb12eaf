/* SPDX-License-Identifier: Apache-2.0 */
/* session: see session.h. */
#include "cli/session.h"

#include <argosy/codec.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fleet_config.h"

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

int session_config_path(const struct parsed *parsed, char ret_path[SESSION_PATH_SIZE],
                        struct error *err)
{
    const char *file = parsed_text(parsed, "config");
    const char *data_dir = parsed_text(parsed, "data-dir");
    bool has_address = parsed_has(parsed, "address") || getenv("ARGOSY_ENDPOINT") != NULL;
    char path[SESSION_PATH_SIZE];
    int length;
    if (file != NULL) {
        length = snprintf(path, sizeof path, "%s", file);
    } else if (data_dir == NULL && has_address) {
        length = 0;
    } else {
        if (data_dir == NULL)
            data_dir = getenv("ARGOSY_DATA_DIR");
        length = snprintf(path, sizeof path, "%s/%s", data_dir != NULL ? data_dir : ".argosy",
                          FLEET_EFFECTIVE);
    }
    if (length < 0 || (size_t)length >= sizeof path)
        return error_set(err, ERR_INVALID, "%s: the path is too long",
                         file != NULL ? "--config" : "--data-dir");
    bool is_there = length > 0 && (file != NULL || access(path, F_OK) == 0);
    strcpy(ret_path, is_there ? path : "");
    return 0;
}

/* Loads that config; leaves NULL when there is none. */
static int config_find(const struct parsed *parsed, struct fleet_config **ret_config,
                       struct error *err)
{
    char path[SESSION_PATH_SIZE];
    int code = session_config_path(parsed, path, err);
    return code == 0 && path[0] != '\0' ? fleet_config_load(path, ret_config, err) : code;
}

/* Fills the rest of a session that has its codecs. */
static int session_connect(struct argosy_connection_options *options, struct session *session,
                           struct error *err)
{
    struct argosy_error why = {0};
    session->arena = argosy_arena_create();
    if (session->arena == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    options->codecs = session->codecs;
    int code = argosy_client_connect(options, &session->client, &why);
    if (code != 0) {
        if (code == ERR_UNAVAILABLE)
            return error_set(err, code,
                             "%s (is the fleet running? start it with \"argosy dev\", or name it "
                             "with --address or --data-dir)",
                             why.text);
        return session_error(&why, err);
    }
    return 0;
}

static int codecs_load(const struct fleet_config *config, struct session *session,
                       struct error *err)
{
    struct argosy_error why = {0};
    int code = argosy_codecs_load(config->source, &session->codecs, &why);
    return code == 0 ? 0 : session_error(&why, err);
}

/* The connection waits for an engine that may be about to start; who sees nothing should know why.
 */
static void say_wait(const char *endpoint)
{
    const char *data_dir = getenv("ARGOSY_DATA_DIR");
    char path[SESSION_PATH_SIZE];
    if (endpoint == NULL)
        endpoint = getenv("ARGOSY_ENDPOINT");
    if (endpoint != NULL && strncmp(endpoint, "ipc://", 6) != 0)
        return;
    if (endpoint != NULL)
        snprintf(path, sizeof path, "%s", endpoint + 6);
    else
        snprintf(path, sizeof path, "%s/engine.sock", data_dir != NULL ? data_dir : ".argosy");
    if (access(path, F_OK) != 0)
        fprintf(stderr, "note: nothing is at %s yet; waiting up to 5 s for an engine\n", path);
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
    struct session session = {0};
    struct fleet_config *config = NULL;
    bool has_file = parsed_has(parsed, "config");
    int code = options.endpoint == NULL || has_file ? config_find(parsed, &config, err) : 0;
    if (code == 0 && config != NULL)
        code = codecs_load(config, &session, err);
    if (code == 0 && config != NULL && options.endpoint == NULL) {
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
    if (code == 0 && !invocation->json)
        say_wait(options.endpoint);
    if (code == 0)
        code = session_connect(&options, &session, err);
    fleet_config_destroy(config);
    if (code == 0)
        *ret_session = session;
    else
        session_close(&session);
    return code;
}

void session_close(struct session *session)
{
    argosy_client_close(session->client);
    argosy_arena_destroy(session->arena);
    argosy_codecs_destroy(session->codecs);
    *session = (struct session){0};
}
