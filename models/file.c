/* SPDX-License-Identifier: Apache-2.0 */
/* file: see file.h. */
#include "models/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/assert.h"
#include "models/sha256.h"

/* Reads until size bytes or the end of the file came; returns how many, or -1. */
static ssize_t read_fully(int fd, char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = read(fd, data + done, size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (ssize_t)done;
}

static int open_for_reading(const char *path, int *ret_fd, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO,
                               errno, "could not open %s", path);
    *ret_fd = fd;
    return 0;
}

static int read_open_file(int fd, const char *path, size_t size_max, char **ret_text,
                          size_t *ret_size, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not look at %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_CORRUPT, "%s: it is no regular file", path);
    if ((uint64_t)st.st_size > size_max)
        return error_set(err, ERR_CORRUPT, "%s: %lld bytes are above the limit of %zu", path,
                         (long long)st.st_size, size_max);
    size_t size = (size_t)st.st_size;
    char *text = malloc(size + 1);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    ssize_t count = read_fully(fd, text, size);
    if (count < 0) {
        free(text);
        return error_set_errno(err, ERR_IO, errno, "could not read %s", path);
    }
    text[count] = '\0';
    *ret_text = text;
    *ret_size = (size_t)count;
    return 0;
}

int file_read(const char *path, size_t size_max, char **ret_text, size_t *ret_size,
              struct error *err)
{
    int fd;
    int code = open_for_reading(path, &fd, err);
    if (code != 0)
        return code;
    code = read_open_file(fd, path, size_max, ret_text, ret_size, err);
    close(fd);
    return code;
}

static int write_fully(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, data, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        data += count;
        size -= (size_t)count;
    }
    return 0;
}

int file_write(const char *path, const void *data, size_t size, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not create %s", path);
    int failed = write_fully(fd, data, size) != 0 || fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 && failed == 0)
        failed = errno;
    return failed != 0 ? error_set_errno(err, ERR_IO, failed, "could not write %s", path) : 0;
}

int file_sha256(const char *path, char ret_text[FILE_SHA256_TEXT], struct error *err)
{
    int fd;
    int code = open_for_reading(path, &fd, err);
    if (code != 0)
        return code;
    uint8_t digest[SHA256_SIZE];
    if (sha256_of(fd, digest) != 0)
        code = error_set(err, ERR_IO, "could not compute the SHA-256 of %s", path);
    close(fd);
    for (size_t i = 0; code == 0 && i < SHA256_SIZE; i++)
        snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
    return code;
}

int folder_create(const char *path, struct error *err)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return error_set(err, ERR_IO, "a folder's path has 1 to %zu bytes", sizeof part - 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return error_set_errno(err, ERR_IO, errno, "could not create the folder %s", part);
    }
    return 0;
}

int folder_draft(const char *path, char *ret_draft, struct error *err)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    const char *slash = memrchr(path, '/', length);
    int above = slash != NULL ? (int)(slash - path) + 1 : 0;
    char draft[PATH_MAX];
    if (length >= PATH_MAX || snprintf(draft, sizeof draft, "%.*s.%.*s.XXXXXX", above, path,
                                       (int)length - above, path + above) >= (int)sizeof draft)
        return error_set(err, ERR_INVALID, "the path of a model folder is too long");
    if (above > 0) {
        char parent[PATH_MAX];
        memcpy(parent, path, (size_t)above);
        parent[above] = '\0';
        int code = folder_create(parent, err);
        if (code != 0)
            return code;
    }
    if (mkdtemp(draft) == NULL)
        return error_set_errno(err, ERR_IO, errno, "could not create the folder %s", draft);
    if (chmod(draft, 0755) != 0) {
        rmdir(draft);
        return error_set_errno(err, ERR_IO, errno, "could not open up the folder %s", draft);
    }
    memcpy(ret_draft, draft, sizeof draft);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    remove(path);
    return 0;
}

void folder_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* nftw hands its callback no context. */
static _Thread_local unsigned long long size_sum;

static int add_size(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)path;
    (void)place;
    if (type == FTW_F && S_ISREG(st->st_mode))
        size_sum += (unsigned long long)st->st_size;
    return 0;
}

unsigned long long folder_size(const char *path)
{
    size_sum = 0;
    nftw(path, add_size, 16, FTW_PHYS);
    return size_sum;
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd);
    close(fd);
    return result;
}

static int sync_entry(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)place;
    return type == FTW_F || type == FTW_D || type == FTW_DP ? sync_path(path) : 0;
}

int folder_publish(const char *finished, const char *path, struct error *err)
{
    if (nftw(finished, sync_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not make %s durable", finished);
    if (rename(finished, path) != 0)
        return error_set_errno(err, errno == EEXIST || errno == ENOTEMPTY ? ERR_EXISTS : ERR_IO,
                               errno, "could not put %s in place", path);
    char parent[PATH_MAX];
    int length = snprintf(parent, sizeof parent, "%s/..", path);
    ASSERT(length > 0 && (size_t)length < sizeof parent);
    if (sync_path(parent) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not make the folder of %s durable", path);
    return 0;
}
