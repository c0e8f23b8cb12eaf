/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cgroup_kernel: control groups as the kernel has them: a worker that passes its limit is
 * killed, with what it started, and counted; what is left behind is removed. Needs to make a group
 * of its own under /sys/fs/cgroup, with the memory controller; skipped elsewhere.
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/memory/cgroup.h"

#define ROOT     "/sys/fs/cgroup"
#define LIMIT_MB 64

static char folder[64];

static bool is_there(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void assert_holds(const char *name, const char *text)
{
    char path[256];
    char content[256] = "";
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(content, sizeof content, file));
    fclose(file);
    content[strcspn(content, "\n")] = '\0';
    assert_string_equal(content, text);
}

/* Takes memory for ever, with a child beside it. */
_Noreturn static void eat(int procs_fd)
{
    if (write(procs_fd, "0", 1) != 1)
        _exit(1);
    if (fork() == 0) {
        for (;;)
            pause();
    }
    for (;;) {
        char *memory = malloc(1 << 20);
        if (memory == NULL)
            _exit(2);
        memset(memory, 1, 1 << 20);
    }
}

/* In a process of its own, which is the supervisor. */
static void divides_and_bounds(void)
{
    struct cgroup *cgroup = NULL;
    struct error err = {0};
    int fd = -1;
    if (cgroup_open_at(folder, &cgroup, &err) != 0)
        fail_msg("%s", err.text);
    char own[PATH_MAX];
    char expected[PATH_MAX];
    assert_int_equal(cgroup_locate("/proc/self", NULL, own, &err), 0);
    snprintf(expected, sizeof expected, "%s/argosy.supervisor", folder);
    assert_string_equal(own, expected);

    assert_int_equal(cgroup_leaf_open(cgroup, "cpu/0", (uint64_t)LIMIT_MB << 20, &fd, &err), 0);
    assert_int_equal(cgroup_leaf_oom_kills(cgroup, "cpu/0"), 0);
    assert_holds("argosy.worker.cpu.0/memory.max", "67108864");
    assert_holds("argosy.worker.cpu.0/memory.oom.group", "1");
    pid_t pid = fork();
    if (pid == 0)
        eat(fd);
    close(fd);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(cgroup_leaf_oom_kills(cgroup, "cpu/0") >= 1);
    assert_int_equal(cgroup_leaf_limit(cgroup, "cpu/0", 0, &err), 0);
    assert_holds("argosy.worker.cpu.0/memory.max", "max");

    /* its child died with it; the kernel lets go of the folder when it is gone */
    while (is_there("argosy.worker.cpu.0"))
        cgroup_leaf_close(cgroup, "cpu/0");
    cgroup_close(cgroup);
    assert_false(is_there("argosy.supervisor"));
}

/* A supervisor that dies leaves its leaves; the next one removes those without processes, also when
 * it is in the leaf of the one before, as after a replacement in place. */
static void finds_what_was_left(void)
{
    struct cgroup *cgroup = NULL;
    struct error err = {0};
    int fds[2];
    assert_int_equal(cgroup_open_at(folder, &cgroup, &err), 0);
    assert_int_equal(cgroup_leaf_open(cgroup, "cpu/0", 0, &fds[0], &err), 0);
    assert_int_equal(cgroup_leaf_open(cgroup, "cpu/1", 0, &fds[1], &err), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (write(fds[1], "0", 1) != 1)
            _exit(1);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    struct cgroup *again = NULL;
    assert_int_equal(cgroup_open_at(folder, &again, &err), 0);
    assert_false(is_there("argosy.worker.cpu.0"));
    assert_true(is_there("argosy.worker.cpu.1"));
    cgroup_leaf_close(again, "cpu/1"); /* kills what is in it */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (is_there("argosy.worker.cpu.1"))
        cgroup_sweep(again);
    cgroup_close(again);
    free(cgroup); /* the one that died */
}

static void run_in_child(void (*function)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        char path[128], text[16];
        snprintf(path, sizeof path, "%s/cgroup.procs", folder);
        snprintf(text, sizeof text, "%d", (int)getpid());
        int fd = open(path, O_WRONLY);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
            _exit(3);
        close(fd);
        function(); /* a failed assertion ends this process */
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_worker_is_bounded(void **state)
{
    (void)state;
    run_in_child(divides_and_bounds);
}

static void what_a_dead_supervisor_left_is_removed(void **state)
{
    (void)state;
    run_in_child(finds_what_was_left);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, ROOT "/argosy-test-%d", (int)getpid());
    return mkdir(folder, 0755);
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

static bool is_possible(void)
{
    char names[512] = "";
    FILE *file = fopen(ROOT "/cgroup.subtree_control", "r");
    if (file == NULL)
        return false;
    bool has_memory = fgets(names, sizeof names, file) != NULL && strstr(names, "memory") != NULL;
    fclose(file);
    return has_memory && access(ROOT, W_OK) == 0 && set_up(NULL) == 0 && tear_down(NULL) == 0;
}

int main(void)
{
    if (!is_possible()) {
        print_message("skipped: no control group of version 2 can be made under " ROOT "\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_worker_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_dead_supervisor_left_is_removed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
