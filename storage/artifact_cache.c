/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_cache: see artifact_cache.h. */
#include "storage/artifact_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/hash.h"

#define DRAFT_PREFIX ".draft-"

/* Nobody takes as long for one part of an artifact; the draft was its maker's last. */
#define DRAFT_KEEP_S 3600

/* Names of what this process has checked; they start over when there are more, which costs a check
 * too many. */
#define CHECKED_MAX 65536

/* The share of the bound that is freed at once, and that a process publishes between two looks. */
#define ROOM_SHARE 16

struct checked {
    struct digest digest;
    UT_hash_handle hh;
};

struct artifact_cache {
    char *folder;
    uint64_t size_max;

    pthread_mutex_t mutex;
    struct checked *checked;
    uint64_t room; /* bytes that may be published before the folder is looked at again */
};

static int fail_io(struct error *err, const char *what, const char *path)
{
    int errnum = errno;
    bool is_full = errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
    return error_set_errno(err, is_full ? ERR_LIMIT : ERR_IO, errnum, "could not %s %s", what,
                           path);
}

static void cached_path(const struct artifact_cache *cache, const struct digest *digest,
                        char out[PATH_MAX])
{
    char hex[DIGEST_HEX_SIZE];
    snprintf(out, PATH_MAX, "%s/%s", cache->folder, digest_to_hex(digest, hex));
}

int artifact_cache_create(const char *folder, uint64_t size_max, struct artifact_cache **ret_cache,
                          struct error *err)
{
    struct artifact_cache *cache = calloc(1, sizeof *cache);
    char *copy = strdup(folder);
    if (cache == NULL || copy == NULL) {
        free(cache);
        free(copy);
        return error_set(err, ERR_MEMORY, "no memory for the cache of artifacts");
    }
    cache->folder = copy;
    cache->size_max = size_max;
    pthread_mutex_init(&cache->mutex, NULL);
    *ret_cache = cache;
    return 0;
}

/* ---- what was checked ---- */

static bool is_checked(struct artifact_cache *cache, const struct digest *digest)
{
    struct checked *checked;
    pthread_mutex_lock(&cache->mutex);
    HASH_FIND(hh, cache->checked, digest, sizeof *digest, checked);
    pthread_mutex_unlock(&cache->mutex);
    return checked != NULL;
}

/* With the mutex. */
static void forget_all(struct artifact_cache *cache)
{
    struct checked *checked;
    struct checked *next;
    HASH_ITER (hh, cache->checked, checked, next) {
        HASH_DEL(cache->checked, checked);
        free(checked);
    }
}

static void remember(struct artifact_cache *cache, const struct digest *digest)
{
    struct checked *checked = calloc(1, sizeof *checked);
    if (checked == NULL)
        return; /* it is checked again, that is all */
    checked->digest = *digest;
    pthread_mutex_lock(&cache->mutex);
    struct checked *known;
    HASH_FIND(hh, cache->checked, digest, sizeof *digest, known);
    if (known != NULL) {
        free(checked);
    } else {
        if (HASH_COUNT(cache->checked) >= CHECKED_MAX)
            forget_all(cache);
        HASH_ADD(hh, cache->checked, digest, sizeof checked->digest, checked);
    }
    pthread_mutex_unlock(&cache->mutex);
}

void artifact_cache_destroy(struct artifact_cache *cache)
{
    if (cache == NULL)
        return;
    forget_all(cache);
    pthread_mutex_destroy(&cache->mutex);
    free(cache->folder);
    free(cache);
}

/* ---- finding ---- */

/* Whether the open file is what its name says. */
static int check_content(int fd, uint64_t size, const struct digest *digest, bool *ret_is_good,
                         struct error *err)
{
    struct hasher *hasher = hasher_create();
    if (hasher == NULL)
        return error_set(err, ERR_MEMORY, "no memory to check an artifact");
    int code = digest_add_file(hasher, fd, size, err);
    if (code == 0) {
        struct digest found = digest_of_hasher(hasher);
        *ret_is_good = digest_equal(&found, digest);
    }
    hasher_destroy(hasher);
    return code;
}

