/* SPDX-License-Identifier: Apache-2.0 */
/* connect: see connect.h. */
#include "sdk/connect.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define SOCKET_NAME      "engine.sock"
#define DEFAULT_DATA_DIR "./.argosy"

static const char *first_set(const char *option, const char *variable)
{
    if (option != NULL && option[0] != '\0')
        return option;
    const char *value = variable == NULL ? NULL : getenv(variable);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static char *address_of_data_dir(const char *data_dir, struct arena *arena)
{
    /* Absolute, so that a later chdir changes nothing; as it is where it does not exist yet. */
    char *absolute = realpath(data_dir, NULL);
    char *address =
        arena_printf(arena, "ipc://%s/" SOCKET_NAME, absolute == NULL ? data_dir : absolute);
    free(absolute);
    return address;
}

static char *own_identity(struct arena *arena)
{
    char host[HOST_NAME_MAX + 1] = "";
    gethostname(host, sizeof host - 1);
    return arena_printf(arena, "%ld@%s", (long)getpid(), host);
}

int connect_resolve(const struct argosy_connection_options *options, struct arena *arena,
                    struct connect_options *ret_options, struct error *err)
{
    static const struct argosy_connection_options defaults;
    if (options == NULL)
        options = &defaults;
    const char *address = options->endpoint;
    const char *data_dir = options->data_dir;
    if (address == NULL && data_dir == NULL)
        address = first_set(NULL, "ARGOSY_ENDPOINT");
    if (address == NULL) {
        data_dir = first_set(data_dir, "ARGOSY_DATA_DIR");
        address = address_of_data_dir(data_dir == NULL ? DEFAULT_DATA_DIR : data_dir, arena);
    }
    const char *identity = first_set(options->identity, NULL);
    const char *name_space = first_set(options->name_space, NULL);
    struct connect_options resolved = {
        .address = address,
        .name_space = name_space == NULL ? DEFAULT_NAMESPACE : name_space,
        .identity = identity == NULL ? own_identity(arena) : identity,
        .instance_id = first_set(options->instance_id, NULL),
        .node = first_set(options->node, NULL),
        .server_key_file = first_set(options->server_key_file, "ARGOSY_SERVER_KEY_FILE"),
        .client_key_file = first_set(options->client_key_file, "ARGOSY_CLIENT_KEY_FILE"),
        .codecs = options->codecs,
    };
    if ((resolved.server_key_file == NULL) != (resolved.client_key_file == NULL))
        return error_set(err, ERR_INVALID,
                         "the engine's key file and the client's key file go together");
    const char **strings[] = {&resolved.address,        &resolved.name_space,
                              &resolved.identity,       &resolved.instance_id,
                              &resolved.node,           &resolved.server_key_file,
                              &resolved.client_key_file};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        if (*strings[i] != NULL && (*strings[i] = arena_strdup(arena, *strings[i])) == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
    }
    if (resolved.address == NULL || resolved.identity == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_options = resolved;
    return 0;
}

struct connection_config connect_config(const struct connect_options *options)
{
    return (struct connection_config){
        .address = options->address,
        .server_key_file = options->server_key_file,
        .client_key_file = options->client_key_file,
        .identity = options->identity,
        .instance_id = options->instance_id,
        .node = options->node,
    };
}
