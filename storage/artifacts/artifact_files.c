/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_files: artifacts as files of the volume (docs/spec/06-storage.md, section "Files").
 *
 *     artifacts/9f/9f86d0...   a content, mode 0400, named by its digest
 *     uploads/9f86d0...        the first part of one
 *
 * A completed upload is hashed, flushed, renamed, and both folders flushed, in this order: a file
 * under artifacts/ is whole, whatever was killed on the way. What a file of uploads/ holds is not
 * trusted: the digest is made of its bytes when an upload goes on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"
#include "storage/artifacts/artifact_store.h"

/* Uploads with an open file and a digest in the making; one more closes the one used longest ago,
 * which is read again should it go on. */
#define UPLOADS_OPEN_MAX 64

/* Written back as it comes, so that the flush at the end is short. */
#define WRITE_BACK_SIZE ((uint64_t)16 * 1024 * 1024)

#define PATH_ROOM (PATH_MAX + 128)

/* A content in the making. */
struct upload {
    /* identity */
    struct digest digest;
    /* state */
    int fd;
    uint64_t received;
    uint64_t written_back;
    struct hasher *hasher; /* of what was received */
    bool is_used;          /* by a call: not to be closed */
    /* links */
    UT_hash_handle hh; /* the table is in order of use, longest ago first */
};

struct artifact_files {
    struct artifact_store store; /* first */
    char *folder;
    pthread_mutex_t mutex;
    struct upload *uploads;
    atomic_bool is_folder_durable[256]; /* by the first byte of its contents: flushed by us */
};

static struct artifact_files *files_of(struct artifact_store *store)
{
    return (struct artifact_files *)store;
}

/* A full disk is the one failure that goes away by itself. */
static int fail_write(struct error *err, const char *path)
{
    int errnum = errno;
    bool is_full = errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
    return error_set_errno(err, is_full ? ERR_LIMIT : ERR_STORAGE, errnum, "could not write %s",
                           path);
}

static int fail_read(struct error *err, const char *path)
{
    return error_set_errno(err, ERR_STORAGE, errno, "could not read %s", path);
}

/* ---- names ---- */

static const char *content_folder(const struct artifact_files *files, const struct digest *digest,
                                  char out[PATH_ROOM])
{
    snprintf(out, PATH_ROOM, "%s/artifacts/%02x", files->folder, digest->bytes[0]);
    return out;
}

static const char *content_path(const struct artifact_files *files, const struct digest *digest,
                                char out[PATH_ROOM])
{
    char hex[DIGEST_HEX_SIZE];
    snprintf(out, PATH_ROOM, "%s/artifacts/%02x/%s", files->folder, digest->bytes[0],
             digest_to_hex(digest, hex));
    return out;
}

static const char *upload_path(const struct artifact_files *files, const struct digest *digest,
                               char out[PATH_ROOM])
{
    char hex[DIGEST_HEX_SIZE];
    snprintf(out, PATH_ROOM, "%s/uploads/%s", files->folder, digest_to_hex(digest, hex));
    return out;
}

static int sync_folder(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_write(err, path);
    int code = fsync(fd) == 0 ? 0 : fail_write(err, path);
    close(fd);
    return code;
}

/* Makes a folder, whose name is durable then. It may be there already without being so: made by
 * another thread a moment ago, or by a process that was killed. */
static int make_folder(const char *path, const char *parent, struct error *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail_write(err, path);
    return sync_folder(parent, err);
}

/* The folder for digest's content, once for a process. */
static int make_content_folder(struct artifact_files *files, const struct digest *digest,
                               struct error *err)
{
    char path[PATH_ROOM];
    char parent[PATH_ROOM];
    atomic_bool *is_durable = &files->is_folder_durable[digest->bytes[0]];
    if (atomic_load(is_durable))
        return 0;
    snprintf(parent, sizeof parent, "%s/artifacts", files->folder);
    int code = make_folder(content_folder(files, digest, path), parent, err);
    if (code == 0)
        atomic_store(is_durable, true);
    return code;
}

/* ---- uploads ---- */

static void upload_destroy(struct upload *upload)
{
    if (upload == NULL)
        return;
    if (upload->fd >= 0)
        close(upload->fd);
    hasher_destroy(upload->hasher);
    free(upload);
}

