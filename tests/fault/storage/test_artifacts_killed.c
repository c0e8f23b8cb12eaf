/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage process is killed (SIGKILL) again and again while several threads put artifacts, and
 * repeat what was not acknowledged. After each start, and at the end,
 *   - everything that was acknowledged is there, and every content is what its name says;
 *   - nothing is there that nobody has put whole.
 * What was begun goes on where it was, is not seen before it is whole, and is removed when nobody
 * goes on with it.
 */
#include "tests/test.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/artifact_upkeep.h"
#include "tests/integration/storage/storage_process.h"

#define WRITERS         3
#define PUTS            30
#define KILLS           10
#define PUTS_PER_KILL   6
#define LARGE_SIZE      (5 * 1024 * 1024 + 17)
#define UPLOAD_AGE_S    (25 * 3600)
#define ARTIFACTS_LIMIT (WRITERS * PUTS)

/* One writer's ledger: artifacts 0 to acknowledged - 1 were acknowledged, and no other was begun
 * but that of this number. */
struct writer {
    int number;
    _Atomic int acknowledged;
    char ids[PUTS][ARTIFACT_ID_SIZE]; /* of those that were acknowledged */
    bool failed;
};

static struct storage_process process;
static struct writer writers[WRITERS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER;
static size_t puts_begun;
static int writing; /* writers that have not ended */

static bool is_lost(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT;
}

/* ---- the writers ---- */

/* Every third content travels in parts. The caller frees it. */
static uint8_t *content_make(int writer, int number, size_t *ret_size)
{
    size_t size = number % 3 == 0 ? LARGE_SIZE : (size_t)(100 + number);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    uint64_t state = (uint64_t)(writer * PUTS + number) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < size; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(state >> 56);
    }
    *ret_size = size;
    return bytes;
}

static void count_put(void)
{
    pthread_mutex_lock(&mutex);
    puts_begun++;
    pthread_cond_signal(&progress);
    pthread_mutex_unlock(&mutex);
}

/* Waits until that many puts have begun; false when the writers ended before. */
static bool wait_puts(size_t wanted)
{
    pthread_mutex_lock(&mutex);
    while (puts_begun < wanted && writing > 0)
        pthread_cond_wait(&progress, &mutex);
    bool is_reached = puts_begun >= wanted && writing > 0;
    pthread_mutex_unlock(&mutex);
    return is_reached;
}

static void *write_artifacts(void *arg)
{
    struct writer *writer = arg;
    struct error err = {0};
    int code = 0;
    for (int i = 0; code == 0 && i < PUTS; i++) {
        struct artifact artifact;
        size_t size;
        uint8_t *bytes = content_make(writer->number, i, &size);
        count_put();
        do {
            code = artifact_put_bytes(process.client, bytes, size, "pin:p", &artifact, &err);
        } while (is_lost(code));
        free(bytes);
        if (code == 0) {
            strcpy(writer->ids[i], artifact.id);
            atomic_store(&writer->acknowledged, i + 1);
        }
    }
    writer->failed = code != 0;
    if (code != 0)
        print_error("writer %d: %s\n", writer->number, err.text);
    pthread_mutex_lock(&mutex);
    writing--;
    pthread_cond_signal(&progress);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

/* ---- what is there ---- */

struct listing {
    char ids[ARTIFACTS_LIMIT][ARTIFACT_ID_SIZE];
    size_t count;
};

static int list_one(void *context, const struct artifact_entry *entry, struct error *err)
{
    struct listing *listing = context;
    if (listing->count == ARTIFACTS_LIMIT)
        return error_set(err, ERR_LIMIT, "storage has more than anybody put");
    assert_int_equal(entry->owner_count, 1);
    strcpy(listing->ids[listing->count++], entry->id);
    return 0;
}

static bool has(const struct listing *listing, const char *id)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (strcmp(listing->ids[i], id) == 0)
            return true;
    }
    return false;
}

/* Asks again where the answer was lost with the process. */
static void list_all(struct listing *listing)
{
    struct error err = {0};
    int code;
    do {
        listing->count = 0;
        code = artifact_list(process.client, list_one, listing, &err);
    } while (is_lost(code));
    if (code != 0)
        fail_msg("%s", err.text);
}

static int name_damage(void *context, const char *id, const char *reason, struct error *err)
{
    (void)context;
    return error_set(err, ERR_CORRUPT, "%s: %s", id, reason);
}

