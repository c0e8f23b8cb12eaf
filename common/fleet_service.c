/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_service: see fleet_service.h. */
#include "common/fleet_service.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

struct finisher {
    const struct fleet_service *service;
    const char *data_dir;
    const struct yaml_node *root;
    struct arena *arena;
    struct error *err;
};

static int fail_memory(struct finisher *finisher)
{
    return error_set(finisher->err, ERR_MEMORY, "configuration: out of memory");
}

const struct yaml_node *fleet_service_node(const struct yaml_node *root, const char *section,
                                           const char *key)
{
    const struct yaml_node *map = yaml_get(root, section);
    const struct yaml_node *node = map != NULL ? yaml_get(map, key) : NULL;
    if (node != NULL)
        return node;
    return map != NULL ? map : root;
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_loopback(const char *address)
{
    return has_prefix(address, "tcp://127.") || has_prefix(address, "tcp://localhost:") ||
           has_prefix(address, "tcp://[::1]:");
}

/* The port of "tcp://host:port", -1 when it is not of that form. */
static int parse_port(const char *address)
{
    const char *host = address + strlen("tcp://");
    const char *colon = strrchr(host, ':');
    if (colon == NULL || colon == host || colon[1] < '0' || colon[1] > '9')
        return -1;
    char *end;
    long port = strtol(colon + 1, &end, 10);
    return *end == '\0' && port <= 65535 ? (int)port : -1;
}

/* has_keys: the CURVE key files of this side are configured. */
static int check_address(struct finisher *finisher, const struct yaml_node *node,
                         const char *address, bool has_keys, const char *keys)
{
    if (has_prefix(address, "ipc://")) {
        size_t length = strlen(address) - strlen("ipc://");
        size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
        if (length == 0 || address[6] != '/')
            return yaml_fail(node, finisher->err, "\"%.128s\" must be ipc:// and an absolute path",
                             address);
        if (length > most)
            return yaml_fail(node, finisher->err,
                             "the socket's path has %zu bytes, more than the system's %zu "
                             "(choose a shorter data_dir): %.256s",
                             length, most, address);
        return 0;
    }
    if (!has_prefix(address, "tcp://"))
        return yaml_fail(node, finisher->err,
                         "\"%.128s\" is no address (ipc, ipc:///path or tcp://host:port)", address);
    if (parse_port(address) < 0)
        return yaml_fail(node, finisher->err, "\"%.128s\" must be tcp://host:port", address);
    if (has_keys || (finisher->service->insecure && is_loopback(address)))
        return 0;
    return yaml_fail(node, finisher->err,
                     "\"%.128s\" needs %s (without keys only on a loopback address, with "
                     "insecure: true)",
                     address, keys);
}

/* Where local clients connect: the first ipc address, else the first tcp one with a port. A
 * wildcard host is reached at loopback. */
static int choose_address(struct finisher *finisher)
{
    const struct fleet_service *service = finisher->service;
    const char *tcp = NULL;
    for (size_t i = 0; i < *service->listen_count; i++) {
        const char *address = (*service->listen)[i];
        if (has_prefix(address, "ipc://")) {
            *service->address = address;
            return 0;
        }
        if (tcp == NULL && parse_port(address) > 0)
            tcp = address;
    }
    if (tcp == NULL)
        return 0;
    bool is_wildcard = has_prefix(tcp, "tcp://*:") || has_prefix(tcp, "tcp://0.0.0.0:") ||
                       has_prefix(tcp, "tcp://[::]:");
    *service->address =
        is_wildcard ? arena_printf(finisher->arena, "tcp://127.0.0.1:%d", parse_port(tcp)) : tcp;
    return *service->address != NULL ? 0 : fail_memory(finisher);
}

static int finish_listen(struct finisher *finisher)
{
    const struct fleet_service *service = finisher->service;
    static const char *const listen_default[] = {"ipc"};
    if (*service->listen == NULL) {
        *service->listen = listen_default;
        *service->listen_count = 1;
    }
    const struct yaml_node *node = fleet_service_node(finisher->root, service->section, "listen");
    const struct yaml_node *entry = node->kind == YAML_LIST ? node->first : NULL;
    if (*service->listen_count == 0)
        return yaml_fail(node, finisher->err, "the %s needs an address to listen on",
                         service->section);
    const char **addresses =
        arena_calloc(finisher->arena, *service->listen_count, sizeof *addresses);
    if (addresses == NULL)
        return fail_memory(finisher);
    for (size_t i = 0; i < *service->listen_count; i++) {
        const char *listen = (*service->listen)[i];
        addresses[i] = strcmp(listen, "ipc") == 0
                           ? arena_printf(finisher->arena, "ipc://%s/%s.sock", finisher->data_dir,
                                          service->section)
                           : listen;
        if (addresses[i] == NULL)
            return fail_memory(finisher);
        int code =
            check_address(finisher, entry != NULL ? entry : node, addresses[i],
                          service->has_server_keys, "server_key_file and authorized_keys_dir");
        if (code != 0)
            return code;
        entry = entry != NULL ? entry->next : NULL;
    }
    *service->listen = addresses;
    return choose_address(finisher);
}

int fleet_service_finish(const struct fleet_service *service, const char *data_dir,
                         const struct yaml_node *root, struct arena *arena, struct error *err)
{
    struct finisher finisher = {service, data_dir, root, arena, err};
    if (service->endpoint == NULL)
        return finish_listen(&finisher);
    const struct yaml_node *node = fleet_service_node(root, service->section, "endpoint");
    const struct yaml_node *listen = fleet_service_node(root, service->section, "listen");
    char line[YAML_LINE_SIZE];
    if (*service->listen_count > 0)
        return yaml_fail(listen, err, "%s that runs elsewhere (endpoint, %s) listens there",
                         service->noun, yaml_line(node, listen, line));
    if (has_prefix(service->endpoint, "tcp://") && parse_port(service->endpoint) == 0)
        return yaml_fail(node, err, "port 0 cannot be connected to");
    *service->address = service->endpoint;
    return check_address(&finisher, node, service->endpoint, service->has_client_keys,
                         "server_public_key_file and client_key_file");
}

int fleet_service_endpoint(const struct fleet_config *config, const char *section,
                           const char *address, const char *server_public_key_file,
                           const char *client_key_file, struct fleet_endpoint *ret_endpoint,
                           struct error *err)
{
    if (address == NULL)
        return error_set(err, ERR_CONFIG,
                         "%s: %s.listen has no address that can be connected to (port 0)",
                         config->source, section);
    bool has_curve = has_prefix(address, "tcp://") && client_key_file != NULL;
    *ret_endpoint = (struct fleet_endpoint){
        .address = address,
        .server_public_key_file = has_curve ? server_public_key_file : NULL,
        .client_key_file = has_curve ? client_key_file : NULL,
    };
    return 0;
}
