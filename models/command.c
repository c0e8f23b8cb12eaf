/* SPDX-License-Identifier: Apache-2.0 */
/* command: see command.h. Standard output and error of the child come back by one pipe; its end is
 * the command's end. */
#include "models/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/assert.h"

#define TICK_MS   200
#define TAIL_SIZE 1024

extern char **environ;

/* The environment with TMPDIR replaced. The caller frees the array; temp is borrowed. */
static char **environment_create(char *temp)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **environment = calloc(count + 2, sizeof *environment);
    if (environment == NULL)
        return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "TMPDIR=", 7) != 0)
            environment[kept++] = environ[i];
    }
    environment[kept] = temp;
    return environment;
}

/* Starts argv with both outputs on out_fd; returns 0 or an errno. */
static int start(const char *const *argv, const char *temp_folder, int out_fd, pid_t *ret_pid)
{
    char temp[4096];
    if (snprintf(temp, sizeof temp, "TMPDIR=%s", temp_folder) >= (int)sizeof temp)
        return ENAMETOOLONG;
    char **environment = environment_create(temp);
    if (environment == NULL)
        return ENOMEM;
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0) {
        failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        if (failed == 0)
            failed = posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
        if (failed == 0)
            failed = posix_spawn_file_actions_adddup2(&actions, out_fd, 2);
        if (failed == 0)
            failed =
                posix_spawnp(ret_pid, argv[0], &actions, NULL, (char *const *)argv, environment);
        posix_spawn_file_actions_destroy(&actions);
    }
    free(environment);
    return failed;
}

/* Keeps the last bytes of what comes. */
static void tail_append(char tail[TAIL_SIZE], size_t *size, const char *data, size_t count)
{
    if (count >= TAIL_SIZE - 1) {
        data += count - (TAIL_SIZE - 1);
        count = TAIL_SIZE - 1;
    }
    size_t keep = *size < TAIL_SIZE - 1 - count ? *size : TAIL_SIZE - 1 - count;
    memmove(tail, tail + *size - keep, keep);
    memcpy(tail + keep, data, count);
    *size = keep + count;
    tail[*size] = '\0';
}

static const char *last_line(char *tail)
{
    size_t size = strlen(tail);
    while (size > 0 && (tail[size - 1] == '\n' || tail[size - 1] == '\r' || tail[size - 1] == ' '))
        tail[--size] = '\0';
    const char *newline = strrchr(tail, '\n');
    return newline != NULL ? newline + 1 : tail;
}

static void watch(int fd, command_tick_fn *tick, void *arg, char tail[TAIL_SIZE])
{
    size_t tail_size = 0;
    tail[0] = '\0';
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int ready = poll(&wait, 1, TICK_MS);
        if (tick != NULL)
            tick(arg);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        char data[4096];
        ssize_t count = read(fd, data, sizeof data);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return;
        tail_append(tail, &tail_size, data, (size_t)count);
    }
}

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return status;
}

int command_run(const char *const *argv, const char *temp_folder, command_tick_fn *tick, void *arg,
                struct error *err)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not make a pipe");
    pid_t pid;
    int failed = start(argv, temp_folder, pipe_fds[1], &pid);
    close(pipe_fds[1]);
    if (failed != 0) {
        close(pipe_fds[0]);
        return error_set_errno(err, failed == ENOENT ? ERR_NOT_FOUND : ERR_IO, failed,
                               "could not run %s", argv[0]);
    }
    char tail[TAIL_SIZE];
    watch(pipe_fds[0], tick, arg, tail);
    close(pipe_fds[0]);
    int status = wait_for(pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    const char *line = last_line(tail);
    return error_set(err, ERR_UNAVAILABLE, "%s failed: %s", argv[0],
                     line[0] != '\0' ? line : "it said nothing");
}