/* At least what was acknowledged before, all of it sound. */
static void check(const int acknowledged[WRITERS])
{
    static struct listing listing;
    const struct artifact_verify_options options = {.on_damage = name_damage};
    struct error err = {0};
    uint64_t count = 0;
    int code;
    do {
        code = artifact_verify(process.client, &options, &count, &err);
    } while (is_lost(code));
    if (code != 0)
        fail_msg("%s", err.text);
    list_all(&listing);
    for (int i = 0; i < WRITERS; i++) {
        for (int j = 0; j < acknowledged[i]; j++)
            assert_true(has(&listing, writers[i].ids[j]));
    }
}

static int count_files(const char *name)
{
    char path[128];
    int count = 0;
    const struct dirent *entry;
    snprintf(path, sizeof path, "%s/storage/%s", process.folder, name);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static void restart(void)
{
    storage_process_kill(&process, SIGKILL);
    storage_process_start(&process);
}

static void nothing_acknowledged_is_lost(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    int acknowledged[WRITERS];
    int kills = 0;
    storage_process_open(&process, "");
    writing = WRITERS;
    for (int i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_artifacts, &writers[i]), 0);
    }
    for (; kills < KILLS && wait_puts((size_t)(kills + 1) * PUTS_PER_KILL); kills++) {
        for (int i = 0; i < WRITERS; i++)
            acknowledged[i] = atomic_load(&writers[i].acknowledged);
        restart();
        check(acknowledged);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(kills, KILLS);
    restart();
    for (int i = 0; i < WRITERS; i++) {
        assert_false(writers[i].failed);
        acknowledged[i] = PUTS;
    }
    check(acknowledged);
    assert_int_equal(count_files("uploads"), 0);
    storage_process_close(&process);
}

/* ---- a put that is left in the middle ---- */

struct half {
    const char *path; /* of the file that is put */
    uint64_t first_done;
    bool is_seen;
};

/* Takes the file away from under the put, when half of it has been sent. */
static void cut_at_half(void *context, uint64_t done, uint64_t total)
{
    const struct half *half = context;
    if (done >= total / 2)
        assert_int_equal(truncate(half->path, 10), 0);
}

static void note_first(void *context, uint64_t done, uint64_t total)
{
    struct half *half = context;
    (void)total;
    if (!half->is_seen)
        half->first_done = done;
    half->is_seen = true;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Puts half of the file, which is whole again after it. */
static void put_half(const char *path, const uint8_t *bytes, size_t size)
{
    struct half half = {.path = path};
    struct artifact artifact;
    write_file(path, bytes, size);
    assert_int_equal(
        artifact_put_file(process.client, path, "pin:p", cut_at_half, &half, &artifact, NULL),
        ERR_IO);
    write_file(path, bytes, size);
    assert_int_equal(count_files("uploads"), 1);
}

static void put_whole(const char *path, struct half *half)
{
    struct artifact artifact;
    struct error err = {0};
    int code;
    do {
        code = artifact_put_file(process.client, path, "pin:p", note_first, half, &artifact, &err);
    } while (is_lost(code));
    if (code != 0)
        fail_msg("%s", err.text);
    assert_int_equal(count_files("uploads"), 0);
}

static void a_half_put_goes_on_after_a_kill(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = content_make(0, 0, &size);
    struct half half = {0};
    struct listing listing = {0};
    char path[96];
    storage_process_open(&process, "");
    snprintf(path, sizeof path, "%s/file", process.folder);
    put_half(path, bytes, size);
    restart();
    list_all(&listing);
    assert_int_equal(listing.count, 0);
    put_whole(path, &half);
    assert_true(half.first_done >= size / 2); /* the rest alone was sent */
    check((const int[WRITERS]){0});
    free(bytes);
    storage_process_close(&process);
}

static void a_half_put_that_nobody_goes_on_with_is_removed(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = content_make(1, 0, &size);
    struct half half = {0};
    char path[96];
    char command[160];
    storage_process_open(&process, "");
    snprintf(path, sizeof path, "%s/file", process.folder);
    put_half(path, bytes, size);
    /* A day and an hour later. */
    snprintf(command, sizeof command, "touch -d '%d seconds ago' %s/storage/uploads/*",
             UPLOAD_AGE_S, process.folder);
    assert_int_equal(system(command), 0);
    restart();
    struct listing listing = {0};
    list_all(&listing);
    assert_int_equal(count_files("uploads"), 0);
    put_whole(path, &half);
    assert_true(half.first_done < size / 2); /* from the start */
    free(bytes);
    storage_process_close(&process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost),
        cmocka_unit_test(a_half_put_goes_on_after_a_kill),
        cmocka_unit_test(a_half_put_that_nobody_goes_on_with_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
