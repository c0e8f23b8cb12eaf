/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_env: see include/argosy/test_env.h.
 *
 * The engine gets two descriptors: one to say "ready" on, and a lifeline (common/child.h) whose end
 * makes it leave, so that it never outlives a test that crashed.
 */
#include <argosy/test_env.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"
#include "common/clock.h"
#include "sdk/client.h"
#include "sdk/duration.h"
#include "sdk/error.h"

#define ENGINE_NAME   "argosy-engine"
#define SOCKET_NAME   "engine.sock"
#define READY_WAIT_MS 20000
#define STOP_WAIT_MS  5000
#define SLEEP_WAIT_MS (10 * 60 * 1000)
/* Descriptors for the child lie above those that posix_spawn's actions set. */
#define CHILD_READY_FD    3
#define CHILD_LIFELINE_FD 4
#define DESCRIPTOR_MIN    10

#define TEXT(token)         #token
#define NUMBER_TEXT(number) TEXT(number)

struct argosy_test_env {
    char folder[64];
    char endpoint[128];
    pid_t pid;       /* 0 when it does not run */
    int lifeline_fd; /* our end; -1: none */
    bool skips_time;
    struct argosy_client *client; /* for its clock; NULL unless it skips time */
};

/* ---- finding the engine ---- */

static bool is_program(const char *folder, const char *below, char ret_path[PATH_MAX])
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s" ENGINE_NAME, folder, below);
    if (length < 0 || (size_t)length >= sizeof path || access(path, X_OK) != 0)
        return false;
    memcpy(ret_path, path, (size_t)length + 1);
    return true;
}

/* Cuts the last name off a path. */
static bool cut_name(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

static bool find_in_path(char ret_path[PATH_MAX])
{
    const char *variable = getenv("PATH");
    char *folders = variable == NULL ? NULL : strdup(variable);
    bool is_found = false;
    char *rest = NULL;
    for (char *folder = folders == NULL ? NULL : strtok_r(folders, ":", &rest);
         folder != NULL && !is_found; folder = strtok_r(NULL, ":", &rest))
        is_found = is_program(folder, "", ret_path);
    free(folders);
    return is_found;
}

static int find_engine(char ret_path[PATH_MAX], struct error *err)
{
    const char *folder = getenv("ARGOSY_BIN_DIR");
    if (folder != NULL && is_program(folder, "", ret_path))
        return 0;
    char path[PATH_MAX] = "";
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    if (cut_name(path) && is_program(path, "", ret_path))
        return 0;
    Dl_info library;
    if (dladdr(&argosy_test_env_start, &library) != 0 && library.dli_fname != NULL) {
        snprintf(path, sizeof path, "%s", library.dli_fname);
        if (cut_name(path) && is_program(path, "../bin/", ret_path))
            return 0;
    }
    if (find_in_path(ret_path))
        return 0;
    return error_set(err, ERR_NOT_FOUND,
                     "could not find " ENGINE_NAME ": set ARGOSY_BIN_DIR to its folder");
}

/* ---- starting ---- */

/* A pipe whose ends are close-on-exec and above the child's descriptors. */
static int make_pipe(int fds[2], struct error *err)
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) < 0)
        return error_set_errno(err, ERR_IO, errno, "could not make a pipe");
    for (int i = 0; i < 2; i++) {
        fds[i] = fcntl(low[i], F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
        close(low[i]);
    }
    if (fds[0] >= 0 && fds[1] >= 0)
        return 0;
    int errnum = errno;
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return error_set_errno(err, ERR_IO, errnum, "could not make a pipe");
}

