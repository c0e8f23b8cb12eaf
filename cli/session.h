/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: one command's connection to the engine, and calls on it in JSON.
 *
 * Where the engine is: --address, else --config's, else that of --data-dir, else the environment's
 * ARGOSY_ENDPOINT, else that of ARGOSY_DATA_DIR, else of ./.argosy. A data folder that a fleet has
 * used holds the effective config, which names the address and the keys.
 *
 * Threading: one thread.
 */
#ifndef ARGOSY_CLI_SESSION_H
#define ARGOSY_CLI_SESSION_H

#include <argosy/client.h>
#include <jansson.h>

#include "cli/command.h"
#include "cli/option.h"
#include "common/error.h"

/* --address, --data-dir, --config, --namespace. */
extern const struct option session_options[];

struct session {
    struct argosy_client *client;
    struct argosy_codecs *codecs; /* the config's; NULL without a config */
    struct argosy_arena *arena;   /* what calls hand out, until session_close */
};

#define SESSION_PATH_SIZE 4096

/* The config file that the options point at, or the one that the data folder keeps of its last
 * fleet; "" when there is none, or the engine is named by an address alone. ERR_INVALID for a path
 * that is too long. */
int session_config_path(const struct parsed *parsed, char ret_path[SESSION_PATH_SIZE],
                        struct error *err);

/* Connects. ERR_UNAVAILABLE with what to try when no engine answers; ERR_CONFIG. */
int session_open(const struct invocation *invocation, struct session *ret_session,
                 struct error *err);
void session_close(struct session *session);

/* Sets err from the library's error; returns its code. */
int session_error(const struct argosy_error *from, struct error *err);

/* A method of the API. request is taken; NULL is ERR_MEMORY. The caller releases *ret_reply. */
int session_call(struct session *session, const char *method, json_t *request, json_t **ret_reply,
                 struct error *err);

/* The history of a run, {"events": [...]}; run_id may be NULL. The caller releases it. */
int session_history(struct session *session, const char *workflow_id, const char *run_id,
                    json_t **ret_history, struct error *err);

/* Called with every event, in order, and the history so far. */
typedef void session_event_fn(const json_t *history, const json_t *event, void *arg);

/* Waits for the run's events and hands over each as it happens, until the run is closed. */
int session_follow(struct session *session, const char *workflow_id, const char *run_id,
                   session_event_fn *on_event, void *arg, struct error *err);

#endif
