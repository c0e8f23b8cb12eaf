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
#include "supervisor/link/link_message.h"

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

/* As the link: tells of each answer, and of each death, which it acknowledges. */
static void take_record(int link_fd)
{
    union link_any record;
    struct link_ack ack = {.kind = LINK_RECORD_ACK};
    char detail[512];
    ssize_t size = recv(link_fd, &record, sizeof record, 0);
    if (size == 0)
        exit(EXIT_OK); /* the supervisor wants no more of it */
    if (size == (ssize_t)sizeof record.answer && record.kind == LINK_RECORD_ANSWER) {
        snprintf(detail, sizeof detail, "%d %.400s", record.answer.code, record.answer.text);
        tell("answer", detail);
        return;
    }
    if (size != (ssize_t)sizeof record.death || record.kind != LINK_RECORD_DEATH)
        _exit(EXIT_INTERNAL);
    const struct link_death death = record.death;
    snprintf(detail, sizeof detail, "%lld %s", (long long)death.pid, death.reason);
    tell("death", detail);
    ack.sequence = death.sequence;
    if (send(link_fd, &ack, sizeof ack, 0) != (ssize_t)sizeof ack)
        _exit(EXIT_INTERNAL);
}

/* As the link: passes on "OPERATION TARGET COUNT KEEP". */
static void give_order(int link_fd, int orders_fd)
{
    static uint64_t id;
    char line[256], target[LINK_TARGET_MAX];
    size_t length = 0;
    /* The writer writes whole lines; another link may be waiting for the next. */
    while (length < sizeof line - 1 && read(orders_fd, &line[length], 1) == 1 &&
           line[length] != '\n')
        length++;
    line[length] = '\0';
    struct link_order order = {.kind = LINK_RECORD_ORDER, .id = ++id};
    int keep = 0;
    if (length == 0 ||
        sscanf(line, "%u %95s %d %d", &order.operation, target, &order.count, &keep) != 4)
        return;
    order.keep = keep != 0;
    if (strcmp(target, "-") != 0)
        strcpy(order.target, target);
    if (send(link_fd, &order, sizeof order, 0) != (ssize_t)sizeof order)
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

static int serve(const char *mode, int signal_fd, int reload_fd, int link_fd)
{
    int orders_fd = link_fd >= 0 && getenv("FAKE_ORDERS") != NULL
                        ? open(getenv("FAKE_ORDERS"), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
                        : -1;
    for (;;) {
        struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                               {.fd = reload_fd, .events = POLLIN},
                               {.fd = link_fd, .events = POLLIN},
                               {.fd = orders_fd, .events = POLLIN}};
        if (poll(fds, 4, -1) < 0)
            return EXIT_INTERNAL;
        if (fds[1].revents != 0 && child_reload_take(reload_fd))
            tell("reload", "");
        if (fds[2].revents != 0)
            take_record(link_fd);
        if (fds[3].revents != 0)
            give_order(link_fd, orders_fd);
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
    int reload_fd = child_reload_fd(&err);
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
    return serve(mode, signal_fd, reload_fd, link_text != NULL ? atoi(link_text) : -1);
}
