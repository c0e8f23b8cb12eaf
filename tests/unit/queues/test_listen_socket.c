/* SPDX-License-Identifier: Apache-2.0 */
/* test_listen_socket: an endpoint on sockets that listened before it was there. */
#include "tests/unit/queues/transport_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "queues/listen_socket.h"

static int listen_tcp(int family, const char *host)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    bool is_ipv4 = family == AF_INET;
    assert_int_equal(
        inet_pton(family, host, is_ipv4 ? (void *)&in.sin_addr : (void *)&in6.sin6_addr), 1);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && !is_ipv4)
        return -1; /* a machine without IPv6 */
    assert_true(fd >= 0);
    int code = bind(fd, is_ipv4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
                    is_ipv4 ? sizeof in : sizeof in6);
    if (code != 0 && !is_ipv4) {
        close(fd);
        return -1;
    }
    assert_int_equal(code, 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static int listen_ipc(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    umask(mask);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in6 name;
    socklen_t size = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    return ntohs(name.sin6_port); /* at the same place in both families */
}

static bool is_at(int fd, const char *host)
{
    char text[256];
    struct address address;
    snprintf(text, sizeof text, "tcp://%s:%u", host, port_of(fd));
    assert_int_equal(address_parse(text, &address, NULL), 0);
    return listen_socket_is_at(fd, text, &address);
}

static void test_addresses_of_tcp_sockets(void **state)
{
    (void)state;
    int fd = listen_tcp(AF_INET, "127.0.0.1");
    char text[256];
    char expected[256];
    struct address address;
    assert_true(is_at(fd, "127.0.0.1"));
    assert_true(is_at(fd, "localhost"));
    assert_false(is_at(fd, "127.0.0.2"));
    assert_false(is_at(fd, "*"));
    assert_false(is_at(fd, "[::1]"));
    snprintf(text, sizeof text, "tcp://127.0.0.1:%u", port_of(fd) ^ 1);
    assert_int_equal(address_parse(text, &address, NULL), 0);
    assert_false(listen_socket_is_at(fd, text, &address));
    listen_socket_format(fd, text);
    snprintf(expected, sizeof expected, "tcp://127.0.0.1:%u", port_of(fd));
    assert_string_equal(text, expected);
    close(fd);

    fd = listen_tcp(AF_INET, "0.0.0.0");
    assert_true(is_at(fd, "*"));
    assert_true(is_at(fd, "0.0.0.0"));
    assert_false(is_at(fd, "127.0.0.1"));
    close(fd);

    fd = listen_tcp(AF_INET6, "::1");
    if (fd < 0)
        return;
    assert_true(is_at(fd, "[::1]"));
    assert_false(is_at(fd, "*"));
    assert_false(is_at(fd, "127.0.0.1"));
    listen_socket_format(fd, text);
    snprintf(expected, sizeof expected, "tcp://[::1]:%u", port_of(fd));
    assert_string_equal(text, expected);
    close(fd);
}

/* Opens the fixture's endpoint at address, on a copy of the socket. */
static void open_on(struct fixture *fixture, const char *address, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    struct endpoint_config config = {.addresses = &address,
                                     .address_count = 1,
                                     .insecure = true,
                                     .listen_fds = &copy,
                                     .listen_fd_count = 1};
    struct error err = {0};
    if (endpoint_open(&config, &fixture->endpoint, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(endpoint_address(fixture->endpoint, 0), address);
}

static int connect_tcp(unsigned port)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = connect(fd, (struct sockaddr *)&name, sizeof name);
    close(fd);
    return code;
}

/* An engine that dies and comes back: whoever connects in between is never refused. */
static void test_who_connects_meanwhile_waits(void **state)
{
    struct fixture *fixture = *state;
    char address[256];
    int fd = listen_tcp(AF_INET, "127.0.0.1");
    snprintf(address, sizeof address, "tcp://127.0.0.1:%u", port_of(fd));
    /* nobody is there yet */
    fixture_connect(fixture, 0, &(struct connection_config){.address = address});
    assert_int_equal(connect_tcp(port_of(fd)), 0);
    open_on(fixture, address, fd);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 1);

    endpoint_close(fixture->endpoint);
    fixture->endpoint = NULL;
    assert_int_equal(connect_tcp(port_of(fd)), 0);
    fixture_connect(fixture, 1, &(struct connection_config){.address = address});
    open_on(fixture, address, fd);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[1].sessions == 1);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 2);
    close(fd);
}

static void test_ipc_socket_stays(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s", fixture->address + strlen("ipc://"));
    int fd = listen_ipc(path);
    for (int i = 0; i < 2; i++) {
        open_on(fixture, fixture->address, fd);
        fixture_connect(fixture, i, NULL);
        FIXTURE_PUMP_UNTIL(fixture, fixture->clients[i].sessions >= 1);
        endpoint_close(fixture->endpoint);
        fixture->endpoint = NULL;
        assert_int_equal(stat(path, &st), 0); /* the file is its maker's */
    }
    close(fd);
}

static void assert_refused(const char *address, int fd, bool insecure, int code,
                           const char *expected)
{
    struct endpoint *endpoint = NULL;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    struct endpoint_config config = {.addresses = &address,
                                     .address_count = 1,
                                     .insecure = insecure,
                                     .listen_fds = &copy,
                                     .listen_fd_count = 1};
    struct error err = {0};
    assert_int_equal(endpoint_open(&config, &endpoint, &err), code);
    if (strstr(err.text, expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, expected);
}

static void test_what_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char address[256];
    const char *path = fixture->address + strlen("ipc://");
    int fd = listen_tcp(AF_INET, "127.0.0.1");
    snprintf(address, sizeof address, "tcp://127.0.0.1:%u", port_of(fd));
    /* a passed socket needs keys as any other */
    assert_refused(address, fd, false, ERR_CONFIG, "needs a server key");
    /* one that nobody would answer at */
    assert_refused(fixture->address, fd, true, ERR_CONFIG, address);
    close(fd);
    fd = listen_ipc(path);
    assert_int_equal(chmod(path, 0666), 0);
    assert_refused(fixture->address, fd, true, ERR_PERMISSION, "everybody may connect");
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_addresses_of_tcp_sockets),
        TEST(test_who_connects_meanwhile_waits),
        TEST(test_ipc_socket_stays),
        TEST(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
