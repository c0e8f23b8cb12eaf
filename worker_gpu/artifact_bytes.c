/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_bytes: see artifact_bytes.h. */
#include "worker_gpu/artifact_bytes.h"

#include <errno.h>
#include <unistd.h>

static int descriptor_read(int fd, size_t size, struct buffer *out, struct error *err)
{
    uint8_t *room = buffer_reserve(out, size);
    if (room == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(fd, room + done, size - done, (off_t)done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return error_set_errno(err, ERR_IO, count < 0 ? errno : EIO,
                                   "could not read an artifact");
        done += (size_t)count;
    }
    out->size += size;
    return 0;
}

int artifact_bytes_read(struct storage_client *storage, const struct artifact *artifact,
                        uint64_t size_max, struct buffer *out, struct error *err)
{
    int fd;
    uint64_t size;
    int code = artifact_open(storage, artifact->id, NULL, NULL, &fd, &size, err);
    if (code != 0)
        return code;
    if (size > size_max)
        code = error_set(err, ERR_CORRUPT, "an artifact of %llu bytes, where at most %llu may be",
                         (unsigned long long)size, (unsigned long long)size_max);
    else
        code = descriptor_read(fd, (size_t)size, out, err);
    close(fd);
    return code;
}
