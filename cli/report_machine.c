/* SPDX-License-Identifier: Apache-2.0 */
/* report_machine: the machine a node runs on, as far as a bug may depend on it. */
#include <errno.h>
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "cli/report.h"
#include "common/limits.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void add_title(struct buffer *out, const char *title)
{
    buffer_printf(out, "%s== %s\n", out->size > 0 ? "\n" : "", title);
}

static void add_file(struct buffer *out, const char *path)
{
    add_title(out, path);
    if (!report_read(path, out))
        buffer_printf(out, "cannot be read: %s\n", strerror(errno));
}

static void add_system(struct buffer *out)
{
    struct utsname name;
    add_title(out, "versions");
    buffer_printf(out, "argosy %s\n", ARGOSY_VERSION);
    buffer_printf(out, "libc   %s\n", gnu_get_libc_version());
    if (uname(&name) == 0)
        buffer_printf(out, "kernel %s %s %s %s\n", name.sysname, name.release, name.version,
                      name.machine);
}

/* One processor stands for all of them. */
static void add_processor(struct buffer *out)
{
    struct buffer all = {0};
    add_title(out, "/proc/cpuinfo (the first)");
    report_read("/proc/cpuinfo", &all);
    const char *text = buffer_text(&all);
    const char *end = strstr(text, "\n\n");
    buffer_append(out, text, end != NULL ? (size_t)(end - text) + 1 : all.size);
    buffer_fini(&all);
}

static void add_disk(struct buffer *out, const char *data_dir)
{
    struct statvfs disk;
    add_title(out, "disk of the data folder");
    if (statvfs(data_dir, &disk) != 0) {
        buffer_printf(out, "cannot be read: %s\n", strerror(errno));
        return;
    }
    buffer_printf(out, "total_mb %" PRIu64 "\nfree_mb  %" PRIu64 "\n",
                  (uint64_t)disk.f_blocks * disk.f_frsize / LIMIT_MIB,
                  (uint64_t)disk.f_bavail * disk.f_frsize / LIMIT_MIB);
}

static void add_cgroup(struct buffer *out, pid_t pid)
{
    static const char *const files[] = {
        "cpu.max",        "cpu.stat",      "cpuset.cpus.effective", "memory.max",
        "memory.current", "memory.events", "memory.swap.max",       "pids.max"};
    struct buffer groups = {0};
    char path[4096];
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    report_read(path, &groups);
    const char *line = strstr(buffer_text(&groups), "0::/"); /* version 2's */
    for (size_t i = 0; line != NULL && i < COUNT(files); i++) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/%s", (int)strcspn(line + 3, "\n"), line + 3,
                 files[i]);
        add_file(out, path);
    }
    buffer_fini(&groups);
}

static void add_supervisor(struct buffer *out, pid_t pid)
{
    static const char *const files[] = {"status", "limits", "cgroup"};
    char path[64];
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
        add_file(out, path);
    }
    add_cgroup(out, pid);
}

int report_machine(struct report *report, struct error *err)
{
    static const char *const files[] = {
        "/etc/os-release",
        "/proc/meminfo",
        "/proc/loadavg",
        "/proc/pressure/memory",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/pid_max",
        "/proc/sys/vm/overcommit_memory",
        "/sys/fs/cgroup/cgroup.controllers",
        "/proc/driver/nvidia/version",
    };
    struct buffer out = {0};
    add_system(&out);
    add_processor(&out);
    add_disk(&out, report->config->data_dir);
    for (size_t i = 0; i < COUNT(files); i++)
        add_file(&out, files[i]);
    if (report->supervisor_pid != 0)
        add_supervisor(&out, report->supervisor_pid);
    return report_add(report, "machine.txt", &out, err);
}
