/* SPDX-License-Identifier: Apache-2.0 */
/* program: see program.h. */
#include "cli/program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 4096

int program_exec(const char *name, const char *const *arguments, struct error *err)
{
    char path[PATH_SIZE];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot find this program's folder");
    path[length] = '\0';
    char *folder_end = strrchr(path, '/') + 1;
    size_t room = sizeof(path) - (size_t)(folder_end - path);
    if ((size_t)snprintf(folder_end, room, "%s", name) >= room)
        return error_set(err, ERR_INVALID, "the path of %s is too long", name);
    execv(path, (char *const *)arguments);
    return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot run %s",
                           path);
}
