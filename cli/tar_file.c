/* SPDX-License-Identifier: Apache-2.0 */
/* tar_file: see tar_file.h. The header is that of POSIX.1-1988, "ustar Interchange Format". */
#include "cli/tar_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK_SIZE 512
#define COPY_SIZE  65536

/* What eleven octal digits hold. Above it the number is written in base 256, as GNU tar does. */
#define OCTAL_MAX UINT64_C(077777777777)

struct header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char linked[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char device_major[8];
    char device_minor[8];
    char prefix[155];
    char rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK_SIZE, "a header is one block");

struct tar_file {
    gzFile out;
    char *path;
    char folder[TAR_FOLDER_MAX + 1];
    uint64_t made_s;
};

int tar_file_create(const char *path, const char *folder, struct tar_file **ret_tar,
                    struct error *err)
{
    if (strlen(folder) > TAR_FOLDER_MAX)
        return error_set(err, ERR_LIMIT, "the archive's folder has too long a name");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno == EEXIST ? ERR_EXISTS : ERR_IO, errno,
                               "cannot create %s", path);
    struct tar_file *tar = calloc(1, sizeof *tar);
    if (tar != NULL)
        tar->path = strdup(path);
    gzFile out = tar != NULL && tar->path != NULL ? gzdopen(fd, "wb6") : NULL;
    if (out == NULL) {
        close(fd);
        unlink(path);
        if (tar != NULL)
            free(tar->path);
        free(tar);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    tar->out = out;
    tar->made_s = (uint64_t)time(NULL);
    strcpy(tar->folder, folder);
    *ret_tar = tar;
    return 0;
}

static int put(struct tar_file *tar, const void *data, size_t size, struct error *err)
{
    if (size > 0 && gzwrite(tar->out, data, (unsigned)size) != (int)size)
        return error_set_errno(err, ERR_IO, errno, "cannot write %s", tar->path);
    return 0;
}

/* field is the whole of a numeric field, its terminator included. */
static void put_number(char *field, size_t width, uint64_t number)
{
    if (number <= OCTAL_MAX) {
        snprintf(field, width, "%0*" PRIo64, (int)width - 1, number);
        return;
    }
    for (size_t i = width; i-- > 1; number >>= 8)
        field[i] = (char)(number & 0xff);
    field[0] = (char)0x80;
}

static int put_header(struct tar_file *tar, const char *name, uint64_t size, struct error *err)
{
    struct header header = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    const char *slash = strrchr(name, '/');
    const char *last = slash != NULL ? slash + 1 : name;
    size_t folder_size = slash != NULL ? (size_t)(slash - name) + 1 : 0;
    if (strlen(last) > sizeof header.name ||
        strlen(tar->folder) + 1 + folder_size > sizeof header.prefix)
        return error_set(err, ERR_LIMIT, "%s: too long a name for an archive", name);
    memcpy(header.name, last, strlen(last));
    size_t at = strlen(tar->folder);
    memcpy(header.prefix, tar->folder, at);
    if (slash != NULL) {
        header.prefix[at++] = '/';
        memcpy(header.prefix + at, name, folder_size - 1);
    }
    put_number(header.mode, sizeof header.mode, 0600);
    put_number(header.uid, sizeof header.uid, 0);
    put_number(header.gid, sizeof header.gid, 0);
    put_number(header.size, sizeof header.size, size);
    put_number(header.mtime, sizeof header.mtime, tar->made_s);
    memset(header.checksum, ' ', sizeof header.checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof header; i++)
        sum += ((const unsigned char *)&header)[i];
    snprintf(header.checksum, sizeof header.checksum, "%06o", sum);
    return put(tar, &header, sizeof header, err);
}

static int put_padding(struct tar_file *tar, uint64_t size, struct error *err)
{
    static const char zeros[BLOCK_SIZE];
    return put(tar, zeros, (size_t)(-size % BLOCK_SIZE), err);
}

int tar_file_add(struct tar_file *tar, const char *name, const void *data, size_t size,
                 struct error *err)
{
    int code = put_header(tar, name, size, err);
    for (size_t done = 0; code == 0 && done < size;) {
        size_t count = size - done < COPY_SIZE ? size - done : COPY_SIZE;
        code = put(tar, (const char *)data + done, count, err);
        done += count;
    }
    return code == 0 ? put_padding(tar, size, err) : code;
}

int tar_file_add_fd(struct tar_file *tar, const char *name, int fd, uint64_t size,
                    struct error *err)
{
    char bytes[COPY_SIZE];
    int code = put_header(tar, name, size, err);
    for (uint64_t done = 0; code == 0 && done < size;) {
        size_t wanted = size - done < sizeof bytes ? (size_t)(size - done) : sizeof bytes;
        ssize_t count = read(fd, bytes, wanted);
        if (count < 0)
            return error_set_errno(err, ERR_IO, errno, "cannot read %s", name);
        if (count == 0) { /* it became shorter */
            memset(bytes, 0, wanted);
            count = (ssize_t)wanted;
        }
        code = put(tar, bytes, (size_t)count, err);
        done += (uint64_t)count;
    }
    return code == 0 ? put_padding(tar, size, err) : code;
}

static void destroy(struct tar_file *tar)
{
    free(tar->path);
    free(tar);
}

int tar_file_finish(struct tar_file *tar, struct error *err)
{
    static const char end[2 * BLOCK_SIZE];
    int code = put(tar, end, sizeof end, err);
    errno = 0;
    if (gzclose(tar->out) != Z_OK && code == 0)
        code = error_set_errno(err, ERR_IO, errno, "cannot write %s", tar->path);
    if (code != 0)
        unlink(tar->path);
    destroy(tar);
    return code;
}

void tar_file_discard(struct tar_file *tar)
{
    if (tar == NULL)
        return;
    gzclose(tar->out);
    unlink(tar->path);
    destroy(tar);
}
