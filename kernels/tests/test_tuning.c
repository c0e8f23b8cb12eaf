/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of measured choices (cuda/tuning.h): what is written is read back, by other processes
 * and threads too; what is not a tuning file is refused with words and left as it is.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/cuda/tuning.h"

/* One line written by hand; its sum is FNV-1a of the rest, by another implementation. */
#define HAND_WORDS                                                                                 \
    "0000000000000005"                                                                             \
    "00000000000000ff"                                                                             \
    "0000000000000000"                                                                             \
    "fedcba9876543210"                                                                             \
    "0000000000000000"                                                                             \
    "0000000000000000"                                                                             \
    "0000000000000000"                                                                             \
    "0000000000000001"
#define HAND_REST "fp16 1152 384 1 13000 130002 " HAND_WORDS " NVIDIA H200"
#define HAND_SUM  "e4d43300626ad96e"

static char folder[] = "/tmp/kernels_tuning_XXXXXX";
static char path[64], path_new[72];

static struct tuning_key key_of(uint32_t out, const char *device)
{
    struct tuning_key key = {.driver = 13000,
                             .library = 130002,
                             .precision = DEVICE_BF16,
                             .out_width = out,
                             .in_width = 384,
                             .has_bias = true};

    snprintf(key.device, sizeof(key.device), "%s", device);
    return key;
}

