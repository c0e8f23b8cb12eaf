/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_client: storage/artifact.h over calls to the storage process. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/messages.h"
#include "common/assert.h"
#include "common/limits.h"
#include "storage/artifact.h"
#include "storage/digest.h"
#include "storage/storage_call.h"

/* Content in one request, as much as a reply may carry: large enough that the round trip does not
 * show, small enough that others get their turn. */
#define PART_SIZE ((size_t)1024 * 1024)

/* A part and its message. */
#define CALL_ARENA_SIZE (4 * LIMIT_MIB)

/* Somebody else may have put something else under the same name, or the file may have changed:
 * storage then drops what it had, and an honest caller's second try finds nothing of it. */
#define PUT_TRIES 3

/* ---- putting ---- */

/* Where the content comes from: memory, or a file where data is NULL. */
struct source {
    const uint8_t *data;
    int fd;
    const char *path; /* for errors */
    uint64_t size;
};

struct put {
    struct storage_client *client;
    const struct source *source;
    const char *owner;
    artifact_progress_fn *progress;
    void *context;
    uint8_t *part; /* room for PART_SIZE; unused for memory */
    struct arena *arena;
    struct artifact artifact;
};

static int read_part(const struct source *source, uint64_t offset, uint8_t *part, size_t length,
                     struct error *err)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = pread(source->fd, part + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, ERR_IO, errno, "could not read %s", source->path);
        if (count == 0)
            return error_set(err, ERR_IO, "%s became shorter while it was put", source->path);
        done += (size_t)count;
    }
    return 0;
}

static int send_part(struct put *put, uint64_t offset, size_t length,
                     const Api__PutArtifactResponse **ret_response, struct error *err)
{
    const struct source *source = put->source;
    uint8_t *data = source->data != NULL ? (uint8_t *)(uintptr_t)source->data + offset : put->part;
    int code = source->data == NULL ? read_part(source, offset, put->part, length, err) : 0;
    if (code != 0)
        return code;
    Api__PutArtifactRequest request = API__PUT_ARTIFACT_REQUEST__INIT;
    request.artifact_id = put->artifact.id;
    request.has_size = true;
    request.size = put->artifact.size;
    request.owner = put->owner;
    request.has_offset = true;
    request.offset = offset;
    request.has_data = true;
    request.data = (ProtobufCBinaryData){.data = data, .len = length};
    ProtobufCMessage *response;
    arena_reset(put->arena);
    code =
        storage_call(put->client, METHOD_PUT_ARTIFACT, &request.base, put->arena, &response, err);
    if (code == 0)
        *ret_response = (const Api__PutArtifactResponse *)response;
    return code;
}

/* What is small is sent at once; of the rest storage is asked first what it has. */
static int send_all(struct put *put, struct error *err)
{
    uint64_t offset = 0;
    size_t length = put->artifact.size <= PART_SIZE ? (size_t)put->artifact.size : 0;
    for (;;) {
        const Api__PutArtifactResponse *response;
        int code = send_part(put, offset, length, &response, err);
        if (code != 0)
            return code;
        if (response->received > put->artifact.size)
            return error_set(err, ERR_PROTOCOL, "storage has more of an artifact than there is");
        offset = response->stored ? put->artifact.size : response->received;
        if (put->progress != NULL)
            put->progress(put->context, offset, put->artifact.size);
        if (response->stored)
            return 0;
        uint64_t left = put->artifact.size - offset;
        length = left < PART_SIZE ? (size_t)left : PART_SIZE;
    }
}

static int hash_source(const struct source *source, struct digest *ret_digest, struct error *err)
{
    struct hasher *hasher = hasher_create();
    if (hasher == NULL)
        return error_set(err, ERR_MEMORY, "no memory to put an artifact");
    int code = 0;
    if (source->data != NULL)
        hasher_add(hasher, source->data, (size_t)source->size);
    else
        code = digest_add_file(hasher, source->fd, source->size, err);
    if (code == 0)
        *ret_digest = digest_of_hasher(hasher);
    else if (source->path != NULL)
        error_prefix(err, "%s", source->path);
    hasher_destroy(hasher);
    return code;
}

static int put_source(struct put *put, struct artifact *ret_artifact, struct error *err)
{
    struct arena arena;
    arena_init(&arena, CALL_ARENA_SIZE);
    put->arena = &arena;
    int code = 0;
    for (int tries = 0; tries < PUT_TRIES; tries++) {
        /* Again each time: a file that has changed is another artifact. */
        struct digest digest;
        code = hash_source(put->source, &digest, err);
        if (code != 0)
            break;
        digest_to_id(&digest, put->artifact.id);
        put->artifact.size = put->source->size;
        code = send_all(put, err);
        if (code != ERR_INVALID)
            break;
    }
    arena_fini(&arena);
    if (code == 0)
        *ret_artifact = put->artifact;
    return code;
}

