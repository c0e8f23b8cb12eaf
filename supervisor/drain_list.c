/* SPDX-License-Identifier: Apache-2.0 */
/* drain_list: see drain_list.h. */
#include "supervisor/drain_list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "drained"

int drain_list_read(const char *data_dir, struct buffer *ret_names, struct error *err)
{
    char path[PATH_MAX], chunk[4096];
    snprintf(path, sizeof path, "%s/" FILE_NAME, data_dir);
    *ret_names = (struct buffer){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    ssize_t count = -1;
    while (fd >= 0 && (count = read(fd, chunk, sizeof chunk)) > 0)
        buffer_append(ret_names, chunk, (size_t)count);
    int code = count == 0 && !ret_names->failed
                   ? 0
                   : error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    if (fd >= 0)
        close(fd);
    return code;
}

bool drain_list_has(const struct buffer *names, const char *name)
{
    if (names->size == 0)
        return false; /* without memory, too */
    const char *at = (const char *)names->data, *end = at + names->size, *stop;
    for (; at < end; at = stop + 1) {
        stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL) /* cut off by hand: it names nobody */
            return false;
        if ((size_t)(stop - at) == strlen(name) && memcmp(at, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

static bool write_file(const char *path, const struct buffer *names)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool is_written = write(fd, names->data, names->size) == (ssize_t)names->size && fsync(fd) == 0;
    return close(fd) == 0 && is_written;
}

static bool sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_synced = fsync(fd) == 0;
    close(fd);
    return is_synced;
}

int drain_list_write(const char *data_dir, const struct buffer *names, struct error *err)
{
    char path[PATH_MAX], draft[PATH_MAX];
    snprintf(path, sizeof path, "%s/" FILE_NAME, data_dir);
    snprintf(draft, sizeof draft, "%s/" FILE_NAME ".new", data_dir);
    bool is_done = names->size == 0 ? unlink(path) == 0 || errno == ENOENT
                                    : write_file(draft, names) && rename(draft, path) == 0;
    return is_done && sync_folder(data_dir)
               ? 0
               : error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
}
