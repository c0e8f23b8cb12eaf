/* SPDX-License-Identifier: Apache-2.0 */
/* vector_file: see vector_file.h. */
#include "worker_gpu/vector_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "models/file.h"

#define COPY_SIZE ((size_t)256 * 1024)

int vector_file_open(struct vector_file *file, const char *folder, struct error *err)
{
    char path[PATH_MAX];
    int code = folder_create(folder, err);
    if (code != 0)
        return code;
    if ((size_t)snprintf(path, sizeof path, "%s/vectors.XXXXXX", folder) >= sizeof path)
        return error_set(err, ERR_INVALID, "the folder's path is too long: %s", folder);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not make a file in %s", folder);
    unlink(path);
    *file = (struct vector_file){.fd = fd};
    return 0;
}

void vector_file_close(struct vector_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    *file = (struct vector_file){.fd = -1};
}

int vector_file_append(struct vector_file *file, const void *data, size_t size, struct error *err)
{
    const char *rest = data;
    uint64_t end = file->size + size;
    while (file->size < end) {
        ssize_t wrote = pwrite(file->fd, rest, (size_t)(end - file->size), (off_t)file->size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_set_errno(err, errno == ENOSPC ? ERR_LIMIT : ERR_IO, errno,
                                   "could not write vectors");
        rest += wrote;
        file->size += (uint64_t)wrote;
    }
    return 0;
}

static int copy(struct vector_file *file, int fd, void *room, struct error *err)
{
    for (;;) {
        ssize_t got = read(fd, room, COPY_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, ERR_IO, errno, "could not read an artifact");
        if (got == 0)
            return 0;
        int code = vector_file_append(file, room, (size_t)got, err);
        if (code != 0)
            return code;
    }
}

int vector_file_append_artifact(struct vector_file *file, struct storage_client *storage,
                                const struct artifact *artifact, struct error *err)
{
    int fd;
    uint64_t size;
    int code = artifact_open(storage, artifact->id, NULL, NULL, &fd, &size, err);
    if (code != 0)
        return code;
    void *room = malloc(COPY_SIZE);
    if (room == NULL)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if (size != artifact->size)
        code =
            error_set(err, ERR_CORRUPT, "artifact %s has another size than was said", artifact->id);
    else
        code = copy(file, fd, room, err);
    free(room);
    close(fd);
    return code;
}

/* Reads exactly size bytes. */
static int read_all(int fd, uint64_t begin, uint8_t *out, size_t size, struct error *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, out + done, size - done, (off_t)(begin + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set_errno(err, ERR_IO, got < 0 ? errno : EIO, "could not read vectors");
        done += (size_t)got;
    }
    return 0;
}

int vector_file_put_from(const struct vector_file *file, uint64_t begin,
                         struct storage_client *storage, const char *owner,
                         struct artifact *ret_artifact, struct error *err)
{
    size_t size = (size_t)(file->size - begin);
    uint8_t *data = malloc(size + 1);
    if (data == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = read_all(file->fd, begin, data, size, err);
    if (code == 0)
        code = artifact_put_bytes(storage, data, size, owner, ret_artifact, err);
    free(data);
    return code;
}

int vector_file_put(const struct vector_file *file, struct storage_client *storage,
                    const char *owner, struct artifact *ret_artifact, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    return artifact_put_file(storage, path, owner, NULL, NULL, ret_artifact, err);
}

int vector_file_clear(struct vector_file *file, struct error *err)
{
    if (ftruncate(file->fd, 0) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not empty a file of vectors");
    file->size = 0;
    return 0;
}
