/* SPDX-License-Identifier: Apache-2.0 */
/* process_usage: see process_usage.h. */
#include "supervisor/link/process_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/time_unit.h"

bool process_usage_read(int pid, struct process_usage *ret_usage)
{
    char text[1024];
    snprintf(text, sizeof text, "/proc/%d/stat", pid);
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    /* The name in parentheses may hold anything; state, the third field, follows the last one. */
    const char *rest = strrchr(text, ')');
    unsigned long user, system;
    long pages;
    if (rest == NULL ||
        sscanf(rest + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d "
               "%*d %*u %*u %ld",
               &user, &system, &pages) != 3)
        return false;
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    *ret_usage = (struct process_usage){
        .memory_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE),
        .cpu_us = ((uint64_t)user + system) * (uint64_t)US_PER_S / ticks,
    };
    return true;
}

bool process_usage_count_fds(int pid, int64_t *ret_count)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return false;
    int64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(folder);
    *ret_count = count;
    return true;
}
