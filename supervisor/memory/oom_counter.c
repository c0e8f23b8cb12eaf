/* SPDX-License-Identifier: Apache-2.0 */
/* oom_counter: see oom_counter.h. */
#include "supervisor/memory/oom_counter.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/memory/cgroup.h"

/* /proc/vmstat has some 200 lines of 20 bytes. */
#define FILE_SIZE_MAX 16384

bool oom_counter_read(const char *path, uint64_t *ret_count)
{
    char text[FILE_SIZE_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t size = 0;
    ssize_t count;
    while (size < sizeof text - 1 && (count = read(fd, text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)count;
    close(fd);
    text[size] = '\0';
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "oom_kill %" SCNu64, ret_count) == 1)
            return true;
    }
    return false;
}

void oom_counter_init_at(struct oom_counter *counter, const char *path, bool is_machine_wide)
{
    *counter = (struct oom_counter){.is_machine_wide = is_machine_wide};
    snprintf(counter->path, sizeof counter->path, "%s", path);
    oom_counter_read(counter->path, &counter->count);
}

static bool init_in_cgroup(struct oom_counter *counter, const char *controller, const char *name)
{
    char folder[PATH_MAX];
    char path[PATH_MAX];
    uint64_t count;
    if (cgroup_locate("/proc/self", controller, folder, NULL) != 0 ||
        snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path ||
        !oom_counter_read(path, &count))
        return false;
    oom_counter_init_at(counter, path, false);
    return true;
}

void oom_counter_init(struct oom_counter *counter)
{
    if (!init_in_cgroup(counter, NULL, "memory.events") &&
        !init_in_cgroup(counter, "memory", "memory.oom_control"))
        oom_counter_init_at(counter, "/proc/vmstat", true);
}

void oom_counter_turn(struct oom_counter *counter, uint64_t now_ns)
{
    uint64_t count = counter->count;
    oom_counter_read(counter->path, &count);
    if (count > counter->count) {
        counter->unclaimed += count - counter->count;
        counter->moved_ns = now_ns;
    } else if (now_ns - counter->moved_ns > OOM_WINDOW_NS) {
        counter->unclaimed = 0;
    }
    counter->count = count;
}

enum oom_evidence oom_counter_claim(struct oom_counter *counter, uint64_t now_ns)
{
    oom_counter_turn(counter, now_ns);
    if (counter->unclaimed == 0)
        return OOM_NONE;
    counter->unclaimed--;
    return counter->is_machine_wide ? OOM_MAYBE : OOM_SURE;
}
