/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_log: the supervisor's side of a report: whether it runs, and the last lines of the living,
 * which it writes to <data_dir>/last-lines.txt when it gets SIGUSR1
 * (supervisor/log/crash_folder.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cli/report.h"
#include "common/clock.h"

#define LOCK       "supervisor.lock"
#define LAST_LINES "last-lines.txt"

#define ANSWER_NS     (5 * NS_PER_S)
#define LOOK_AGAIN_NS (10 * NS_PER_MS)

/* Who holds the lock has written its number into it. */
pid_t report_supervisor(const char *data_dir)
{
    char path[4096];
    char text[16] = "";
    snprintf(path, sizeof path, "%s/" LOCK, data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, text, sizeof text - 1);
    bool is_held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return is_held && size > 0 ? atoi(text) : 0;
}

/* Whether a signal will be news to that process, and not its end. */
static bool takes_signal(pid_t pid, int number)
{
    char path[64];
    struct buffer status = {0};
    uint64_t blocked = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    report_read(path, &status);
    const char *line = strstr(buffer_text(&status), "\nSigBlk:");
    bool is_told = line != NULL && sscanf(line, "\nSigBlk: %" SCNx64, &blocked) == 1;
    buffer_fini(&status);
    return is_told && (blocked >> (number - 1) & 1) != 0;
}

/* Asks for the last lines and waits for them. False with the reason. */
static bool ask(const struct report *report, struct buffer *out, const char **ret_why)
{
    char path[4096];
    uint64_t end_ns = clock_monotonic_ns() + ANSWER_NS;
    pid_t pid = report->supervisor_pid;
    snprintf(path, sizeof path, "%s/" LAST_LINES, report->config->data_dir);
    *ret_why = "the supervisor does not run";
    if (pid == 0)
        return false;
    *ret_why = "the supervisor is another version's";
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 || report_supervisor(report->config->data_dir) != pid ||
        !takes_signal(pid, SIGUSR1)) {
        if (pidfd >= 0)
            close(pidfd);
        return false;
    }
    unlink(path);
    bool is_sent = syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0) == 0;
    close(pidfd);
    *ret_why = is_sent ? "the supervisor did not answer" : strerror(errno);
    while (is_sent && clock_monotonic_ns() < end_ns) {
        if (report_read(path, out)) {
            unlink(path);
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
    }
    return false;
}

/* Each line is "NAME<tab>LINE", those of a process together; what the supervisor says of the node
 * has no name. */
static int add_lines(struct report *report, const char *text, struct error *err)
{
    int code = 0;
    while (code == 0 && *text != '\0') {
        size_t name_size = strcspn(text, "\t\n");
        char file[160];
        struct buffer lines = {0};
        struct buffer shown = {0};
        const char *next = text;
        while (strncmp(next, text, name_size) == 0 && next[name_size] == '\t') {
            size_t size = strcspn(next + name_size + 1, "\n");
            buffer_append(&lines, next + name_size + 1, size);
            buffer_append_byte(&lines, '\n');
            next += name_size + 1 + size;
            next += *next == '\n';
        }
        if (next == text) /* nothing that the supervisor writes */
            break;
        snprintf(file, sizeof file, "log/%.*s.txt", (int)name_size, text);
        for (char *at = file + 4; *at != '\0'; at++)
            *at = *at == '/' ? '-' : *at;
        report_scrub_lines((const char *)lines.data, lines.size, report->with_output, &shown);
        if (lines.failed)
            shown.failed = true;
        buffer_fini(&lines);
        code = report_add(report, file, &shown, err);
        text = next;
    }
    return code;
}

int report_log(struct report *report, char ret_http[128], struct error *err)
{
    struct buffer text = {0};
    const char *why;
    ret_http[0] = '\0';
    if (!ask(report, &text, &why)) {
        report_miss(report, "log", why);
        buffer_fini(&text);
        return 0;
    }
    const char *lines = buffer_text(&text);
    if (sscanf(lines, "http %127s\n", ret_http) == 1)
        lines += strcspn(lines, "\n") + 1;
    int code = add_lines(report, lines, err);
    buffer_fini(&text);
    return code;
}
