/* SPDX-License-Identifier: Apache-2.0 */
/* process: see process.h. */
#include "bench/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/assert.h"

int process_path(const char *name, char *ret_path, size_t size, struct error *err)
{
    char self[512];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return error_set_errno(err, ERR_IO, errno, "could not find the running program");
    self[length] = '\0';
    snprintf(ret_path, size, "%s/%s", dirname(self), name);
    if (access(ret_path, X_OK) != 0)
        return error_set_errno(err, ERR_NOT_FOUND, errno, "cannot run %s", ret_path);
    return 0;
}

static void run_child(pid_t parent, int ready_fd, const char *const *arguments)
{
    char number[16];
    const char *all[PROCESS_ARGUMENT_MAX];
    size_t count = 0;
    while (arguments[count] != NULL) {
        ASSERT(count < PROCESS_ARGUMENT_MAX - 3);
        all[count] = arguments[count];
        count++;
    }
    snprintf(number, sizeof number, "%d", ready_fd);
    all[count++] = "--ready-fd";
    all[count++] = number;
    all[count] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    fcntl(ready_fd, F_SETFD, 0);
    execv(all[0], (char *const *)all);
    fprintf(stderr, "could not run %s: %s\n", all[0], strerror(errno));
    _exit(1);
}

int process_spawn(struct process *process, const char *const *arguments, int *ret_ready_fd,
                  struct error *err)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not make a pipe");
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        close(ready[0]);
        close(ready[1]);
        return error_set_errno(err, ERR_IO, errno, "could not fork");
    }
    if (pid == 0)
        run_child(parent, ready[1], arguments);
    close(ready[1]);
    process->pid = pid;
    *ret_ready_fd = ready[0];
    return 0;
}

int process_start(struct process *process, const char *const *arguments, struct error *err)
{
    int fd;
    int code = process_spawn(process, arguments, &fd, err);
    if (code != 0)
        return code;
    FILE *file = fdopen(fd, "r");
    ASSERT(file != NULL);
    char line[512];
    bool is_ready = false;
    while (!is_ready && fgets(line, sizeof line, file) != NULL)
        is_ready = strcmp(line, "ready\n") == 0;
    fclose(file);
    if (is_ready)
        return 0;
    process_stop(process, SIGKILL, NULL);
    return error_set(err, ERR_IO, "%s ended before it was ready", arguments[0]);
}

void process_stop(struct process *process, int signal_number, int *ret_status)
{
    int status = 0;
    if (process->pid == 0)
        return;
    kill(process->pid, signal_number);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    process->pid = 0;
    if (ret_status != NULL)
        *ret_status = status;
}

void process_remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(folder);
}

struct process_usage process_usage_get(pid_t pid)
{
    struct process_usage usage = {0};
    char path[64], text[1024];
    if (pid == 0)
        pid = getpid();
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return usage;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    /* The name in parentheses may hold spaces; after it come state, and 10 fields before utime. */
    const char *rest = strrchr(text, ')');
    unsigned long long user, system;
    long long pages;
    if (rest != NULL && sscanf(rest + 2,
                               "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
                               "%*d %*d %*d %*u %*u %lld",
                               &user, &system, &pages) == 3) {
        usage.cpu_us = (user + system) * 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK);
        usage.memory_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    return usage;
}