static void file_write(const char *text, size_t size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void assert_refused(int status, const char *words)
{
    struct tuning *tuning = NULL;
    char message[256] = "";

    assert_int_equal(tuning_open(path, &tuning, message, sizeof(message)), status);
    assert_null(tuning);
    if (!strstr(message, path) || !strstr(message, words))
        fail_msg("\"%s\" does not say \"%s\" of \"%s\"", message, words, path);
}

static struct tuning *opened(void)
{
    struct tuning *tuning;
    char message[256] = "";

    if (tuning_open(path, &tuning, message, sizeof(message)) < 0)
        fail_msg("%s", message);
    return tuning;
}

static void put_locked(struct tuning *tuning, const struct tuning_key *key,
                       const struct tuning_choice *choice)
{
    char message[256] = "";

    if (tuning_lock(tuning, message, sizeof(message)) < 0)
        fail_msg("%s", message);
    tuning_put(tuning_table(tuning), key, choice);
    if (tuning_save(tuning, message, sizeof(message)) < 0)
        fail_msg("%s", message);
    tuning_unlock(tuning);
}

static int each_before(void **state)
{
    (void)state;
    unlink(path);
    rmdir(path);
    rmdir(path_new);
    return 0;
}

/* The format of version 1 stays readable. */
static void test_hand_written(void **state)
{
    static const char text[] = "argosy-tuning 1\n" HAND_SUM " " HAND_REST "\n";
    struct tuning_key key = key_of(1152, "NVIDIA H200");

    (void)state;
    key.precision = DEVICE_FP16;
    file_write(text, sizeof(text) - 1);
    struct tuning *tuning = opened();
    const struct tuning_choice *choice = tuning_find(tuning_table(tuning), &key);
    assert_non_null(choice);
    assert_false(choice->is_own);
    assert_true(choice->algorithm[0] == 5 && choice->algorithm[1] == 255 &&
                choice->algorithm[3] == 0xfedcba9876543210u && choice->algorithm[7] == 1);
    /* Every part of the key counts. */
    struct tuning_key others[8];
    for (size_t i = 0; i < 8; i++)
        others[i] = key;
    others[0].out_width = 384;
    others[1].in_width = 1152;
    others[2].has_bias = false;
    others[3].driver++;
    others[4].library++;
    others[5].precision = DEVICE_BF16;
    strcpy(others[6].device, "NVIDIA H20");
    strcpy(others[7].device, "NVIDIA H200 MIG 1g.18gb");
    for (size_t i = 0; i < 8; i++)
        assert_null(tuning_find(tuning_table(tuning), &others[i]));
    /* And it is written as it was. */
    static char to[TUNING_FILE_BYTES_MAX];
    assert_int_equal(tuning_format(tuning_table(tuning), to), sizeof(text) - 1);
    assert_memory_equal(to, text, sizeof(text) - 1);
    tuning_close(tuning);
}

/* A file of each kind of damage: every byte changed, every end cut off. */
static void test_damaged(void **state)
{
    static const char text[] = "argosy-tuning 1\n" HAND_SUM " " HAND_REST "\n";
    static struct tuning_table table;
    char damaged[sizeof(text)], message[128];
    size_t size = sizeof(text) - 1;

    (void)state;
    for (size_t i = 0; i < size; i++) {
        memcpy(damaged, text, sizeof(text));
        damaged[i] ^= 1;
        assert_int_equal(tuning_parse(damaged, size, &table, message, sizeof(message)),
                         KERNEL_BAD_ARGUMENT);
    }
    for (size_t cut = 0; cut < size; cut++) {
        int r = tuning_parse(text, cut, &table, message, sizeof(message));
        assert_int_equal(r, cut == strlen("argosy-tuning 1\n") ? KERNEL_OK : KERNEL_BAD_ARGUMENT);
    }
    file_write(text, size - 1);
    assert_refused(KERNEL_BAD_ARGUMENT, "line 2");
    file_write("", 0);
    assert_refused(KERNEL_BAD_ARGUMENT, "first line");
    file_write("argosy-tuning 2\n", 16);
    assert_refused(KERNEL_BAD_ARGUMENT, "argosy-tuning 1");
}

static void test_not_a_file(void **state)
{
    static char zeros[TUNING_FILE_BYTES_MAX + 1];
    struct tuning *tuning = NULL;
    char message[256] = "", longest[8192];

    (void)state;
    file_write(zeros, sizeof(zeros));
    assert_refused(KERNEL_BAD_ARGUMENT, "longer");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(KERNEL_BAD_ARGUMENT, "not a regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(KERNEL_BAD_ARGUMENT, "not a regular file");
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(tuning_open(longest, &tuning, message, sizeof(message)), KERNEL_BAD_ARGUMENT);
    assert_int_equal(tuning_open("", &tuning, message, sizeof(message)), KERNEL_BAD_ARGUMENT);
    assert_int_equal(tuning_open("/nowhere/at/all", &tuning, message, sizeof(message)),
                     KERNEL_SYSTEM);
    assert_null(tuning);
}

static void test_written(void **state)
{
    struct tuning_key key = key_of(1152, "a device, with spaces"), other = key_of(384, "another");
    struct tuning_choice own = {.is_own = true}, first = {.algorithm = {1, UINT64_MAX}};
    struct tuning *tuning = opened(), *second = opened();
    char message[256] = "";

    (void)state;
    put_locked(tuning, &key, &first);
    put_locked(second, &other, &own);
    put_locked(second, &key, &own);
    put_locked(tuning, &key, &first); /* replaces it */
    tuning_close(tuning);
    tuning_close(second);
    tuning = opened();
    assert_int_equal(tuning_table(tuning)->count, 2);
    assert_true(tuning_find(tuning_table(tuning), &other)->is_own);
    assert_memory_equal(tuning_find(tuning_table(tuning), &key), &first, sizeof(first));

    /* Where it cannot be written it stays as it was, and is not left locked. */
    assert_int_equal(mkdir(path_new, 0700), 0);
    assert_int_equal(tuning_lock(tuning, message, sizeof(message)), KERNEL_OK);
    tuning_put(tuning_table(tuning), &key, &own);
    assert_int_equal(tuning_save(tuning, message, sizeof(message)), KERNEL_SYSTEM);
    assert_non_null(strstr(message, path_new));
    tuning_unlock(tuning);
    assert_int_equal(rmdir(path_new), 0);
    assert_int_equal(tuning_lock(tuning, message, sizeof(message)), KERNEL_OK);
    assert_memory_equal(tuning_find(tuning_table(tuning), &key), &first, sizeof(first));
    tuning_unlock(tuning);
    tuning_close(tuning);
}

/* The oldest goes; the longest lines there are fit the file. */
static void test_full(void **state)
{
    struct tuning_choice choice = {.algorithm = {UINT64_MAX}};
    struct tuning *tuning = opened();
    char message[256] = "", name[128];

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(tuning_lock(tuning, message, sizeof(message)), KERNEL_OK);
    for (uint32_t i = 0; i <= TUNING_ENTRIES_MAX; i++) {
        struct tuning_key key = key_of(DEVICE_WIDTH_MAX - i, name);
        key.driver = key.library = UINT32_MAX;
        tuning_put(tuning_table(tuning), &key, &choice);
    }
    assert_int_equal(tuning_save(tuning, message, sizeof(message)), KERNEL_OK);
    tuning_unlock(tuning);
    tuning_close(tuning);
    tuning = opened();
    assert_int_equal(tuning_table(tuning)->count, TUNING_ENTRIES_MAX);
    struct tuning_key key = key_of(DEVICE_WIDTH_MAX, name);
    key.driver = key.library = UINT32_MAX;
    assert_null(tuning_find(tuning_table(tuning), &key));
    key.out_width = DEVICE_WIDTH_MAX - TUNING_ENTRIES_MAX;
    assert_non_null(tuning_find(tuning_table(tuning), &key));
    tuning_close(tuning);
}

/* Another process waits for the lock, and then sees what was found. */
static void test_processes(void **state)
{
    struct tuning_key key = key_of(1152, "shared");
    struct tuning_choice own = {.is_own = true};
    struct tuning *tuning = opened();
    char message[256] = "";
    int status;

    (void)state;
    assert_int_equal(tuning_lock(tuning, message, sizeof(message)), KERNEL_OK);
    pid_t child = fork();
    if (child == 0) {
        struct tuning *its_own;
        if (tuning_open(path, &its_own, message, sizeof(message)) < 0)
            _exit(1);
        _exit(tuning_find(tuning_table(its_own), &key) ? 0 : 2);
    }
    assert_true(child > 0);
    tuning_put(tuning_table(tuning), &key, &own);
    assert_int_equal(tuning_save(tuning, message, sizeof(message)), KERNEL_OK);
    tuning_unlock(tuning);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    tuning_close(tuning);
}

enum { THREADS = 4, EACH = 8 };

struct writer {
    struct tuning *tuning;
    uint32_t first;
    pthread_t thread;
};

static void *writer_run(void *argument)
{
    struct writer *writer = argument;
    struct tuning_choice own = {.is_own = true};

    for (uint32_t i = 0; i < EACH; i++) {
        struct tuning_key key = key_of(writer->first + i, "threads");
        put_locked(writer->tuning, &key, &own);
    }
    return NULL;
}

/* Nobody's choice is lost, whether threads share the open file or have their own. */
static void test_threads(void **state)
{
    struct tuning *shared = opened(), *alone = opened();
    struct writer writers[THREADS];

    (void)state;
    for (uint32_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.tuning = i ? shared : alone, .first = 1 + i * EACH};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    tuning_close(shared);
    tuning_close(alone);
    shared = opened();
    for (uint32_t i = 0; i < THREADS * EACH; i++) {
        struct tuning_key key = key_of(1 + i, "threads");
        assert_non_null(tuning_find(tuning_table(shared), &key));
    }
    tuning_close(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_hand_written, each_before),
        cmocka_unit_test_setup(test_damaged, each_before),
        cmocka_unit_test_setup(test_not_a_file, each_before),
        cmocka_unit_test_setup(test_written, each_before),
        cmocka_unit_test_setup(test_full, each_before),
        cmocka_unit_test_setup(test_processes, each_before),
        cmocka_unit_test_setup(test_threads, each_before),
    };
    char path_lock[72];

    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof(path), "%s/tuning", folder);
    snprintf(path_new, sizeof(path_new), "%s.new", path);
    snprintf(path_lock, sizeof(path_lock), "%s.lock", path);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(path_lock);
    rmdir(folder);
    return failed;
}