/* The environment without a supervisor's variables and with the lifeline's. The caller frees it. */
static char **make_environment(void)
{
    static char lifeline[] = CHILD_ENV_LIFELINE_FD "=" NUMBER_TEXT(CHILD_LIFELINE_FD);
    static const char *const dropped[] = {CHILD_ENV_SUPERVISOR_PID "=", CHILD_ENV_READY_FD "=",
                                          CHILD_ENV_PROGRESS_FD "=", CHILD_ENV_LIFELINE_FD "=",
                                          CHILD_ENV_INSTANCE_ID "="};
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **environment = calloc(count + 2, sizeof *environment);
    size_t kept = 0;
    for (size_t i = 0; environment != NULL && i < count; i++) {
        bool is_dropped = false;
        for (size_t j = 0; j < sizeof dropped / sizeof dropped[0]; j++)
            is_dropped |= strncmp(environ[i], dropped[j], strlen(dropped[j])) == 0;
        if (!is_dropped)
            environment[kept++] = environ[i];
    }
    if (environment != NULL)
        environment[kept] = lifeline;
    return environment;
}

static int spawn(const char *program, const struct argosy_test_env *env, int ready_fd,
                 int lifeline_fd, pid_t *ret_pid, struct error *err)
{
    char *arguments[] = {(char *)program,
                         "--store",
                         "memory",
                         "--listen",
                         (char *)env->endpoint,
                         "--ready-fd",
                         NUMBER_TEXT(CHILD_READY_FD),
                         "--log-level",
                         "error",
                         env->skips_time ? "--skip-time" : NULL,
                         NULL};
    char **environment = make_environment();
    if (environment == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ready_fd, CHILD_READY_FD);
    posix_spawn_file_actions_adddup2(&actions, lifeline_fd, CHILD_LIFELINE_FD);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int errnum = posix_spawn(ret_pid, program, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return errnum == 0 ? 0 : error_set_errno(err, ERR_IO, errnum, "could not start %s", program);
}

/* Waits until the child has said "ready"; the end of the pipe means that it could not. */
static int wait_ready(int fd, struct error *err)
{
    char said[512];
    size_t size = 0;
    uint64_t end_ns = clock_monotonic_ns() + READY_WAIT_MS * NS_PER_MS;
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int timeout_ms = now_ns >= end_ns ? 0 : (int)((end_ns - now_ns) / NS_PER_MS);
        int count = poll(&ready, 1, timeout_ms);
        if (count == 0)
            return error_set(err, ERR_TIMEOUT, "the engine was not ready within %d ms",
                             READY_WAIT_MS);
        ssize_t got = count < 0 ? -1 : read(fd, said + size, sizeof said - 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set(err, ERR_UNAVAILABLE, "the engine ended before it was ready");
        size += (size_t)got;
        said[size] = '\0';
        if (strstr(said, "ready\n") != NULL)
            return 0;
        if (size == sizeof said - 1)
            return error_set(err, ERR_PROTOCOL, "the engine said too much before it was ready");
    }
}

static int start(struct argosy_test_env *env, struct error *err)
{
    char program[PATH_MAX];
    int ready[2];
    int lifeline[2];
    int code = find_engine(program, err);
    if (code < 0)
        return code;
    const char *temporary = getenv("TMPDIR");
    if (temporary == NULL || strlen(temporary) > sizeof env->folder - sizeof "/argosy-XXXXXX")
        temporary = "/tmp"; /* a socket's path is short */
    snprintf(env->folder, sizeof env->folder, "%s/argosy-XXXXXX", temporary);
    if (mkdtemp(env->folder) == NULL) {
        env->folder[0] = '\0';
        return error_set_errno(err, ERR_IO, errno, "could not make a folder in %s", temporary);
    }
    snprintf(env->endpoint, sizeof env->endpoint, "ipc://%s/" SOCKET_NAME, env->folder);
    code = make_pipe(ready, err);
    if (code < 0)
        return code;
    code = make_pipe(lifeline, err);
    if (code == 0) {
        env->lifeline_fd = lifeline[1];
        code = spawn(program, env, ready[1], lifeline[0], &env->pid, err);
        close(lifeline[0]);
    }
    close(ready[1]);
    if (code == 0)
        code = wait_ready(ready[0], err);
    close(ready[0]);
    return code;
}

static int create(bool skips_time, struct argosy_test_env **ret_env, struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    struct argosy_test_env *env = calloc(1, sizeof *env);
    if (env == NULL)
        return error_set(inner, ERR_MEMORY, "out of memory");
    env->lifeline_fd = -1;
    env->skips_time = skips_time;
    int code = start(env, inner);
    if (code == 0 && skips_time)
        code = argosy_client_connect(&(struct argosy_connection_options){.endpoint = env->endpoint},
                                     &env->client, err);
    if (code < 0) {
        argosy_test_env_stop(env);
        return code;
    }
    *ret_env = env;
    return 0;
}

int argosy_test_env_start(struct argosy_test_env **ret_env, struct argosy_error *err)
{
    return create(false, ret_env, err);
}

int argosy_test_env_start_skipping(struct argosy_test_env **ret_env, struct argosy_error *err)
{
    return create(true, ret_env, err);
}

const char *argosy_test_env_endpoint(const struct argosy_test_env *env)
{
    return env->endpoint;
}

/* ---- time ---- */

static int call(struct argosy_test_env *env, enum method method, const ProtobufCMessage *request,
                struct arena *arena, ProtobufCMessage **ret_response, struct error *err)
{
    if (env->client == NULL)
        return error_set(err, ERR_STATE, "this environment was not started to skip time");
    return client_call_within(env->client, method, request, SLEEP_WAIT_MS, arena, ret_response,
                              NULL, err);
}

/* A call whose answer says nothing but that it worked. */
static int call_plain(struct argosy_test_env *env, enum method method,
                      const ProtobufCMessage *request, struct argosy_error *err)
{
    struct arena arena;
    ProtobufCMessage *response;
    arena_init(&arena, ARENA_NO_LIMIT);
    int code = call(env, method, request, &arena, &response, error_inside(err));
    arena_fini(&arena);
    return code;
}

int argosy_test_env_lock_time(struct argosy_test_env *env, struct argosy_error *err)
{
    Api__LockTimeSkippingRequest request = API__LOCK_TIME_SKIPPING_REQUEST__INIT;
    return call_plain(env, METHOD_LOCK_TIME_SKIPPING, &request.base, err);
}

int argosy_test_env_unlock_time(struct argosy_test_env *env, struct argosy_error *err)
{
    Api__UnlockTimeSkippingRequest request = API__UNLOCK_TIME_SKIPPING_REQUEST__INIT;
    return call_plain(env, METHOD_UNLOCK_TIME_SKIPPING, &request.base, err);
}

int argosy_test_env_sleep(struct argosy_test_env *env, int64_t time_ms, struct argosy_error *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__SleepRequest request = API__SLEEP_REQUEST__INIT;
    request.duration = duration_create(time_ms, &arena);
    int code = request.duration == NULL ? argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory")
                                        : call_plain(env, METHOD_SLEEP, &request.base, err);
    arena_fini(&arena);
    return code;
}

int argosy_test_env_now(struct argosy_test_env *env, int64_t *ret_utc_us, struct argosy_error *err)
{
    Api__GetCurrentTimeRequest request = API__GET_CURRENT_TIME_REQUEST__INIT;
    ProtobufCMessage *response;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    int code =
        call(env, METHOD_GET_CURRENT_TIME, &request.base, &arena, &response, error_inside(err));
    if (code == 0)
        *ret_utc_us = timestamp_utc_us(((const Api__GetCurrentTimeResponse *)response)->time);
    arena_fini(&arena);
    return code;
}

/* ---- stopping ---- */

static void stop_engine(pid_t pid)
{
    kill(pid, SIGTERM);
    int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid_fd >= 0) {
        struct pollfd ended = {.fd = pid_fd, .events = POLLIN};
        if (poll(&ended, 1, STOP_WAIT_MS) == 0)
            kill(pid, SIGKILL);
        close(pid_fd);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void argosy_test_env_stop(struct argosy_test_env *env)
{
    if (env == NULL)
        return;
    argosy_client_close(env->client);
    if (env->pid > 0)
        stop_engine(env->pid);
    if (env->lifeline_fd >= 0)
        close(env->lifeline_fd);
    if (env->folder[0] != '\0') {
        unlink(env->endpoint + strlen("ipc://"));
        rmdir(env->folder);
    }
    free(env);
}
