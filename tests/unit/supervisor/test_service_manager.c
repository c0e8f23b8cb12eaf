/* SPDX-License-Identifier: Apache-2.0 */
/* test_service_manager: what is told to a fake manager's socket, and which sockets are taken. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/service_manager.h"

static int inbox = -1; /* the manager's end */
static char path[64];

static int listen_at(const char *name, socklen_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                     0);
    return fd;
}

static void set_pid(const char *name)
{
    char text[16];
    snprintf(text, sizeof text, "%d", (int)getpid());
    setenv(name, text, 1);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    snprintf(path, sizeof path, "/tmp/argosy-notify-%d", (int)getpid());
    unlink(path);
    inbox = listen_at(path, (socklen_t)strlen(path));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return close(inbox);
}

static void assert_told(const char *expected)
{
    char text[512];
    ssize_t size = recv(inbox, text, sizeof text - 1, MSG_DONTWAIT);
    if (expected == NULL) {
        assert_int_equal(size, -1);
        assert_int_equal(errno, EAGAIN);
        return;
    }
    assert_true(size > 0);
    text[size] = '\0';
    assert_string_equal(text, expected);
}

static void nobody_is_told_where_nobody_listens(void **state)
{
    (void)state;
    struct service_manager manager;
    setenv("WATCHDOG_USEC", "1000000", 1);
    assert_int_equal(service_manager_open(&manager, NULL), 0);
    service_manager_ready(&manager);
    service_manager_status(&manager, "running");
    assert_true(service_manager_turn(&manager, NS_PER_S) == UINT64_MAX);
    service_manager_close(&manager);
}

static void tells_what_happens(void **state)
{
    (void)state;
    struct service_manager manager;
    setenv("NOTIFY_SOCKET", path, 1);
    assert_int_equal(service_manager_open(&manager, NULL), 0);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_told(NULL);
    service_manager_ready(&manager);
    assert_told("READY=1");
    service_manager_status(&manager, "3 of 3 processes are ready");
    assert_told("STATUS=3 of 3 processes are ready");
    service_manager_status(&manager, "3 of 3 processes are ready");
    assert_told(NULL);
    service_manager_reloading(&manager, 1234567 * NS_PER_US);
    assert_told("RELOADING=1\nMONOTONIC_USEC=1234567");
    service_manager_stopping(&manager);
    assert_told("STOPPING=1");
    service_manager_close(&manager);
}

static void abstract_names_are_names(void **state)
{
    (void)state;
    char name[64];
    struct service_manager manager;
    snprintf(name, sizeof name, "@argosy-notify-%d", (int)getpid());
    close(inbox);
    inbox = listen_at(name, (socklen_t)strlen(name));
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(service_manager_open(&manager, NULL), 0);
    service_manager_ready(&manager);
    assert_told("READY=1");
    service_manager_close(&manager);
}

