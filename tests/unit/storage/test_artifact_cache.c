/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_cache: one folder, several processes: what is found is whole and right, and the files
 * stay within the bound. */
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/artifact_cache.h"

#define PROCESSES    4
#define ROUNDS       150
#define CONTENTS     40 /* more than have room */
#define CONTENT_SIZE 20000
#define CACHE_SIZE   ((uint64_t)10 * CONTENT_SIZE)

static char folder[64];
static char cache_folder[96];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/argosy-cache-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(cache_folder, sizeof cache_folder, "%s/cache/artifacts", folder);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct artifact_cache *open_cache(uint64_t size_max)
{
    struct artifact_cache *cache;
    assert_int_equal(artifact_cache_create(cache_folder, size_max, &cache, NULL), 0);
    return cache;
}

/* Content number n, and its name. */
static struct digest content(unsigned n, uint8_t bytes[CONTENT_SIZE])
{
    struct hasher *hasher = hasher_create();
    assert_non_null(hasher);
    memset(bytes, (int)n, CONTENT_SIZE);
    memcpy(bytes, &n, sizeof n);
    hasher_add(hasher, bytes, CONTENT_SIZE);
    struct digest digest = digest_of_hasher(hasher);
    hasher_destroy(hasher);
    return digest;
}

/* What a fetch does. */
static void publish(struct artifact_cache *cache, unsigned n)
{
    uint8_t bytes[CONTENT_SIZE];
    struct digest digest = content(n, bytes);
    struct artifact_draft draft;
    struct error err = {0};
    if (artifact_cache_begin(cache, &draft, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(write(draft.fd, bytes, CONTENT_SIZE), CONTENT_SIZE);
    if (artifact_cache_publish(cache, &draft, &digest, &err) != 0)
        fail_msg("%s", err.text);
    close(draft.fd);
}

/* Whether it is there; what is there is right, also when its name goes while it is read. */
static bool find(struct artifact_cache *cache, unsigned n)
{
    uint8_t expected[CONTENT_SIZE];
    uint8_t found[CONTENT_SIZE + 1];
    struct digest digest = content(n, expected);
    struct error err = {0};
    uint64_t size;
    int fd;
    int code = artifact_cache_find(cache, &digest, &fd, &size, &err);
    if (code == ERR_NOT_FOUND)
        return false;
    if (code != 0)
        fail_msg("%s", err.text);
    assert_int_equal(size, CONTENT_SIZE);
    assert_int_equal(read(fd, found, sizeof found), CONTENT_SIZE);
    assert_memory_equal(found, expected, CONTENT_SIZE);
    close(fd);
    return true;
}

/* Files of the cache, and how many of them are drafts. */
static int count_files(int *ret_drafts)
{
    int count = 0;
    const struct dirent *entry;
    DIR *entries = opendir(cache_folder);
    assert_non_null(entries);
    *ret_drafts = 0;
    while ((entry = readdir(entries)) != NULL) {
        count += entry->d_name[0] != '.';
        *ret_drafts += strncmp(entry->d_name, ".draft-", 7) == 0;
    }
    closedir(entries);
    return count;
}

/* Says when a content was used last. */
static void set_used(unsigned n, time_t utc_s)
{
    uint8_t bytes[CONTENT_SIZE];
    char hex[DIGEST_HEX_SIZE];
    char path[256];
    const struct timespec times[2] = {{.tv_sec = utc_s}, {.tv_sec = utc_s}};
    struct digest digest = content(n, bytes);
    snprintf(path, sizeof path, "%s/%s", cache_folder, digest_to_hex(&digest, hex));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* One process of a node: wants contents in an order of its own, fetches what is not there. */
static void use_cache(unsigned seed)
{
    struct artifact_cache *cache = open_cache(CACHE_SIZE);
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned n = (i * 7 + seed * 13) % CONTENTS;
        if (!find(cache, n))
            publish(cache, n);
    }
    artifact_cache_destroy(cache);
}

static void several_processes_share_the_bound(void **state)
{
    (void)state;
    pid_t pids[PROCESSES];
    int status;
    int drafts;
    for (unsigned i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            /* A failed assertion of cmocka ends the child with another status. */
            use_cache(i);
            _exit(17);
        }
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 17);
    }
    /* A sixteenth is freed at once. */
    assert_in_range(count_files(&drafts), CACHE_SIZE / CONTENT_SIZE - 1, CACHE_SIZE / CONTENT_SIZE);
    assert_int_equal(drafts, 0);
}

static void what_was_used_longest_ago_goes(void **state)
{
    (void)state;
    struct artifact_cache *cache = open_cache(3 * CONTENT_SIZE + CONTENT_SIZE / 2);
    int drafts;
    for (unsigned n = 0; n < 3; n++) {
        publish(cache, n);
        set_used(n, 1000000 + (time_t)n);
    }
    assert_true(find(cache, 0)); /* used again */
    publish(cache, 3);
    assert_true(find(cache, 0) && find(cache, 2) && find(cache, 3));
    assert_false(find(cache, 1));
    assert_int_equal(count_files(&drafts), 3);
    artifact_cache_destroy(cache);
}

static void a_content_larger_than_the_bound_is_used_all_the_same(void **state)
{
    (void)state;
    struct artifact_cache *cache = open_cache(CONTENT_SIZE / 2);
    uint8_t bytes[CONTENT_SIZE];
    struct digest digest = content(1, bytes);
    struct artifact_draft draft;
    int drafts;
    assert_int_equal(artifact_cache_begin(cache, &draft, NULL), 0);
    assert_int_equal(write(draft.fd, bytes, CONTENT_SIZE), CONTENT_SIZE);
    assert_int_equal(artifact_cache_publish(cache, &draft, &digest, NULL), 0);
    assert_int_equal(pread(draft.fd, bytes, CONTENT_SIZE, 0), CONTENT_SIZE); /* still open */
    close(draft.fd);
    assert_int_equal(count_files(&drafts), 0);
    artifact_cache_destroy(cache);
}

static void damage_is_found_at_first_use_and_removed(void **state)
{
    (void)state;
    struct artifact_cache *cache = open_cache(CACHE_SIZE);
    uint8_t bytes[CONTENT_SIZE];
    char hex[DIGEST_HEX_SIZE];
    char path[256];
    struct digest digest = content(1, bytes);
    publish(cache, 1);
    artifact_cache_destroy(cache);
    snprintf(path, sizeof path, "%s/%s", cache_folder, digest_to_hex(&digest, hex));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 100), 0);
    cache = open_cache(CACHE_SIZE); /* as another process */
    assert_false(find(cache, 1));
    assert_int_not_equal(access(path, F_OK), 0);
    artifact_cache_destroy(cache);
}

static void the_draft_of_a_killed_process_is_removed(void **state)
{
    (void)state;
    struct artifact_cache *cache = open_cache(CACHE_SIZE);
    struct artifact_draft fresh;
    struct artifact_draft old;
    const struct timespec long_ago[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    int drafts;
    assert_int_equal(artifact_cache_begin(cache, &fresh, NULL), 0);
    assert_int_equal(artifact_cache_begin(cache, &old, NULL), 0);
    assert_int_equal(futimens(old.fd, long_ago), 0);
    publish(cache, 1);
    assert_int_equal(count_files(&drafts), 1);
    assert_int_equal(drafts, 1); /* the fresh one may be somebody's */
    artifact_cache_abandon(&fresh);
    artifact_cache_abandon(&old);
    artifact_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_processes_share_the_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_used_longest_ago_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_content_larger_than_the_bound_is_used_all_the_same, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(damage_is_found_at_first_use_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_draft_of_a_killed_process_is_removed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
