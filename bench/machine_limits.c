/* SPDX-License-Identifier: Apache-2.0 */
/* machine_limits: see machine_limits.h. */
#include "bench/machine_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "common/clock.h"

#define MEASURE_NS   NS_PER_S
#define FLUSH_SIZE   8192
#define MESSAGE_SIZE 100

static int measure_flushes(const char *folder, double *ret_per_s, struct error *err)
{
    char path[512];
    char page[FLUSH_SIZE];
    memset(page, 7, sizeof page);
    snprintf(path, sizeof path, "%s/flushes", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not make %s", path);
    int code = 0;
    size_t count = 0;
    uint64_t start_ns = clock_monotonic_ns(), now_ns = start_ns;
    while (code == 0 && now_ns - start_ns < MEASURE_NS) {
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) != 0)
            code = error_set_errno(err, ERR_IO, errno, "could not write %s", path);
        count++;
        now_ns = clock_monotonic_ns();
    }
    close(fd);
    unlink(path);
    if (code == 0)
        *ret_per_s = (double)count * (double)NS_PER_S / (double)(now_ns - start_ns);
    return code;
}

/* The other process: a ROUTER that sends back what comes, until it is killed. */
static void echo(const char *address)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    char peer[64], message[MESSAGE_SIZE];
    if (zmq_bind(router, address) != 0)
        _exit(1);
    for (;;) {
        int peer_size = zmq_recv(router, peer, sizeof peer, 0);
        int size = zmq_recv(router, message, sizeof message, 0);
        if (peer_size < 0 || size < 0)
            _exit(1);
        zmq_send(router, peer, (size_t)peer_size, ZMQ_SNDMORE);
        zmq_send(router, message, (size_t)size, 0);
    }
}

static int count_round_trips(const char *address, double *ret_per_s, struct error *err)
{
    void *context = zmq_ctx_new();
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    char message[MESSAGE_SIZE] = {0};
    int timeout_ms = 5000, linger_ms = 0, code = 0;
    size_t count = 0;
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(dealer, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    if (zmq_connect(dealer, address) != 0)
        code = error_set(err, ERR_IO, "could not connect: %s", zmq_strerror(zmq_errno()));
    uint64_t start_ns = 0, now_ns = 0;
    /* The first round trip makes the connection; the clock starts after it. */
    while (code == 0 && (count <= 1 || now_ns - start_ns < MEASURE_NS)) {
        if (zmq_send(dealer, message, sizeof message, 0) < 0 ||
            zmq_recv(dealer, message, sizeof message, 0) < 0)
            code = error_set(err, ERR_IO, "no echo: %s", zmq_strerror(zmq_errno()));
        now_ns = clock_monotonic_ns();
        if (count++ == 0)
            start_ns = now_ns;
    }
    zmq_close(dealer);
    zmq_ctx_term(context);
    if (code == 0)
        *ret_per_s = (double)(count - 1) * (double)NS_PER_S / (double)(now_ns - start_ns);
    return code;
}

static int measure_round_trips(const char *folder, double *ret_per_s, struct error *err)
{
    char address[512];
    snprintf(address, sizeof address, "ipc://%s/echo.sock", folder);
    pid_t child = fork();
    if (child < 0)
        return error_set_errno(err, ERR_IO, errno, "could not fork");
    if (child == 0)
        echo(address);
    int code = count_round_trips(address, ret_per_s, err);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    unlink(address + strlen("ipc://"));
    return code;
}

int machine_limits_measure(const char *folder, struct machine_limits *ret_limits, struct error *err)
{
    struct machine_limits limits = {0};
    int code = measure_flushes(folder, &limits.flushes_per_s, err);
    if (code == 0)
        code = measure_round_trips(folder, &limits.round_trips_per_s, err);
    if (code == 0)
        *ret_limits = limits;
    return code;
}