static void pings_at_half_the_watchdogs_time(void **state)
{
    (void)state;
    struct service_manager manager;
    setenv("NOTIFY_SOCKET", path, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    set_pid("WATCHDOG_PID");
    assert_int_equal(service_manager_open(&manager, NULL), 0);
    uint64_t start_ns = 50 * NS_PER_S;
    assert_int_equal(service_manager_turn(&manager, start_ns), start_ns + 1500 * NS_PER_MS);
    assert_told("WATCHDOG=1");
    service_manager_turn(&manager, start_ns + 1499 * NS_PER_MS);
    assert_told(NULL);
    service_manager_turn(&manager, start_ns + 1500 * NS_PER_MS);
    assert_told("WATCHDOG=1");
    service_manager_close(&manager);

    setenv("NOTIFY_SOCKET", path, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1); /* somebody else's */
    assert_int_equal(service_manager_open(&manager, NULL), 0);
    assert_true(service_manager_turn(&manager, start_ns) == UINT64_MAX);
    assert_told(NULL);
    service_manager_close(&manager);
}

/* A stream socket that listens, at the number fd. */
static void put_socket(int fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int made = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(made, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(made, 1), 0);
    if (made == fd)
        return;
    assert_int_equal(dup2(made, fd), fd);
    close(made);
}

/* Descriptors from 3 on are this test's, but for what cmocka and inbox have: those move away. */
static void clear_low_fds(void)
{
    int moved = fcntl(inbox, F_DUPFD_CLOEXEC, 64);
    assert_true(moved >= 64);
    close(inbox);
    inbox = moved;
    for (int fd = 3; fd < 10; fd++)
        close(fd);
}

static int open_with(struct service_manager *manager, int count, const char *names,
                     struct error *err)
{
    char text[16];
    snprintf(text, sizeof text, "%d", count);
    setenv("LISTEN_FDS", text, 1);
    set_pid("LISTEN_PID");
    if (names != NULL)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
    return service_manager_open(manager, err);
}

static void sockets_are_taken_by_name(void **state)
{
    (void)state;
    struct service_manager manager;
    clear_low_fds();
    put_socket(3);
    put_socket(4);
    put_socket(5);
    assert_int_equal(open_with(&manager, 3, "engine:http:engine", NULL), 0);
    assert_int_equal(manager.http_fd, 4);
    assert_int_equal(manager.engine_fd_count, 2);
    assert_int_equal(manager.engine_fds[0], 3);
    assert_int_equal(manager.engine_fds[1], 5);
    assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(3, F_GETFL) & O_NONBLOCK) != 0);
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDNAMES"));

    /* one that does not start leaves nothing for our children */
    assert_int_equal(service_manager_hand_on(&manager, NULL), 0);
    service_manager_take_back(&manager);
    assert_null(getenv("LISTEN_FDS"));
    assert_int_equal(fcntl(4, F_GETFD), FD_CLOEXEC);

    /* the program that takes our place finds what we found */
    assert_int_equal(service_manager_hand_on(&manager, NULL), 0);
    assert_string_equal(getenv("LISTEN_FDS"), "3");
    assert_string_equal(getenv("LISTEN_FDNAMES"), "engine:http:engine");
    assert_int_equal(fcntl(4, F_GETFD), 0);
    struct service_manager next;
    assert_int_equal(service_manager_open(&next, NULL), 0);
    assert_int_equal(next.http_fd, 4);
    service_manager_close(&next);
    service_manager_close(&manager); /* its sockets are closed already */
}

static void other_peoples_sockets_are_left_alone(void **state)
{
    (void)state;
    struct service_manager manager;
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDNAMES", "what", 1);
    assert_int_equal(service_manager_open(&manager, NULL), 0);
    assert_int_equal(manager.http_fd, -1);
    assert_int_equal(manager.engine_fd_count, 0);
    assert_null(getenv("LISTEN_FDS"));
    service_manager_close(&manager);
}

static void assert_refused(int count, const char *names, const char *expected)
{
    struct service_manager manager;
    struct error err = {0};
    assert_int_equal(open_with(&manager, count, names, &err), ERR_CONFIG);
    if (strstr(err.text, expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, expected);
    assert_int_equal(manager.http_fd, -1);
}

static void wrong_sockets_are_refused(void **state)
{
    (void)state;
    struct service_manager manager;
    clear_low_fds();
    put_socket(3);
    assert_refused(1, "web", "\"web\" is unknown here");
    put_socket(3);
    assert_refused(1, NULL, "\"unknown\" is unknown here");
    put_socket(3);
    put_socket(4);
    assert_refused(2, "http:http", "more than one socket \"http\"");
    for (int fd = 3; fd < 8; fd++)
        put_socket(fd);
    assert_refused(5, "engine:engine:engine:engine:engine", "more than 4 sockets");
    int fds[2];
    clear_low_fds();
    assert_int_equal(pipe(fds), 0);
    assert_refused(1, "engine", "no listening stream socket");

    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(service_manager_open(&manager, NULL), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_is_told_where_nobody_listens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_what_happens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(abstract_names_are_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pings_at_half_the_watchdogs_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sockets_are_taken_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_peoples_sockets_are_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_sockets_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
