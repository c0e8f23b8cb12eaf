/* SPDX-License-Identifier: Apache-2.0 */
/* storage_client: see storage_client.h. */
#include "storage/storage_client.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "queues/connection.h"
#include "storage/storage_call.h"

struct storage_client {
    /* configuration */
    const struct fleet_config *config;
    char *identity; /* NULL: "pid@host" */
    /* parts */
    struct artifact_cache *cache;
    /* guarded by mutex until it is set, then constant */
    pthread_mutex_t mutex;
    struct connection *connection;
};

static int open_cache(struct storage_client *client, struct error *err)
{
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s/cache/artifacts", client->config->data_dir) +
            DIGEST_HEX_SIZE >=
        PATH_MAX)
        return error_set(err, ERR_CONFIG, "data_dir: the path is too long");
    return artifact_cache_create(folder, (uint64_t)client->config->storage.cache_mb * LIMIT_MIB,
                                 &client->cache, err);
}

int storage_client_open(const struct fleet_config *config, const char *identity,
                        struct storage_client **ret_client, struct error *err)
{
    struct storage_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a storage client");
    client->config = config;
    pthread_mutex_init(&client->mutex, NULL);
    int code = open_cache(client, err);
    if (code == 0 && identity != NULL && (client->identity = strdup(identity)) == NULL)
        code = error_set(err, ERR_MEMORY, "no memory for a storage client");
    if (code != 0) {
        storage_client_close(client);
        return code;
    }
    *ret_client = client;
    return 0;
}

void storage_client_close(struct storage_client *client)
{
    if (client == NULL)
        return;
    connection_close(client->connection);
    artifact_cache_destroy(client->cache);
    pthread_mutex_destroy(&client->mutex);
    free(client->identity);
    free(client);
}

struct artifact_cache *storage_client_cache(struct storage_client *client)
{
    return client->cache;
}

static int connect_once(struct storage_client *client, struct error *err)
{
    struct fleet_endpoint endpoint;
    int code = fleet_config_storage_endpoint(client->config, &endpoint, err);
    if (code != 0)
        return code;
    const struct connection_config config = {
        .address = endpoint.address,
        .server_key_file = endpoint.server_public_key_file,
        .client_key_file = endpoint.client_key_file,
        .own_thread = true,
        .identity = client->identity,
        .node = client->config->node,
    };
    return connection_open(&config, &client->connection, err);
}

static int get_connection(struct storage_client *client, struct connection **ret_connection,
                          struct error *err)
{
    pthread_mutex_lock(&client->mutex);
    int code = client->connection == NULL ? connect_once(client, err) : 0;
    if (code == 0)
        *ret_connection = client->connection;
    pthread_mutex_unlock(&client->mutex);
    return code;
}

int storage_client_wait(struct storage_client *client, uint32_t timeout_ms, struct error *err)
{
    struct connection *connection;
    int code = get_connection(client, &connection, err);
    return code == 0 ? connection_wait_session(connection, timeout_ms, err) : code;
}

int storage_call(struct storage_client *client, enum method method, const ProtobufCMessage *request,
                 struct arena *arena, ProtobufCMessage **ret_response, struct error *err)
{
    struct connection *connection;
    int code = get_connection(client, &connection, err);
    if (code != 0)
        return code;
    return connection_call(connection, method, request, STORAGE_CALL_TIMEOUT_MS, arena,
                           ret_response, NULL, err);
}