/* Takes the upload out of the table and ends it; its file stays. */
static void upload_close(struct artifact_files *files, struct upload *upload)
{
    pthread_mutex_lock(&files->mutex);
    HASH_DEL(files->uploads, upload);
    pthread_mutex_unlock(&files->mutex);
    upload_destroy(upload);
}

/* The same, and removes the file. */
static void upload_drop(struct artifact_files *files, struct upload *upload)
{
    char path[PATH_ROOM];
    unlink(upload_path(files, &upload->digest, path));
    upload_close(files, upload);
}

/* With the mutex: makes room for one more. */
static void close_oldest(struct artifact_files *files)
{
    struct upload *upload;
    struct upload *next;
    HASH_ITER (hh, files->uploads, upload, next) {
        if (HASH_COUNT(files->uploads) < UPLOADS_OPEN_MAX)
            return;
        if (upload->is_used)
            continue;
        HASH_DEL(files->uploads, upload);
        upload_destroy(upload);
    }
}

/* Opens the file of an upload, new or begun before, and reads what it holds. */
static int upload_open(const struct artifact_files *files, const struct digest *digest,
                       uint64_t size, struct upload **ret_upload, struct error *err)
{
    char path[PATH_ROOM];
    upload_path(files, digest, path);
    struct upload *upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        return error_set(err, ERR_MEMORY, "no memory for an upload");
    upload->digest = *digest;
    upload->hasher = hasher_create();
    upload->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat status = {0};
    int code = 0;
    if (upload->hasher == NULL)
        code = error_set(err, ERR_MEMORY, "no memory for an upload");
    else if (upload->fd < 0 || fstat(upload->fd, &status) != 0)
        code = fail_write(err, path);
    else if ((uint64_t)status.st_size > size && ftruncate(upload->fd, 0) != 0)
        code = fail_write(err, path);
    else if ((uint64_t)status.st_size <= size)
        upload->received = (uint64_t)status.st_size;
    if (code == 0 && digest_add_file(upload->hasher, upload->fd, upload->received, err) != 0)
        code = fail_read(err, path);
    if (code != 0) {
        upload_destroy(upload);
        return code;
    }
    upload->written_back = upload->received;
    *ret_upload = upload;
    return 0;
}

/* The upload of digest, in use by this call. */
static int upload_take(struct artifact_files *files, const struct digest *digest, uint64_t size,
                       struct upload **ret_upload, struct error *err)
{
    struct upload *upload = NULL;
    int code = 0;
    pthread_mutex_lock(&files->mutex);
    HASH_FIND(hh, files->uploads, digest, sizeof *digest, upload);
    if (upload != NULL)
        HASH_DEL(files->uploads, upload);
    else
        close_oldest(files);
    pthread_mutex_unlock(&files->mutex);
    /* Nobody else opens it meanwhile: calls for a digest come one at a time. */
    if (upload == NULL)
        code = upload_open(files, digest, size, &upload, err);
    if (code != 0)
        return code;
    upload->is_used = true;
    pthread_mutex_lock(&files->mutex);
    HASH_ADD(hh, files->uploads, digest, sizeof upload->digest, upload);
    pthread_mutex_unlock(&files->mutex);
    *ret_upload = upload;
    return 0;
}

static void upload_give_back(struct artifact_files *files, struct upload *upload)
{
    pthread_mutex_lock(&files->mutex);
    upload->is_used = false;
    pthread_mutex_unlock(&files->mutex);
}

/* Writes what is new in the part. */
static int upload_write(const struct artifact_files *files, struct upload *upload,
                        const struct artifact_part *part, struct error *err)
{
    char path[PATH_ROOM];
    uint64_t end = part->offset + part->length;
    if (upload->received > part->size)
        return error_set(err, ERR_INVALID, "another size of the artifact was sent before");
    if (part->offset > upload->received)
        return 0;
    while (upload->received < end) {
        const uint8_t *data = (const uint8_t *)part->data + (upload->received - part->offset);
        ssize_t count =
            pwrite(upload->fd, data, (size_t)(end - upload->received), (off_t)upload->received);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return fail_write(err, upload_path(files, &upload->digest, path));
        hasher_add(upload->hasher, data, (size_t)count);
        upload->received += (uint64_t)count;
    }
    if (upload->received - upload->written_back >= WRITE_BACK_SIZE) {
        /* A hint: what it cannot do, the flush at the end does. */
        sync_file_range(upload->fd, (off_t)upload->written_back,
                        (off_t)(upload->received - upload->written_back), SYNC_FILE_RANGE_WRITE);
        upload->written_back = upload->received;
    }
    return 0;
}