int artifact_put_bytes(struct storage_client *client, const void *data, size_t size,
                       const char *owner, struct artifact *ret_artifact, struct error *err)
{
    const struct source source = {
        .data = size > 0 ? data : (const uint8_t *)"", .fd = -1, .size = size};
    struct put put = {.client = client, .source = &source, .owner = owner};
    int code = artifact_owner_check(owner, err);
    return code == 0 ? put_source(&put, ret_artifact, err) : code;
}

static int open_source(const char *path, struct source *ret_source, struct error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                               "could not read %s", path);
    int code = 0;
    if (fstat(fd, &status) != 0)
        code = error_set_errno(err, ERR_IO, errno, "could not read %s", path);
    else if (!S_ISREG(status.st_mode))
        code = error_set(err, ERR_IO, "%s is no file", path);
    if (code != 0) {
        close(fd);
        return code;
    }
    *ret_source = (struct source){.fd = fd, .path = path, .size = (uint64_t)status.st_size};
    return 0;
}

int artifact_put_file(struct storage_client *client, const char *path, const char *owner,
                      artifact_progress_fn *progress, void *context, struct artifact *ret_artifact,
                      struct error *err)
{
    struct source source;
    int code = artifact_owner_check(owner, err);
    if (code == 0)
        code = open_source(path, &source, err);
    if (code != 0)
        return code;
    struct put put = {.client = client,
                      .source = &source,
                      .owner = owner,
                      .progress = progress,
                      .context = context,
                      .part = malloc(PART_SIZE)};
    code = put.part != NULL ? put_source(&put, ret_artifact, err)
                            : error_set(err, ERR_MEMORY, "no memory to put an artifact");
    free(put.part);
    close(source.fd);
    return code;
}

/* ---- getting ---- */

static int write_all(int fd, const uint8_t *data, size_t size, struct error *err)
{
    while (size > 0) {
        ssize_t count = write(fd, data, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return error_set_errno(err, errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO,
                                   errno, "could not write a fetched artifact");
        data += count;
        size -= (size_t)count;
    }
    return 0;
}

struct get {
    struct storage_client *client;
    const char *id;
    artifact_progress_fn *progress;
    void *context;
    struct hasher *hasher;
    struct arena *arena;
};

/* Fetches the content to fd. */
static int fetch_parts(struct get *get, int fd, uint64_t *ret_size, struct error *err)
{
    uint64_t offset = 0;
    for (;;) {
        Api__GetArtifactRequest request = API__GET_ARTIFACT_REQUEST__INIT;
        request.artifact_id = get->id;
        request.has_offset = true;
        request.offset = offset;
        request.has_length = true;
        request.length = PART_SIZE;
        ProtobufCMessage *message;
        arena_reset(get->arena);
        int code = storage_call(get->client, METHOD_GET_ARTIFACT, &request.base, get->arena,
                                &message, err);
        if (code != 0)
            return code;
        const Api__GetArtifactResponse *response = (const Api__GetArtifactResponse *)message;
        code = write_all(fd, response->data.data, response->data.len, err);
        if (code != 0)
            return code;
        hasher_add(get->hasher, response->data.data, response->data.len);
        offset += response->data.len;
        if (get->progress != NULL)
            get->progress(get->context, offset, response->size);
        if (response->data.len == 0 || offset >= response->size) {
            *ret_size = offset;
            return 0;
        }
    }
}

/* Fetches and checks. */
static int fetch(struct get *get, const struct digest *digest, int fd, uint64_t *ret_size,
                 struct error *err)
{
    struct arena arena;
    get->hasher = hasher_create();
    if (get->hasher == NULL)
        return error_set(err, ERR_MEMORY, "no memory to fetch an artifact");
    arena_init(&arena, CALL_ARENA_SIZE);
    get->arena = &arena;
    int code = fetch_parts(get, fd, ret_size, err);
    arena_fini(&arena);
    if (code == 0) {
        struct digest found = digest_of_hasher(get->hasher);
        if (!digest_equal(&found, digest))
            code = error_set(err, ERR_CORRUPT, "%s is damaged in storage", get->id);
    }
    hasher_destroy(get->hasher);
    return code;
}

static int fetch_to_cache(struct get *get, const struct digest *digest, int *ret_fd,
                          uint64_t *ret_size, struct error *err)
{
    struct artifact_cache *cache = storage_client_cache(get->client);
    struct artifact_draft draft;
    uint64_t size;
    int code = artifact_cache_begin(cache, &draft, err);
    if (code != 0)
        return code;
    code = fetch(get, digest, draft.fd, &size, err);
    if (code == 0 && lseek(draft.fd, 0, SEEK_SET) != 0)
        code = error_set_errno(err, ERR_IO, errno, "could not read %s", draft.path);
    if (code != 0) {
        artifact_cache_abandon(&draft);
        return code;
    }
    code = artifact_cache_publish(cache, &draft, digest, err);
    if (code != 0)
        return code;
    *ret_fd = draft.fd;
    *ret_size = size;
    return 0;
}

int artifact_open(struct storage_client *client, const char *id, artifact_progress_fn *progress,
                  void *context, int *ret_fd, uint64_t *ret_size, struct error *err)
{
    struct digest digest;
    struct get get = {.client = client, .id = id, .progress = progress, .context = context};
    int code = digest_of_id(id, &digest, err);
    if (code != 0)
        return code;
    code = artifact_cache_find(storage_client_cache(client), &digest, ret_fd, ret_size, err);
    return code == ERR_NOT_FOUND ? fetch_to_cache(&get, &digest, ret_fd, ret_size, err) : code;
}

/* ---- to a file of the caller's ---- */

static int copy_all(int from, int to, uint64_t size, struct error *err)
{
    uint8_t *part = malloc(PART_SIZE);
    if (part == NULL)
        return error_set(err, ERR_MEMORY, "no memory to copy an artifact");
    int code = 0;
    while (code == 0 && size > 0) {
        ssize_t count = read(from, part, PART_SIZE);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            code = error_set_errno(err, ERR_IO, count < 0 ? errno : ENODATA,
                                   "could not read a cached artifact");
        else
            code = write_all(to, part, (size_t)count, err);
        size -= count > 0 ? (uint64_t)count : 0;
    }
    free(part);
    return code;
}

/* Flushes the folder that path lies in. */
static int sync_parent(const char *path, struct error *err)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    const char *folder = dirname(copy);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd >= 0 && fsync(fd) == 0
                   ? 0
                   : error_set_errno(err, ERR_IO, errno, "could not flush %s", folder);
    if (fd >= 0)
        close(fd);
    return code;
}