int artifact_cache_find(struct artifact_cache *cache, const struct digest *digest, int *ret_fd,
                        uint64_t *ret_size, struct error *err)
{
    char path[PATH_MAX];
    struct stat status;
    cached_path(cache, digest, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : fail_io(err, "read", path);
    int code = 0;
    bool is_good = is_checked(cache, digest);
    if (fstat(fd, &status) != 0)
        code = fail_io(err, "read", path);
    else if (!is_good)
        code = check_content(fd, (uint64_t)status.st_size, digest, &is_good, err);
    if (code == 0 && !is_good) {
        unlink(path);
        code = ERR_NOT_FOUND;
    }
    if (code != 0) {
        close(fd);
        return code;
    }
    remember(cache, digest);
    futimens(fd, NULL); /* it was used; where that cannot be noted it goes earlier */
    *ret_fd = fd;
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

/* ---- making room ---- */

struct cached {
    char name[DIGEST_HEX_SIZE];
    struct timespec used;
    uint64_t size;
};

struct listing {
    struct cached *files;
    size_t count;
    size_t capacity;
    uint64_t size; /* of all files */
};

static int by_use(const void *a, const void *b)
{
    const struct timespec *left = &((const struct cached *)a)->used;
    const struct timespec *right = &((const struct cached *)b)->used;
    if (left->tv_sec != right->tv_sec)
        return left->tv_sec < right->tv_sec ? -1 : 1;
    return left->tv_nsec < right->tv_nsec ? -1 : left->tv_nsec > right->tv_nsec;
}

static void note_file(struct listing *listing, DIR *folder, const char *name)
{
    struct digest digest;
    struct stat status;
    if (fstatat(dirfd(folder), name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return;
    if (strncmp(name, DRAFT_PREFIX, strlen(DRAFT_PREFIX)) == 0 &&
        clock_utc_us() / 1000000 - status.st_mtime > DRAFT_KEEP_S)
        unlinkat(dirfd(folder), name, 0);
    if (!digest_of_hex(name, &digest))
        return;
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 256 : listing->capacity * 2;
        struct cached *grown = reallocarray(listing->files, capacity, sizeof *grown);
        if (grown == NULL)
            return; /* what is not listed stays */
        listing->files = grown;
        listing->capacity = capacity;
    }
    struct cached *file = &listing->files[listing->count++];
    *file = (struct cached){.used = status.st_mtim, .size = (uint64_t)status.st_size};
    memcpy(file->name, name, sizeof file->name);
    listing->size += file->size;
}

/* Where the bound is passed, removes what was used longest ago until there is room again; returns
 * how much. One process at a time: two would remove twice as much. */
static uint64_t make_room(const struct artifact_cache *cache)
{
    struct listing listing = {0};
    const uint64_t share = cache->size_max / ROOM_SHARE;
    DIR *folder = opendir(cache->folder);
    if (folder == NULL)
        return 0;
    flock(dirfd(folder), LOCK_EX);
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        note_file(&listing, folder, entry->d_name);
    const bool is_over = listing.size > cache->size_max;
    if (is_over)
        qsort(listing.files, listing.count, sizeof listing.files[0], by_use);
    for (size_t i = 0; is_over && i < listing.count && listing.size > cache->size_max - share;
         i++) {
        unlinkat(dirfd(folder), listing.files[i].name, 0);
        listing.size -= listing.files[i].size;
    }
    free(listing.files);
    closedir(folder);
    if (listing.size >= cache->size_max)
        return 0;
    return cache->size_max - listing.size < share ? cache->size_max - listing.size : share;
}

/* Counts what was published, and looks at the folder when it may be full. */
static void note_published(struct artifact_cache *cache, uint64_t size)
{
    pthread_mutex_lock(&cache->mutex);
    bool is_room = cache->room > size;
    cache->room = is_room ? cache->room - size : 0;
    pthread_mutex_unlock(&cache->mutex);
    if (is_room)
        return;
    uint64_t room = make_room(cache);
    pthread_mutex_lock(&cache->mutex);
    cache->room = room;
    pthread_mutex_unlock(&cache->mutex);
}

/* ---- drafts ---- */

/* Makes the folder and those above it. */
static int make_folders(const char *path, struct error *err)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *at = part + 1;; at++) {
        char end = *at;
        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return fail_io(err, "make folder", part);
        *at = end;
        if (end == '\0')
            return 0;
    }
}

static int make_draft(const struct artifact_cache *cache, struct artifact_draft *draft)
{
    snprintf(draft->path, sizeof draft->path, "%s/" DRAFT_PREFIX "XXXXXX", cache->folder);
    return mkostemp(draft->path, O_CLOEXEC);
}

int artifact_cache_begin(struct artifact_cache *cache, struct artifact_draft *ret_draft,
                         struct error *err)
{
    struct artifact_draft draft;
    draft.fd = make_draft(cache, &draft);
    if (draft.fd < 0 && errno == ENOENT) {
        int code = make_folders(cache->folder, err);
        if (code != 0)
            return code;
        draft.fd = make_draft(cache, &draft);
    }
    if (draft.fd < 0)
        return fail_io(err, "make a file in", cache->folder);
    *ret_draft = draft;
    return 0;
}

int artifact_cache_publish(struct artifact_cache *cache, struct artifact_draft *draft,
                           const struct digest *digest, struct error *err)
{
    char path[PATH_MAX];
    cached_path(cache, digest, path);
    struct stat status;
    if (fstat(draft->fd, &status) != 0 || fchmod(draft->fd, 0400) != 0 ||
        rename(draft->path, path) != 0) {
        int code = fail_io(err, "write", path);
        artifact_cache_abandon(draft);
        return code;
    }
    remember(cache, digest);
    note_published(cache, (uint64_t)status.st_size);
    return 0;
}

void artifact_cache_abandon(struct artifact_draft *draft)
{
    unlink(draft->path);
    close(draft->fd);
    draft->fd = -1;
}
