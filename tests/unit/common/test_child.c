/* SPDX-License-Identifier: Apache-2.0 */
/* test_child: the child's side of the contract, each case in a process of its own. */
#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"
#include "common/exit_code.h"

/* What the child process does, and the exit code it is to end with. */
typedef int child_fn(void);

#define WAIT_S 20

/* Runs function in a child that knows us as its supervisor; returns how it ended. */
static int run(child_fn *function, pid_t supervisor)
{
    pid_t pid = fork();
    if (pid == 0) {
        char text[16];
        snprintf(text, sizeof text, "%d", (int)supervisor);
        if (supervisor != 0)
            setenv(CHILD_ENV_SUPERVISOR_PID, text, 1);
        alarm(WAIT_S);
        _exit(function());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void set_fd(const char *name, int fd)
{
    char text[16];
    snprintf(text, sizeof text, "%d", fd);
    setenv(name, text, 1);
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static int by_hand(void)
{
    struct child child;
    char expected[32];
    EXPECT(child_init(&child, "cpu", NULL) == 0);
    EXPECT(child.supervisor_pid == 0);
    EXPECT(child.listen_fd_count == 0);
    EXPECT(strlen(child.instance_id) == 36);
    EXPECT(child.node[0] != '\0');
    snprintf(expected, sizeof expected, "%d@", (int)getpid());
    EXPECT(strncmp(child.identity, expected, strlen(expected)) == 0);
    EXPECT(strcmp(strchr(child.identity, '#'), "#cpu") == 0);
    child_ready(&child);
    child_progress(&child);
    return 0;
}

static int under_a_supervisor(void)
{
    int ready[2], progress[2];
    char text[16];
    EXPECT(pipe(ready) == 0 && pipe(progress) == 0);
    set_fd(CHILD_ENV_READY_FD, ready[1]);
    set_fd(CHILD_ENV_PROGRESS_FD, progress[1]);
    set_fd(CHILD_ENV_LISTEN_FD "1", ready[0]);
    set_fd(CHILD_ENV_LISTEN_FD "2", progress[0]);
    setenv(CHILD_ENV_INSTANCE_ID, "11111111-2222-4333-8444-555555555555", 1);
    setenv(CHILD_ENV_NODE, "n7", 1);
    struct child child;
    EXPECT(child_init(&child, "gpu", NULL) == 0);
    EXPECT(child.supervisor_pid == getppid());
    EXPECT(strcmp(child.instance_id, "11111111-2222-4333-8444-555555555555") == 0);
    EXPECT(strcmp(child.node, "n7") == 0);
    /* programs started from here are not to take these for theirs */
    EXPECT(getenv(CHILD_ENV_READY_FD) == NULL && getenv(CHILD_ENV_INSTANCE_ID) == NULL);
    EXPECT((fcntl(ready[1], F_GETFD) & FD_CLOEXEC) != 0);
    EXPECT(child.listen_fd_count == 2);
    EXPECT(child.listen_fds[0] == ready[0] && child.listen_fds[1] == progress[0]);
    EXPECT((fcntl(ready[0], F_GETFD) & FD_CLOEXEC) != 0);
    EXPECT(getenv(CHILD_ENV_LISTEN_FD "1") == NULL);
    child_ready(&child);
    child_ready(&child);
    EXPECT(read(ready[0], text, sizeof text) == 6 && memcmp(text, "ready\n", 6) == 0);
    EXPECT(read(ready[0], text, sizeof text) == 0); /* closed */
    for (int i = 0; i < 1000; i++)
        child_progress(&child);
    EXPECT(read(progress[0], text, sizeof text) == 1); /* not one for each turn */
    return 0;
}

static int lifeline_is_cut(void)
{
    int lifeline[2];
    EXPECT(pipe(lifeline) == 0);
    set_fd(CHILD_ENV_LIFELINE_FD, lifeline[0]);
    struct child child;
    EXPECT(child_init(&child, "cpu", NULL) == 0);
    close(lifeline[1]);
    for (;;)
        pause();
}

static int lifeline_was_cut_before(void)
{
    int lifeline[2];
    EXPECT(pipe(lifeline) == 0);
    set_fd(CHILD_ENV_LIFELINE_FD, lifeline[0]);
    close(lifeline[1]);
    struct child child;
    EXPECT(child_init(&child, "cpu", NULL) == ERR_CLOSED);
    return 0;
}

static int supervisor_is_another(void)
{
    struct child child;
    struct error err = {0};
    EXPECT(child_init(&child, "cpu", &err) == ERR_CLOSED);
    EXPECT(strstr(err.text, "is gone") != NULL);
    return 0;
}

static int variables_are_checked(void)
{
    struct child child = {.ready_fd = 77};
    struct error err = {0};
    setenv(CHILD_ENV_READY_FD, "seven", 1);
    EXPECT(child_init(&child, "cpu", &err) == ERR_INVALID);
    EXPECT(strcmp(err.text, "environment variable ARGOSY_READY_FD: \"seven\" is no number") == 0);
    setenv(CHILD_ENV_READY_FD, "999", 1); /* not open */
    EXPECT(child_init(&child, "cpu", &err) == ERR_INVALID);
    unsetenv(CHILD_ENV_READY_FD);
    setenv(CHILD_ENV_INSTANCE_ID, "much longer than the thirty-six characters of a uuid", 1);
    EXPECT(child_init(&child, "cpu", &err) == ERR_INVALID);
    EXPECT(child.ready_fd == 77);
    return 0;
}

static int terminate_is_readable(void)
{
    struct pollfd poll_fd = {.events = POLLIN};
    poll_fd.fd = child_signal_fd(NULL);
    EXPECT(poll_fd.fd >= 0);
    EXPECT(poll(&poll_fd, 1, 0) == 0);
    EXPECT(raise(SIGTERM) == 0);
    EXPECT(poll(&poll_fd, 1, 0) == 1);
    return 0;
}

static int reload_is_readable(void)
{
    struct pollfd poll_fd = {.events = POLLIN};
    signal(SIGHUP, SIG_IGN); /* as its supervisor starts it */
    poll_fd.fd = child_reload_fd(NULL);
    EXPECT(poll_fd.fd >= 0);
    EXPECT(!child_reload_take(poll_fd.fd));
    EXPECT(raise(SIGHUP) == 0 && raise(SIGHUP) == 0);
    EXPECT(poll(&poll_fd, 1, 0) == 1);
    EXPECT(child_reload_take(poll_fd.fd));
    EXPECT(poll(&poll_fd, 1, 0) == 0);
    return 0;
}

static void runs_by_hand(void **state)
{
    (void)state;
    assert_int_equal(run(by_hand, 0), 0);
}

static void tells_its_supervisor(void **state)
{
    (void)state;
    assert_int_equal(run(under_a_supervisor, getpid()), 0);
}

static void leaves_when_the_lifeline_is_cut(void **state)
{
    (void)state;
    assert_int_equal(run(lifeline_is_cut, getpid()), EXIT_PARENT_DIED);
    assert_int_equal(run(lifeline_was_cut_before, getpid()), 0);
}

static void knows_a_supervisor_that_is_gone(void **state)
{
    (void)state;
    assert_int_equal(run(supervisor_is_another, 1), 0);
}

static void refuses_malformed_variables(void **state)
{
    (void)state;
    assert_int_equal(run(variables_are_checked, getpid()), 0);
}

static void receives_signals_as_events(void **state)
{
    (void)state;
    assert_int_equal(run(terminate_is_readable, getpid()), 0);
}

static void receives_calls_to_reload(void **state)
{
    (void)state;
    assert_int_equal(run(reload_is_readable, getpid()), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_by_hand),
        cmocka_unit_test(tells_its_supervisor),
        cmocka_unit_test(leaves_when_the_lifeline_is_cut),
        cmocka_unit_test(knows_a_supervisor_that_is_gone),
        cmocka_unit_test(refuses_malformed_variables),
        cmocka_unit_test(receives_signals_as_events),
        cmocka_unit_test(receives_calls_to_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
