/* SPDX-License-Identifier: Apache-2.0 */
/* Archives as other programs read them. */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/tar_file.h"

static char folder[] = "/tmp/argosy-tar-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    snprintf(path, sizeof path, "%s/a.tar.gz", mkdtemp(folder));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* What the system's tar makes of it. */
static int shell(const char *command)
{
    char line[512];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    return system(line);
}

static void tar_reads_what_was_written(void **state)
{
    (void)state;
    struct tar_file *tar;
    struct error err = {0};
    char name[101];
    static char large[200000];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('a' + i % 23);
    memset(name, 'n', 100);
    name[100] = '\0';
    assert_int_equal(tar_file_create(path, "top", &tar, &err), 0);
    assert_int_equal(tar_file_add(tar, "empty", NULL, 0, &err), 0);
    assert_int_equal(tar_file_add(tar, "deep/one.txt", "one\n", 4, &err), 0);
    assert_int_equal(tar_file_add(tar, "block", large, 512, &err), 0);
    assert_int_equal(tar_file_add(tar, name, large, sizeof large, &err), 0);
    assert_int_equal(tar_file_finish(tar, &err), 0);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(shell("tar xzf a.tar.gz"), 0);
    assert_int_equal(shell("[ $(tar tzf a.tar.gz | wc -l) = 4 ] && [ -f top/empty ] && "
                           "[ ! -s top/empty ] && [ \"$(cat top/deep/one.txt)\" = one ]"),
                     0);
    assert_int_equal(shell("[ $(stat -c %s top/block) = 512 ] && "
                           "[ $(stat -c %s top/nnnnnnn*) = 200000 ]"),
                     0);
    char extracted[256];
    snprintf(extracted, sizeof extracted, "%s/top/%s", folder, name);
    FILE *file = fopen(extracted, "r");
    static char read_back[sizeof large];
    assert_int_equal(fread(read_back, 1, sizeof read_back, file), sizeof read_back);
    fclose(file);
    assert_memory_equal(read_back, large, sizeof large);
}

/* A file that shrinks while it is packed leaves the archive whole. */
static void a_file_is_copied(void **state)
{
    (void)state;
    struct tar_file *tar;
    struct error err = {0};
    char source[128];
    snprintf(source, sizeof source, "%s/source", folder);
    FILE *file = fopen(source, "w");
    fputs("0123456789", file);
    fclose(file);
    int fd = open(source, O_RDONLY);
    assert_int_equal(tar_file_create(path, "top", &tar, &err), 0);
    assert_int_equal(tar_file_add_fd(tar, "copy", fd, 100000, &err), 0);
    close(fd);
    assert_int_equal(tar_file_add(tar, "next", "next", 4, &err), 0);
    assert_int_equal(tar_file_finish(tar, &err), 0);
    assert_int_equal(shell("tar xzf a.tar.gz && [ \"$(head -c 10 top/copy)\" = 0123456789 ] && "
                           "[ $(stat -c %s top/copy) = 100000 ] && [ $(cat top/next) = next ]"),
                     0);
}

static void large_sizes_are_written(void **state)
{
    (void)state;
    /* the header alone: 9 GiB are more than octal digits hold */
    struct tar_file *tar;
    struct error err = {0};
    int fd = open("/", O_RDONLY | O_DIRECTORY); /* cannot be read: the header stays */
    assert_int_equal(tar_file_create(path, "top", &tar, &err), 0);
    assert_int_equal(tar_file_add_fd(tar, "large", fd, UINT64_C(9) << 30, &err), ERR_IO);
    close(fd);
    assert_int_equal(tar_file_finish(tar, &err), 0);
    assert_int_equal(shell("tar tvzf a.tar.gz 2>/dev/null | grep -q ' 9663676416 .* top/large$'"),
                     0);
}

static void names_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct tar_file *tar;
    struct error err = {0};
    char name[200];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(tar_file_create(path, name, &tar, &err), ERR_LIMIT);
    assert_int_equal(tar_file_create(path, "top", &tar, &err), 0);
    assert_int_equal(tar_file_add(tar, name, "", 0, &err), ERR_LIMIT);
    name[180] = '/';
    assert_int_equal(tar_file_add(tar, name, "", 0, &err), ERR_LIMIT);
    tar_file_discard(tar);
    assert_int_equal(access(path, F_OK), -1);
}

static void nothing_is_written_over(void **state)
{
    (void)state;
    struct tar_file *tar;
    struct error err = {0};
    assert_int_equal(shell("echo mine >a.tar.gz"), 0);
    assert_int_equal(tar_file_create(path, "top", &tar, &err), ERR_EXISTS);
    assert_int_equal(shell("[ $(cat a.tar.gz) = mine ]"), 0);
    tar_file_discard(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tar_reads_what_was_written), TEST(a_file_is_copied),
        TEST(large_sizes_are_written),    TEST(names_that_do_not_fit_are_refused),
        TEST(nothing_is_written_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
