/* SPDX-License-Identifier: Apache-2.0 */
/* kept: see kept.h. */
#include "supervisor/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/placement/placement.h"

#define FILE_NAME "kept"

int kept_read(const char *data_dir, struct buffer *ret_text, struct error *err)
{
    char path[PATH_MAX], chunk[4096];
    snprintf(path, sizeof path, "%s/" FILE_NAME, data_dir);
    *ret_text = (struct buffer){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    ssize_t count = -1;
    while (fd >= 0 && (count = read(fd, chunk, sizeof chunk)) > 0)
        buffer_append(ret_text, chunk, (size_t)count);
    int code = count == 0 && !ret_text->failed
                   ? 0
                   : error_set_errno(err, ERR_IO, errno, "cannot read %s", path);
    if (fd >= 0)
        close(fd);
    return code;
}

/* What follows prefix in the first line that begins with it, or is all of it; *ret_size is its
 * length. NULL when there is none. A last line without a line feed was cut off by hand. */
static const char *find_line(const struct buffer *text, const char *prefix, bool is_whole,
                             size_t *ret_size)
{
    if (text->size == 0)
        return NULL; /* without memory, too */
    const char *at = (const char *)text->data, *end = at + text->size, *stop;
    size_t length = strlen(prefix);
    for (; at < end; at = stop + 1) {
        stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            return NULL;
        size_t size = (size_t)(stop - at);
        bool is_met = is_whole ? size == length : size >= length;
        if (is_met && memcmp(at, prefix, length) == 0) {
            *ret_size = size - length;
            return at + length;
        }
    }
    return NULL;
}

bool kept_has_drain(const struct buffer *text, const char *name)
{
    char line[PLACEMENT_NAME_MAX + 16];
    size_t rest;
    snprintf(line, sizeof line, "drain %s", name);
    return find_line(text, line, true, &rest) != NULL;
}

int kept_scale(const struct buffer *text, const char *group)
{
    char prefix[PLACEMENT_NAME_MAX + 16];
    char number[16];
    size_t size;
    snprintf(prefix, sizeof prefix, "scale %s ", group);
    const char *at = find_line(text, prefix, false, &size);
    if (at == NULL || size == 0 || size >= sizeof number)
        return -1;
    memcpy(number, at, size);
    number[size] = '\0';
    char *stop;
    long processes = strtol(number, &stop, 10);
    return *stop == '\0' && processes >= 0 && processes <= FLEET_PROCESSES_MAX ? (int)processes
                                                                               : -1;
}

void kept_add_drain(struct buffer *text, const char *name)
{
    buffer_printf(text, "drain %s\n", name);
}

void kept_add_scale(struct buffer *text, const char *group, int processes)
{
    buffer_printf(text, "scale %s %d\n", group, processes);
}

static bool write_file(const char *path, const struct buffer *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool is_written = write(fd, text->data, text->size) == (ssize_t)text->size && fsync(fd) == 0;
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

static bool is_there(const char *data_dir, const struct buffer *text)
{
    struct buffer there;
    bool is_same = kept_read(data_dir, &there, NULL) == 0 && there.size == text->size &&
                   (text->size == 0 || memcmp(there.data, text->data, text->size) == 0);
    buffer_fini(&there);
    return is_same;
}

int kept_write(const char *data_dir, const struct buffer *text, struct error *err)
{
    char path[PATH_MAX], draft[PATH_MAX];
    if (text->failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (is_there(data_dir, text))
        return 0;
    snprintf(path, sizeof path, "%s/" FILE_NAME, data_dir);
    snprintf(draft, sizeof draft, "%s/" FILE_NAME ".new", data_dir);
    bool is_done = text->size == 0 ? unlink(path) == 0 || errno == ENOENT
                                   : write_file(draft, text) && rename(draft, path) == 0;
    return is_done && sync_folder(data_dir)
               ? 0
               : error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
}
