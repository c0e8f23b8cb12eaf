/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_child: stands for every program of the fleet in the supervisor's tests.
 *
 * Its name (argv[0]) and --group/--index say who it is. It writes what befalls it to the FIFO
 * FAKE_LOG, one line each: "cpu/0 start 4711", "cpu/0 term 4711". FAKE_MODE (for a worker, by its
 * group's environment), FAKE_MODE_ENGINE and FAKE_MODE_LINK choose how it behaves:
 *   exit:N   ends at once with code N            deaf     does not end on SIGTERM
 *   hang     tells progress once, never again    stuck    both of these
 *   early    leaves a grandchild behind and ends
 *   (unset)  ready, waits for SIGTERM, ends with 0
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/child.h"
#include "common/exit_code.h"
#include "supervisor/link_message.h"

static char name[64] = "?";
static int log_fd = -1;

static void tell(const char *event, const char *detail)
{
    char line[512];
    int length = snprintf(line, sizeof line, "%s %s %d %s\n", name, event, (int)getpid(), detail);
    if (write(log_fd, line, (size_t)length) != length)
        _exit(EXIT_INTERNAL);
}

static const char *find_mode(const char *program)
{
    const char *mode = strcmp(program, "argosy-engine") == 0 ? getenv("FAKE_MODE_ENGINE")
                       : strcmp(program, "argosy-link") == 0 ? getenv("FAKE_MODE_LINK")
                                                             : getenv("FAKE_MODE");
    return mode != NULL ? mode : "";
}

static void name_self(int argc, char **argv)
{
    const char *group = NULL;
    const char *index = "0";
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--group") == 0)
            group = argv[i + 1];
        if (strcmp(argv[i], "--index") == 0)
            index = argv[i + 1];
    }
    if (group != NULL)
        snprintf(name, sizeof name, "%s/%s", group, index);
    else
        snprintf(name, sizeof name, "%s", argv[0] + strlen("argosy-"));
}

/* As the link: tells of each death that it hears of, and acknowledges it. */
static void take_death(int link_fd)
{
    struct link_death death;
    struct link_ack ack = {.kind = LINK_RECORD_ACK};
    char detail[256];
    if (recv(link_fd, &death, sizeof death, 0) != (ssize_t)sizeof death)
        _exit(EXIT_INTERNAL);
    snprintf(detail, sizeof detail, "%lld %s", (long long)death.pid, death.reason);
    tell("death", detail);
    ack.sequence = death.sequence;
    if (send(link_fd, &ack, sizeof ack, 0) != (ssize_t)sizeof ack)
        _exit(EXIT_INTERNAL);
}

/* A process whose parent ends before it: the supervisor has to end and reap it. The alarm is for
 * tests that end first. */
static void leave_grandchild(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    char detail[16];
    snprintf(detail, sizeof detail, "%d", (int)pid);
    tell("grandchild", detail);
}

static int serve(const char *mode, int signal_fd, int link_fd)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                               {.fd = link_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0)
            return EXIT_INTERNAL;
        if (fds[1].revents != 0)
            take_death(link_fd);
        if (fds[0].revents == 0)
            continue;
        tell("term", "");
        if (strcmp(mode, "deaf") != 0 && strcmp(mode, "stuck") != 0)
            return EXIT_OK;
        for (;;)
            pause();
    }
}

int main(int argc, char **argv)
{
    struct child child;
    struct error err = {0};
    const char *mode = find_mode(argv[0]);
    const char *link_text = getenv(LINK_ENV_FD);
    name_self(argc, argv);
    log_fd = open(getenv("FAKE_LOG"), O_WRONLY | O_CLOEXEC);
    if (log_fd < 0 || child_init(&child, name, &err) != 0) {
        fprintf(stderr, "%s: %s\n", name, err.text);
        return EXIT_INTERNAL;
    }
    int signal_fd = child_signal_fd(&err);
    const char *gpu = getenv("CUDA_VISIBLE_DEVICES");
    tell("start", gpu != NULL ? gpu : "none");
    if (strncmp(mode, "exit:", 5) == 0)
        return atoi(mode + 5);
    if (strcmp(mode, "early") == 0) {
        leave_grandchild();
        return EXIT_OK;
    }
    child_ready(&child);
    if (strcmp(mode, "hang") == 0 || strcmp(mode, "stuck") == 0)
        child_progress(&child);
    return serve(mode, signal_fd, link_text != NULL ? atoi(link_text) : -1);
}