/* Checks the complete upload and makes it a content, durably. */
static int upload_publish(struct artifact_files *files, struct upload *upload, struct error *err)
{
    char from[PATH_ROOM];
    char to[PATH_ROOM];
    char folder[PATH_ROOM];
    char id[ARTIFACT_ID_SIZE];
    struct digest digest = digest_of_hasher(upload->hasher);
    if (!digest_equal(&digest, &upload->digest))
        return error_set(err, ERR_INVALID, "what was sent is not %s, but %.19s...",
                         digest_to_id(&upload->digest, to), digest_to_id(&digest, id));
    upload_path(files, &upload->digest, from);
    content_path(files, &upload->digest, to);
    content_folder(files, &upload->digest, folder);
    int code = make_content_folder(files, &upload->digest, err);
    if (code != 0)
        return code;
    if (fchmod(upload->fd, 0400) != 0 || fsync(upload->fd) != 0)
        return fail_write(err, from);
    if (rename(from, to) != 0)
        return fail_write(err, to);
    return sync_folder(folder, err);
}

/* ---- operations ---- */

/* Whether a content is there: its size, or ERR_NOT_FOUND without a text. */
static int find_content(const struct artifact_files *files, const struct digest *digest,
                        uint64_t *ret_size, struct error *err)
{
    char path[PATH_ROOM];
    struct stat status;
    if (stat(content_path(files, digest, path), &status) != 0)
        return errno == ENOENT ? ERR_NOT_FOUND : fail_read(err, path);
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

static int put_part(struct artifact_files *files, const struct digest *digest,
                    const struct artifact_part *part, struct artifact_progress *ret_progress,
                    struct error *err)
{
    struct upload *upload;
    int code = upload_take(files, digest, part->size, &upload, err);
    if (code != 0)
        return code;
    code = upload_write(files, upload, part, err);
    bool is_complete = code == 0 && upload->received == part->size;
    if (is_complete)
        code = upload_publish(files, upload, err);
    uint64_t received = upload->received;
    if (code != 0)
        upload_drop(files, upload);
    else if (is_complete)
        upload_close(files, upload);
    else
        upload_give_back(files, upload);
    if (code == 0)
        *ret_progress = (struct artifact_progress){received, is_complete, is_complete};
    return code;
}

static int files_put(struct artifact_store *store, const struct digest *digest,
                     const struct artifact_part *part, struct artifact_progress *ret_progress,
                     struct error *err)
{
    uint64_t size;
    if (part->size > ARTIFACT_SIZE_MAX || part->offset > part->size ||
        part->length > part->size - part->offset)
        return error_set(err, ERR_INVALID, "a part does not lie within its artifact");
    int code = find_content(files_of(store), digest, &size, err);
    if (code == ERR_NOT_FOUND)
        return put_part(files_of(store), digest, part, ret_progress, err);
    if (code != 0)
        return code;
    *ret_progress = (struct artifact_progress){.received = part->size, .is_stored = true};
    return 0;
}

static int read_all(int fd, uint64_t offset, void *data, size_t length, size_t *ret_length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = pread(fd, (uint8_t *)data + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    *ret_length = done;
    return 0;
}

static int files_read(struct artifact_store *store, const struct digest *digest, uint64_t offset,
                      void *data, size_t length, size_t *ret_length, uint64_t *ret_size,
                      struct error *err)
{
    char path[PATH_ROOM];
    char id[ARTIFACT_ID_SIZE];
    struct stat status;
    int fd = open(content_path(files_of(store), digest, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERR_NOT_FOUND, "storage has no artifact %s",
                         digest_to_id(digest, id));
    if (fd < 0)
        return fail_read(err, path);
    int code = 0;
    if (offset > ARTIFACT_SIZE_MAX)
        offset = ARTIFACT_SIZE_MAX;
    if (fstat(fd, &status) != 0 || read_all(fd, offset, data, length, ret_length) != 0)
        code = fail_read(err, path);
    else
        *ret_size = (uint64_t)status.st_size;
    close(fd);
    return code;
}

static int files_remove(struct artifact_store *store, const struct digest *digest,
                        struct error *err)
{
    char path[PATH_ROOM];
    if (unlink(content_path(files_of(store), digest, path)) != 0 && errno != ENOENT)
        return error_set_errno(err, ERR_STORAGE, errno, "could not remove %s", path);
    return 0;
}

/* ---- scanning ---- */

typedef int visit_fn(void *context, const char *folder, const char *name, struct error *err);

/* Visits the entries of a folder, dots left out; what has gone meanwhile is none. */
static int visit_folder(const char *path, visit_fn *visit, void *context, struct error *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail_read(err, path);
    int code = 0;
    const struct dirent *entry;
    errno = 0;
    while (code == 0 && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.')
            code = visit(context, path, entry->d_name, err);
        errno = 0;
    }
    if (code == 0 && errno != 0)
        code = fail_read(err, path);
    closedir(folder);
    return code;
}

struct scan {
    artifact_store_scan_fn *fn;
    void *context;
};

static int scan_content(void *context, const char *folder, const char *name, struct error *err)
{
    const struct scan *scan = context;
    char path[PATH_ROOM];
    struct digest digest;
    struct stat status;
    /* What is no artifact is none of ours. */
    if (!digest_of_hex(name, &digest) || strncmp(strrchr(folder, '/') + 1, name, 2) != 0)
        return 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    return scan->fn(scan->context, &digest, (uint64_t)status.st_size, err);
}

static int scan_folder(void *context, const char *folder, const char *name, struct error *err)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return visit_folder(path, scan_content, context, err);
}

static int files_scan(struct artifact_store *store, artifact_store_scan_fn *fn, void *context,
                      struct error *err)
{
    char path[PATH_ROOM];
    struct scan scan = {fn, context};
    snprintf(path, sizeof path, "%s/artifacts", files_of(store)->folder);
    return visit_folder(path, scan_folder, &scan, err);
}

/* Removes the files of uploads that nobody went on with. */
static int remove_old_upload(void *context, const char *folder, const char *name, struct error *err)
{
    (void)context;
    (void)err;
    char path[PATH_ROOM];
    struct stat status;
    const int64_t keep_s = (int64_t)ARTIFACT_UPLOAD_KEEP_HOURS * 3600;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (lstat(path, &status) == 0 && clock_utc_us() / 1000000 - status.st_mtime > keep_s)
        unlink(path);
    return 0;
}

/* A rename that a killed process has not flushed. */
static int sync_content_folder(void *context, const char *folder, const char *name,
                               struct error *err)
{
    (void)context;
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return sync_folder(path, err);
}

/* ---- opening and closing ---- */

static void files_close(struct artifact_store *store)
{
    struct artifact_files *files = files_of(store);
    struct upload *upload;
    struct upload *next;
    HASH_ITER (hh, files->uploads, upload, next) {
        HASH_DEL(files->uploads, upload);
        upload_destroy(upload);
    }
    pthread_mutex_destroy(&files->mutex);
    free(files->folder);
    free(files);
}

static int open_folders(const struct artifact_files *files, struct error *err)
{
    static const char *const names[] = {"artifacts", "uploads"};
    char path[PATH_ROOM];
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", files->folder, names[i]);
        code = make_folder(path, files->folder, err);
    }
    if (code == 0)
        code = visit_folder(path, remove_old_upload, NULL, err);
    snprintf(path, sizeof path, "%s/artifacts", files->folder);
    return code == 0 ? visit_folder(path, sync_content_folder, NULL, err) : code;
}

int artifact_store_open_files(const char *folder, struct artifact_store **ret_store,
                              struct error *err)
{
    static const struct artifact_store_ops ops = {.put = files_put,
                                                  .read = files_read,
                                                  .remove = files_remove,
                                                  .scan = files_scan,
                                                  .close = files_close};
    if (strlen(folder) >= PATH_MAX)
        return error_set(err, ERR_STORAGE, "the path of the volume is too long");
    struct artifact_files *files = calloc(1, sizeof *files);
    char *copy = strdup(folder);
    if (files == NULL || copy == NULL) {
        free(files);
        free(copy);
        return error_set(err, ERR_MEMORY, "no memory for the artifact store");
    }
    files->store.ops = &ops;
    files->folder = copy;
    pthread_mutex_init(&files->mutex, NULL);
    int code = open_folders(files, err);
    if (code != 0) {
        files_close(&files->store);
        return code;
    }
    *ret_store = &files->store;
    return 0;
}
