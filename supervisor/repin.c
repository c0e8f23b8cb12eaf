/* SPDX-License-Identifier: Apache-2.0 */
/* repin: see repin.h. */
#include "supervisor/repin.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* A thread may start another one between our reading of the list and our call; it has its parent's
 * processors, so that each pass leaves fewer with the old ones. */
#define PASS_MAX 16

/* Moves one thread. *ret_moved: its processors are others now. A thread that has ended is none. */
static int move_thread(pid_t thread, const cpu_set_t *cpus, bool *ret_moved)
{
    cpu_set_t before, after;
    if (sched_getaffinity(thread, sizeof before, &before) != 0)
        return errno == ESRCH ? 0 : errno;
    if (CPU_EQUAL(&before, cpus))
        return 0;
    if (sched_setaffinity(thread, sizeof *cpus, cpus) != 0 ||
        sched_getaffinity(thread, sizeof after, &after) != 0)
        return errno == ESRCH ? 0 : errno;
    *ret_moved = *ret_moved || !CPU_EQUAL(&before, &after);
    return 0;
}

static int move_threads(DIR *folder, const cpu_set_t *cpus, size_t *ret_count, bool *ret_moved)
{
    struct dirent *entry;
    int errnum = 0;
    while (errnum == 0 && (entry = readdir(folder)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        errnum = move_thread((pid_t)atoi(entry->d_name), cpus, ret_moved);
        (*ret_count)++;
    }
    return errnum;
}

int repin(pid_t pid, const struct placement_pin *pin, bool *ret_moved, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    bool has_moved = true;
    *ret_moved = false;
    for (int pass = 0; has_moved && pass < PASS_MAX; pass++) {
        DIR *folder = opendir(path);
        if (folder == NULL && errno != ENOENT)
            return error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
        size_t count = 0;
        int errnum = 0;
        has_moved = false;
        if (folder != NULL) {
            errnum = move_threads(folder, &pin->cpus, &count, &has_moved);
            closedir(folder);
        }
        *ret_moved = *ret_moved || has_moved;
        if (errnum != 0)
            return error_set_errno(err, errnum == EPERM ? ERR_PERMISSION : ERR_IO, errnum,
                                   "cannot move process %d to its processors", (int)pid);
        if (count == 0)
            return error_set(err, ERR_NOT_FOUND, "process %d has ended", (int)pid);
    }
    return 0;
}
