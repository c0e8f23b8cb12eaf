/* SPDX-License-Identifier: Apache-2.0 */
/* test_cgroup: where a control group is, and what is written into it, on a fake tree. The kernel's
 * own is tests/integration/supervisor/test_cgroup_kernel.c. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/memory/cgroup.h"

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/argosy-cgroup-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

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
    size_t size = fread(content, 1, sizeof content - 1, file);
    fclose(file);
    content[size] = '\0';
    assert_string_equal(content, text);
}

/* What the kernel has in a folder and in each leaf. */
static void make_kernel_files(void)
{
    put("cgroup.controllers", "cpuset cpu io memory pids\n");
    put("cgroup.subtree_control", "");
    put("cgroup.procs", "");
    make("argosy.supervisor");
    put("argosy.supervisor/cgroup.procs", "");
}

static void make_worker_files(const char *leaf)
{
    static const char *const names[] = {"memory.max", "memory.swap.max", "memory.oom.group",
                                        "cgroup.procs", "cgroup.kill"};
    char name[256];
    make(leaf);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "%s/%s", leaf, names[i]);
        put(name, "");
    }
}

#define V2_MOUNT "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT                                                                                   \
    "30 24 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"                                            \
    "31 30 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"                  \
    "32 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

static void assert_located(const char *mounts, const char *membership, const char *controller,
                           const char *expected)
{
    char found[PATH_MAX];
    struct error err = {0};
    put("mountinfo", mounts);
    put("cgroup", membership);
    int code = cgroup_locate(folder, controller, found, &err);
    if (expected == NULL) {
        assert_int_equal(code, ERR_UNSUPPORTED);
    } else {
        assert_int_equal(code, 0);
        assert_string_equal(found, expected);
    }
}

static void locates(void **state)
{
    (void)state;
    assert_located(V2_MOUNT, "0::/system.slice/argosy.service\n", NULL,
                   "/sys/fs/cgroup/system.slice/argosy.service");
    /* a container: of its own namespace, and without one */
    assert_located(V2_MOUNT, "0::/\n", NULL, "/sys/fs/cgroup");
    assert_located("35 24 0:30 /docker/4711 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
                   "0::/docker/4711\n", NULL, "/sys/fs/cgroup");
    assert_located("35 24 0:30 /docker/4711 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
                   "0::/docker/4711/argosy.supervisor\n", NULL, "/sys/fs/cgroup/argosy.supervisor");
    assert_located("35 24 0:30 /docker/4711 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
                   "0::/elsewhere\n", NULL, NULL);
    /* version 1 */
    assert_located(V1_MOUNT, "9:memory:/a/b\n4:cpu,cpuacct:/\n", "memory",
                   "/sys/fs/cgroup/memory/a/b");
    assert_located(V1_MOUNT, "9:memory:/a/b\n", NULL, NULL);
    assert_located(V2_MOUNT, "0::/\n", "memory", NULL);
    assert_located("", "0::/\n", NULL, NULL);
    assert_located(V2_MOUNT, "", NULL, NULL);
}

static void moves_and_divides(void **state)
{
    (void)state;
    char pid[16];
    struct cgroup *cgroup = NULL;
    struct error err = {0};
    make_kernel_files();
    assert_int_equal(cgroup_open_at(folder, &cgroup, &err), 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_holds("argosy.supervisor/cgroup.procs", pid);
    assert_holds("cgroup.subtree_control", "+memory");
    assert_holds("cgroup.procs", "");
    assert_string_equal(cgroup_folder(cgroup), folder);
    cgroup_close(cgroup);
    put("cgroup.subtree_control", "");
    /* as it was found, but for what no real tree has in a leaf */
    assert_holds("cgroup.procs", pid);
}

static void refuses_without_memory(void **state)
{
    (void)state;
    struct cgroup *cgroup = NULL;
    struct error err = {0};
    make_kernel_files();
    put("cgroup.controllers", "cpu memoryless\n");
    assert_int_equal(cgroup_open_at(folder, &cgroup, &err), ERR_UNSUPPORTED);
    assert_null(cgroup);
    assert_holds("argosy.supervisor/cgroup.procs", "");
}

/* The kernel says no to dividing, as it does while others are in the folder. */
static void a_refusal_changes_nothing(void **state)
{
    (void)state;
    char pid[16];
    struct cgroup *cgroup = NULL;
    struct error err = {0};
    char path[256];
    make_kernel_files();
    snprintf(path, sizeof path, "%s/cgroup.subtree_control", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(cgroup_open_at(folder, &cgroup, &err), ERR_UNSUPPORTED);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_holds("cgroup.procs", pid);
}

static void bounds_a_worker(void **state)
{
    (void)state;
    struct cgroup *cgroup = NULL;
    int fd = -1;
    make_kernel_files();
    make_worker_files("argosy.worker.cpu.0");
    assert_int_equal(cgroup_open_at(folder, &cgroup, NULL), 0);
    assert_int_equal(cgroup_leaf_open(cgroup, "cpu/0", 1073741824, &fd, NULL), 0);
    assert_int_equal(write(fd, "0", 1), 1);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
    assert_holds("argosy.worker.cpu.0/memory.max", "1073741824");
    assert_holds("argosy.worker.cpu.0/memory.swap.max", "0");
    assert_holds("argosy.worker.cpu.0/memory.oom.group", "1");
    assert_holds("argosy.worker.cpu.0/cgroup.procs", "0");

    put("argosy.worker.cpu.0/memory.max", "");
    put("argosy.worker.cpu.0/memory.swap.max", "");
    assert_int_equal(cgroup_leaf_limit(cgroup, "cpu/0", 0, NULL), 0);
    assert_holds("argosy.worker.cpu.0/memory.max", "max");
    assert_holds("argosy.worker.cpu.0/memory.swap.max", "max");

    put("argosy.worker.cpu.0/memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\n");
    assert_int_equal(cgroup_leaf_oom_kills(cgroup, "cpu/0"), 2);
    cgroup_leaf_close(cgroup, "cpu/0");
    assert_holds("argosy.worker.cpu.0/cgroup.kill", "1");
    cgroup_close(cgroup);
}

static void a_leaf_that_cannot_be_bounded_is_an_error(void **state)
{
    (void)state;
    struct cgroup *cgroup = NULL;
    struct error err = {0};
    int fd = -1;
    make_kernel_files();
    assert_int_equal(cgroup_open_at(folder, &cgroup, NULL), 0);
    /* no kernel makes the files of a leaf here */
    assert_int_equal(cgroup_leaf_open(cgroup, "cpu/0", 4096, &fd, &err), ERR_IO);
    assert_int_equal(fd, -1);
    cgroup_close(cgroup);
}

static void removes_what_is_empty_and_ours(void **state)
{
    (void)state;
    struct cgroup *cgroup = NULL;
    make_kernel_files();
    make("argosy.worker.cpu.0");
    make("argosy.worker.gone.17");
    make("argosy.worker.cpu.1");
    put("argosy.worker.cpu.1/populated", ""); /* the kernel spares it for its processes */
    make("somebody.else");
    make("argosy.else");
    assert_int_equal(cgroup_open_at(folder, &cgroup, NULL), 0);
    assert_false(is_there("argosy.worker.cpu.0"));
    assert_false(is_there("argosy.worker.gone.17"));
    assert_true(is_there("argosy.worker.cpu.1"));
    assert_true(is_there("somebody.else"));
    assert_true(is_there("argosy.else"));
    cgroup_close(cgroup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(locates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moves_and_divides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds_a_worker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_leaf_that_cannot_be_bounded_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(removes_what_is_empty_and_ours, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