static int write_file(int from, uint64_t size, const char *path, struct error *err)
{
    char draft[PATH_MAX];
    if (snprintf(draft, sizeof draft, "%s.XXXXXX", path) >= (int)sizeof draft)
        return error_set(err, ERR_INVALID, "the path is too long");
    int fd = mkostemp(draft, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not write %s", path);
    mode_t mask = umask(0);
    umask(mask);
    int code = copy_all(from, fd, size, err);
    if (code == 0 && (fchmod(fd, 0666 & ~mask) != 0 || fsync(fd) != 0 || rename(draft, path) != 0))
        code = error_set_errno(err, ERR_IO, errno, "could not write %s", path);
    close(fd);
    if (code != 0) {
        unlink(draft);
        return code;
    }
    return sync_parent(path, err);
}

int artifact_get_file(struct storage_client *client, const char *id, const char *path,
                      artifact_progress_fn *progress, void *context, struct error *err)
{
    int fd;
    uint64_t size;
    int code = artifact_open(client, id, progress, context, &fd, &size, err);
    if (code != 0)
        return code;
    code = write_file(fd, size, path, err);
    close(fd);
    return code;
}

/* ---- owners ---- */

static int call(struct storage_client *client, enum method method, const ProtobufCMessage *request,
                struct error *err)
{
    struct arena arena;
    ProtobufCMessage *response;
    arena_init(&arena, CALL_ARENA_SIZE);
    int code = storage_call(client, method, request, &arena, &response, err);
    arena_fini(&arena);
    return code;
}

int artifact_keep(struct storage_client *client, const char *id, const char *owner,
                  struct error *err)
{
    Api__KeepArtifactRequest request = API__KEEP_ARTIFACT_REQUEST__INIT;
    request.artifact_id = id;
    request.owner = owner;
    int code = artifact_id_check(id, err);
    if (code == 0)
        code = artifact_owner_check(owner, err);
    return code == 0 ? call(client, METHOD_KEEP_ARTIFACT, &request.base, err) : code;
}

int artifact_release(struct storage_client *client, const char *id, const char *owner,
                     struct error *err)
{
    Api__ReleaseArtifactRequest request = API__RELEASE_ARTIFACT_REQUEST__INIT;
    request.artifact_id = id;
    request.owner = owner;
    int code = artifact_id_check(id, err);
    if (code == 0)
        code = artifact_owner_check(owner, err);
    return code == 0 ? call(client, METHOD_RELEASE_ARTIFACT, &request.base, err) : code;
}
