/* SPDX-License-Identifier: Apache-2.0 */
/* secret_file: see secret_file.h. */
#include "common/secret_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

bool secret_file_is_closed(uid_t owner, mode_t mode, uid_t user)
{
    mode_t allowed = owner == user ? S_IRUSR | S_IWUSR
                     : owner == 0  ? S_IRUSR | S_IWUSR | S_IRGRP
                                   : 0;
    return (mode & 0777 & ~allowed) == 0;
}

int secret_file_check(int fd, const char *path, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not look at \"%s\"", path);
    if (secret_file_is_closed(st.st_uid, st.st_mode, geteuid()))
        return 0;
    return error_set(err, ERR_PERMISSION,
                     "%s: a secret key that others may read (owner %u, mode %03o); make it its "
                     "user's own with mode 600, or root's with mode 640",
                     path, (unsigned)st.st_uid, (unsigned)st.st_mode & 0777);
}
