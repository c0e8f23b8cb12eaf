/* SPDX-License-Identifier: Apache-2.0 */
/* service_manager: see service_manager.h. */
#include "supervisor/service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

/* Where inherited sockets begin. */
#define LISTEN_FD_FIRST 3

enum variable {
    NOTIFY_SOCKET,
    WATCHDOG_USEC,
    WATCHDOG_PID,
    LISTEN_FDS,
    LISTEN_PID,
    LISTEN_FDNAMES,
};
static const char *const variable_names[SERVICE_VARIABLE_COUNT] = {
    [NOTIFY_SOCKET] = "NOTIFY_SOCKET", [WATCHDOG_USEC] = "WATCHDOG_USEC",
    [WATCHDOG_PID] = "WATCHDOG_PID",   [LISTEN_FDS] = "LISTEN_FDS",
    [LISTEN_PID] = "LISTEN_PID",       [LISTEN_FDNAMES] = "LISTEN_FDNAMES",
};

/* Variables */

static int take_variables(struct service_manager *manager, struct error *err)
{
    for (size_t i = 0; i < SERVICE_VARIABLE_COUNT; i++) {
        const char *value = getenv(variable_names[i]);
        if (value == NULL)
            continue;
        manager->variables[i] = strdup(value);
        if (manager->variables[i] == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        unsetenv(variable_names[i]);
    }
    return 0;
}

/* UINT64_MAX when there is no such variable, or no number in it. */
static uint64_t number_in(const struct service_manager *manager, enum variable variable)
{
    const char *text = manager->variables[variable];
    char *end;
    if (text == NULL || *text < '0' || *text > '9')
        return UINT64_MAX;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : UINT64_MAX;
}

/* Sockets */

static bool is_accepting(int fd)
{
    int type = 0;
    int is_listening = 0;
    socklen_t size = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0 && is_listening;
}

static int take_socket(struct service_manager *manager, int fd, const char *name, struct error *err)
{
    if (!is_accepting(fd) || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return error_set(err, ERR_CONFIG,
                         "the service manager's socket \"%s\" is no listening stream socket", name);
    if (strcmp(name, "engine") == 0) {
        if (manager->engine_fd_count == SERVICE_ENGINE_SOCKETS_MAX)
            return error_set(err, ERR_CONFIG,
                             "the service manager has more than %d sockets \"engine\"",
                             SERVICE_ENGINE_SOCKETS_MAX);
        manager->engine_fds[manager->engine_fd_count++] = fd;
        return 0;
    }
    if (strcmp(name, "http") != 0)
        return error_set(err, ERR_CONFIG,
                         "the service manager's socket \"%s\" is unknown here "
                         "(FileDescriptorName= must be engine or http)",
                         name);
    if (manager->http_fd >= 0)
        return error_set(err, ERR_CONFIG, "the service manager has more than one socket \"http\"");
    manager->http_fd = fd;
    return 0;
}

static int take_sockets(struct service_manager *manager, struct error *err)
{
    uint64_t count = number_in(manager, LISTEN_FDS);
    if (count == UINT64_MAX || number_in(manager, LISTEN_PID) != (uint64_t)getpid())
        return 0; /* there are none, or they are somebody else's */
    const char *names = manager->variables[LISTEN_FDNAMES];
    int code = 0;
    for (uint64_t i = 0; code == 0 && i < count; i++) {
        char name[256] = "unknown";
        if (names != NULL) {
            int length = (int)strcspn(names, ":");
            snprintf(name, sizeof name, "%.*s", length, names);
            names = names[length] == ':' ? names + length + 1 : NULL;
        }
        code = take_socket(manager, LISTEN_FD_FIRST + (int)i, name, err);
    }
    return code;
}

/* Notifications */

static int open_notify(struct service_manager *manager, struct error *err)
{
    const char *name = manager->variables[NOTIFY_SOCKET];
    if (name == NULL)
        return 0;
    struct sockaddr_un *address = &manager->address;
    size_t length = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || length >= sizeof address->sun_path)
        return error_set(err, ERR_CONFIG, "NOTIFY_SOCKET: \"%.100s\" is no socket", name);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, length);
    if (name[0] == '@')
        address->sun_path[0] = '\0'; /* abstract: its end is where the address ends */
    manager->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (manager->fd < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot open a socket");
    return 0;
}

/* A watchdog that is another process's is not pinged. Half its time leaves room for one late turn.
 */
static void set_watchdog(struct service_manager *manager)
{
    uint64_t pid = number_in(manager, WATCHDOG_PID);
    uint64_t timeout_us = number_in(manager, WATCHDOG_USEC);
    bool is_ours = manager->variables[WATCHDOG_PID] == NULL || pid == (uint64_t)getpid();
    if (manager->fd >= 0 && is_ours && timeout_us < UINT64_MAX / NS_PER_US)
        manager->interval_ns = timeout_us * NS_PER_US / 2;
}

static void tell(const struct service_manager *manager, const char *text)
{
    if (manager->fd < 0)
        return;
    /* A manager that does not read has worse troubles than a line it misses. */
    ssize_t sent = sendto(manager->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                          (const struct sockaddr *)&manager->address, manager->address_size);
    (void)sent;
}

int service_manager_open(struct service_manager *manager, struct error *err)
{
    *manager = (struct service_manager){.http_fd = -1, .fd = -1};
    int code = take_variables(manager, err);
    if (code == 0)
        code = take_sockets(manager, err);
    if (code == 0)
        code = open_notify(manager, err);
    if (code == 0)
        set_watchdog(manager);
    else
        service_manager_close(manager);
    return code;
}

static void set_inherited(const struct service_manager *manager, bool is_inherited)
{
    int flags = is_inherited ? 0 : FD_CLOEXEC;
    if (manager->http_fd >= 0)
        fcntl(manager->http_fd, F_SETFD, flags);
    for (size_t i = 0; i < manager->engine_fd_count; i++)
        fcntl(manager->engine_fds[i], F_SETFD, flags);
}

int service_manager_hand_on(const struct service_manager *manager, struct error *err)
{
    for (size_t i = 0; i < SERVICE_VARIABLE_COUNT; i++) {
        if (manager->variables[i] != NULL &&
            setenv(variable_names[i], manager->variables[i], 1) != 0)
            return error_set(err, ERR_MEMORY, "out of memory");
    }
    set_inherited(manager, true);
    return 0;
}

void service_manager_take_back(const struct service_manager *manager)
{
    for (size_t i = 0; i < SERVICE_VARIABLE_COUNT; i++)
        unsetenv(variable_names[i]);
    set_inherited(manager, false);
}

void service_manager_close(struct service_manager *manager)
{
    for (size_t i = 0; i < SERVICE_VARIABLE_COUNT; i++)
        free(manager->variables[i]);
    if (manager->http_fd >= 0)
        close(manager->http_fd);
    for (size_t i = 0; i < manager->engine_fd_count; i++)
        close(manager->engine_fds[i]);
    if (manager->fd >= 0)
        close(manager->fd);
    *manager = (struct service_manager){.http_fd = -1, .fd = -1};
}

void service_manager_ready(struct service_manager *manager)
{
    tell(manager, "READY=1");
}

void service_manager_reloading(struct service_manager *manager, uint64_t now_ns)
{
    char text[64];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_ns / NS_PER_US);
    tell(manager, text);
}

void service_manager_stopping(struct service_manager *manager)
{
    tell(manager, "STOPPING=1");
}

void service_manager_status(struct service_manager *manager, const char *text)
{
    char line[SERVICE_STATUS_MAX + 8];
    if (manager->fd < 0 || strncmp(manager->status, text, sizeof manager->status - 1) == 0)
        return;
    snprintf(manager->status, sizeof manager->status, "%s", text);
    snprintf(line, sizeof line, "STATUS=%s", manager->status);
    tell(manager, line);
}

uint64_t service_manager_turn(struct service_manager *manager, uint64_t now_ns)
{
    if (manager->interval_ns == 0)
        return UINT64_MAX;
    if (manager->pinged_ns == 0 || now_ns - manager->pinged_ns >= manager->interval_ns) {
        tell(manager, "WATCHDOG=1");
        manager->pinged_ns = now_ns;
    }
    return manager->pinged_ns + manager->interval_ns;
}
