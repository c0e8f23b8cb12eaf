/* SPDX-License-Identifier: Apache-2.0 */
/* address: see address.h. */
#include "queues/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define IPC_PREFIX "ipc://"
#define TCP_PREFIX "tcp://"
#define HOST_SIZE  256

static int parse_ipc(const char *text, struct address *address, struct error *err)
{
    const char *path = text + strlen(IPC_PREFIX);
    /* "@name" would be a socket without a file: nothing guards it. */
    if (path[0] == '\0' || path[0] == '@' || path[0] == '*')
        return error_set(err, ERR_CONFIG, "address \"%s\": a path must follow ipc://", text);
    size_t length_max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (strlen(path) > length_max)
        return error_set(err, ERR_CONFIG,
                         "address \"%s\": the path of a socket has at most %zu characters", text,
                         length_max);
    *address = (struct address){.path = path};
    return 0;
}

static bool is_loopback(const char *host)
{
    struct in_addr ipv4;
    if (inet_pton(AF_INET, host, &ipv4) == 1)
        return ntohl(ipv4.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

static bool is_port(const char *text)
{
    char *end;
    if (strcmp(text, "*") == 0)
        return true;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long port = strtoul(text, &end, 10);
    return *end == '\0' && port <= 65535;
}

static int parse_tcp(const char *text, struct address *address, struct error *err)
{
    const char *host_text = text + strlen(TCP_PREFIX);
    const char *colon = strrchr(host_text, ':');
    size_t length = colon != NULL ? (size_t)(colon - host_text) : 0;
    char host[HOST_SIZE];
    if (length == 0 || length >= sizeof host || !is_port(colon + 1))
        return error_set(err, ERR_CONFIG, "address \"%s\": HOST:PORT must follow tcp://", text);
    memcpy(host, host_text, length);
    host[length] = '\0';
    *address = (struct address){
        .is_tcp = true, .is_loopback = is_loopback(host), .is_ipv6 = host[0] == '['};
    return 0;
}

int address_parse(const char *text, struct address *ret_address, struct error *err)
{
    if (strncmp(text, IPC_PREFIX, strlen(IPC_PREFIX)) == 0)
        return parse_ipc(text, ret_address, err);
    if (strncmp(text, TCP_PREFIX, strlen(TCP_PREFIX)) == 0)
        return parse_tcp(text, ret_address, err);
    return error_set(err, ERR_CONFIG, "address \"%s\": begins with neither ipc:// nor tcp://",
                     text);
}

static int prepare_folder(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    if (slash == path)
        return 0; /* "/name": the root folder is none of ours */
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
    if (slash != NULL) {
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return error_set_errno(err, ERR_IO, errno, "could not create the folder \"%s\"",
                                   folder);
    }
    struct stat st;
    if (stat(folder, &st) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not look at the folder \"%s\"", folder);
    if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return error_set(err, ERR_PERMISSION,
                         "the folder \"%s\" may be written by other users (owner %u, mode %03o); a "
                         "socket there is not safe: make it our own with mode 700",
                         folder, (unsigned)st.st_uid, (unsigned)st.st_mode & 0777);
    return 0;
}

int address_prepare_ipc(const struct address *address, struct error *err)
{
    int rc = prepare_folder(address->path, err);
    if (rc != 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not create a socket");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, address->path);
    bool is_served = connect(fd, (const struct sockaddr *)&name, sizeof name) == 0;
    close(fd);
    if (is_served)
        return error_set(err, ERR_EXISTS, "another process serves \"%s\"", address->path);
    return 0;
}

int address_check_socket(const struct address *address, struct error *err)
{
    struct stat st;
    int rc = prepare_folder(address->path, err);
    if (rc == 0 && stat(address->path, &st) != 0)
        rc = error_set_errno(err, ERR_IO, errno, "could not look at \"%s\"", address->path);
    else if (rc == 0 && (st.st_mode & 07) != 0)
        rc = error_set(err, ERR_PERMISSION,
                       "everybody may connect to the socket \"%s\" (mode %03o): make it mode 600",
                       address->path, (unsigned)st.st_mode & 0777);
    return rc;
}
