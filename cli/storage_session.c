/* SPDX-License-Identifier: Apache-2.0 */
/* storage_session: see storage_session.h. */
#include "cli/storage_session.h"

#include "cli/session.h"

static int wait_for(struct storage_client *client, struct error *err)
{
    struct error why = {0};
    int code = storage_client_wait(client, STORAGE_WAIT_MS, &why);
    if (code == ERR_TIMEOUT || code == ERR_UNAVAILABLE)
        return error_set(err, ERR_UNAVAILABLE,
                         "storage does not answer: %s (is the fleet running? start it with "
                         "\"argosy dev\", or name it with --config or --data-dir)",
                         why.text);
    return code == 0 ? 0 : error_set(err, code, "%s", why.text);
}

int storage_session_open(const struct invocation *invocation, struct storage_session *ret_session,
                         struct error *err)
{
    char path[SESSION_PATH_SIZE];
    struct storage_session session = {0};
    int code = session_config_path(&invocation->parsed, path, err);
    if (code == 0 && path[0] == '\0')
        return error_set(err, ERR_CONFIG,
                         "the fleet's config is needed to find its storage: name it with --config "
                         "or --data-dir");
    if (code == 0)
        code = fleet_config_load(path, &session.config, err);
    if (code == 0)
        code = storage_client_open(session.config, NULL, &session.client, err);
    if (code == 0)
        code = wait_for(session.client, err);
    if (code != 0) {
        storage_session_close(&session);
        return code;
    }
    *ret_session = session;
    return 0;
}

void storage_session_close(struct storage_session *session)
{
    storage_client_close(session->client);
    fleet_config_destroy(session->config);
    *session = (struct storage_session){0};
}
