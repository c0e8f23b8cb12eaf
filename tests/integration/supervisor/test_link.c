/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_link: the real argosy-link between a supervisor's socket and an endpoint, both played here:
 * deaths arrive at the engine, are told until it answers, and acknowledged.
 */
#include "tests/test.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/codec.h"
#include "api/messages.h"
#include "common/child.h"
#include "common/exit_code.h"
#include "common/limits.h"
#include "queues/endpoint.h"
#include "supervisor/link/link_message.h"

#define WAIT_MS 20000

static char folder[] = "/tmp/argosy-link-XXXXXX";
static struct endpoint *endpoint;
static pid_t link_pid;
static int link_fd = -1;
static int progress_fd = -1;

static void open_endpoint(void)
{
    char address[128];
    snprintf(address, sizeof address, "ipc://%s/.argosy/engine.sock", folder);
    const char *addresses[] = {address};
    struct endpoint_config config = {.addresses = addresses, .address_count = 1};
    struct error err = {0};
    if (endpoint_open(&config, &endpoint, &err) != 0)
        fail_msg("%s", err.text);
}

static void start_link(void)
{
    char path[128];
    char number[16];
    int fds[2], progress[2];
    snprintf(path, sizeof path, "%s/fleet.yaml", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("node: n1\n", file);
    fclose(file);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    assert_int_equal(pipe(progress), 0);
    link_fd = fds[0];
    progress_fd = progress[0];
    link_pid = fork();
    if (link_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        close(progress[0]);
        snprintf(number, sizeof number, "%d", fds[1]);
        setenv(LINK_ENV_FD, number, 1);
        setenv(CHILD_ENV_NODE, "n1", 1);
        snprintf(number, sizeof number, "%d", progress[1]);
        setenv(CHILD_ENV_PROGRESS_FD, number, 1);
        execl(LINK, "argosy-link", "--config", path, NULL);
        _exit(127);
    }
    close(fds[1]);
    close(progress[1]);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    endpoint = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kill(link_pid, SIGKILL);
    waitpid(link_pid, NULL, 0);
    close(link_fd);
    close(progress_fd);
    endpoint_close(endpoint);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void send_death(uint64_t sequence, int64_t pid)
{
    struct link_death death = {
        .kind = LINK_RECORD_DEATH, .sequence = sequence, .pid = pid, .instance_id = "i-1"};
    strcpy(death.reason, "signal 9 (killed)");
    assert_int_equal(send(link_fd, &death, sizeof death, 0), sizeof death);
}

static void expect_ack(uint64_t sequence)
{
    struct pollfd poll_fd = {.fd = link_fd, .events = POLLIN};
    struct link_ack ack = {0};
    assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
    assert_int_equal(recv(link_fd, &ack, sizeof ack, 0), sizeof ack);
    assert_int_equal(ack.sequence, sequence);
}

static bool has_ack(void)
{
    struct pollfd poll_fd = {.fd = link_fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

/* Serves until count deaths were told; answers Hello, and deaths with an error or as wanted.
 * Returns the pid of the last one. */
static int64_t serve_deaths(int count, int error_code)
{
    int64_t pid = 0;
    while (count > 0) {
        struct endpoint_batch batch;
        assert_int_equal(endpoint_wait(endpoint, WAIT_MS, -1, &batch, NULL), 0);
        if (batch.count == 0)
            fail_msg("no request came");
        for (size_t i = 0; i < batch.count; i++) {
            const struct endpoint_event *event = &batch.events[i];
            if (event->kind != ENDPOINT_REQUEST)
                continue;
            if (event->method->method == METHOD_HELLO) {
                Api__HelloResponse hello = API__HELLO_RESPONSE__INIT;
                hello.has_protocol_version = true;
                hello.protocol_version = 1;
                hello.engine_instance_id = "e-1";
                hello.has_lease_ms = true;
                hello.lease_ms = endpoint_lease_ms(endpoint);
                endpoint_reply(endpoint, event->session, event->correlation_id, false, &hello.base,
                               NULL);
                continue;
            }
            assert_int_equal(event->method->method, METHOD_WORKER_LOST);
            struct arena arena;
            ProtobufCMessage *message = NULL;
            arena_init(&arena, LIMIT_MIB);
            assert_int_equal(codec_decode(event->method->request, event->body, event->body_size,
                                          &arena, &message, NULL),
                             0);
            const Api__WorkerLostRequest *lost = (const Api__WorkerLostRequest *)message;
            assert_string_equal(lost->node, "n1");
            assert_string_equal(lost->instance_id, "i-1");
            assert_string_equal(lost->reason, "signal 9 (killed)");
            pid = lost->pid;
            arena_fini(&arena);
            struct error reason = {0};
            Api__WorkerLostResponse response = API__WORKER_LOST_RESPONSE__INIT;
            if (error_code != 0) {
                error_set(&reason, error_code, "as the test wants");
                endpoint_reply_error(endpoint, event->session, event->correlation_id, &reason,
                                     NULL);
            } else {
                endpoint_reply(endpoint, event->session, event->correlation_id, false,
                               &response.base, NULL);
            }
            count--;
        }
        endpoint_flush(endpoint);
    }
    return pid;
}

static void death_reaches_the_engine(void **state)
{
    (void)state;
    open_endpoint();
    start_link();
    send_death(1, 4711);
    assert_int_equal(serve_deaths(1, 0), 4711);
    expect_ack(1);
    send_death(2, 4712);
    assert_int_equal(serve_deaths(1, 0), 4712);
    expect_ack(2);
}

static void death_waits_for_an_engine(void **state)
{
    (void)state;
    start_link();
    send_death(1, 7);
    assert_false(has_ack());
    open_endpoint();
    assert_int_equal(serve_deaths(1, 0), 7);
    expect_ack(1);
}

static void passing_refusal_is_tried_again(void **state)
{
    (void)state;
    open_endpoint();
    start_link();
    send_death(1, 7);
    serve_deaths(1, ERR_UNAVAILABLE);
    assert_false(has_ack());
    assert_int_equal(serve_deaths(1, 0), 7);
    expect_ack(1);
}

static void final_refusal_is_not(void **state)
{
    (void)state;
    open_endpoint();
    start_link();
    send_death(1, 7);
    serve_deaths(1, ERR_INVALID);
    expect_ack(1);
}

static void drain_waits_for_the_answer(void **state)
{
    (void)state;
    open_endpoint();
    start_link();
    send_death(1, 7);
    serve_deaths(1, 0);
    expect_ack(1);
    send_death(2, 8);
    kill(link_pid, SIGTERM);
    assert_int_equal(serve_deaths(1, 0), 8);
    expect_ack(2);
    int status = 0;
    assert_int_equal(waitpid(link_pid, &status, 0), link_pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK);
}

/* Without an engine, and with nothing to do: its silence means something. */
static void idle_loop_tells_progress(void **state)
{
    (void)state;
    start_link();
    for (int turn = 0; turn < 3; turn++) {
        struct pollfd news = {.fd = progress_fd, .events = POLLIN};
        char byte;
        assert_int_equal(poll(&news, 1, WAIT_MS), 1);
        assert_int_equal(read(progress_fd, &byte, 1), 1);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(death_reaches_the_engine),       TEST(death_waits_for_an_engine),
        TEST(passing_refusal_is_tried_again), TEST(final_refusal_is_not),
        TEST(drain_waits_for_the_answer),     TEST(idle_loop_tells_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
