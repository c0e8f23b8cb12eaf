/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of the dead: whole, for its owner alone, and not for ever. */
#include "tests/test.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/log/crash_folder.h"

#define CORED (SIGSEGV | 0x80) /* a status: dumped core */

static char data_dir[] = "/tmp/argosy-crash-XXXXXX";
static struct crash_folder folder;
static struct buffer lines;
static const struct fleet_supervisor kept = {.log_keep_mb = 1, .core_keep_mb = 1};

static int set_up(void **state)
{
    (void)state;
    struct error err = {0};
    strcpy(data_dir + strlen(data_dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(data_dir));
    assert_int_equal(crash_folder_open(&folder, data_dir, &kept, &err), 0);
    strcpy(folder.core_pattern, "core.%p");
    buffer_append_text(&lines, "first line\nlast line\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    if (folder.writing_fds[0] >= 0)
        crash_folder_close(&folder, 20000);
    buffer_fini(&lines);
    snprintf(command, sizeof command, "rm -rf %s", data_dir);
    return system(command);
}

static struct crash crash_of(pid_t pid, int status)
{
    return (struct crash){.node = "node-7",
                          .name = "cpu/0",
                          .program = "argosy-worker-cpu",
                          .instance_id = "an-instance",
                          .reason = "signal 11 (segmentation fault)",
                          .pid = pid,
                          .status = status,
                          .death_count = 3,
                          .life_ns = 61234567890,
                          .died_utc_us = 1769903999123456 + pid, /* 2026-01-31T23:59:59 */
                          .last_lines = &lines};
}

static void keep(pid_t pid, int status)
{
    struct error err = {0};
    char path[PATH_MAX];
    struct crash crash = crash_of(pid, status);
    assert_int_equal(crash_folder_keep(&folder, &crash, path, &err), 0);
}

static const char *content(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static size_t count_files(const char *suffix)
{
    size_t count = 0;
    DIR *files = opendir(folder.path);
    const struct dirent *file;
    while ((file = readdir(files)) != NULL) {
        size_t length = strlen(file->d_name);
        count +=
            length > strlen(suffix) && strcmp(file->d_name + length - strlen(suffix), suffix) == 0;
    }
    closedir(files);
    return count;
}

static bool is_there(const char *name)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder.path, name);
    return access(path, F_OK) == 0;
}

static void a_death_is_written_by_a_child(void **state)
{
    (void)state;
    struct error err = {0};
    char path[PATH_MAX];
    struct crash crash = crash_of(4711, SIGSEGV);
    assert_int_equal(crash_folder_keep(&folder, &crash, path, &err), 0);
    int status = -1;
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    assert_non_null(strstr(path, "/crashes/20260131T235959.128167Z-cpu-0-4711.txt"));
    assert_string_equal(content(path), "died      2026-01-31T23:59:59.128167Z\n"
                                       "node      node-7\n"
                                       "process   cpu/0\n"
                                       "program   argosy-worker-cpu\n"
                                       "pid       4711\n"
                                       "instance  an-instance\n"
                                       "reason    signal 11 (segmentation fault)\n"
                                       "lived     61.234 s\n"
                                       "deaths    3\n"
                                       "core      none\n"
                                       "\n"
                                       "last lines\n"
                                       "first line\n"
                                       "last line\n");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(folder.path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

static void the_end_waits_for_writers(void **state)
{
    (void)state;
    for (pid_t pid = 1; pid <= 20; pid++)
        keep(pid, SIGKILL);
    crash_folder_close(&folder, 20000);
    assert_int_equal(count_files(".txt"), 20);
    assert_int_equal(count_files(".new"), 0);
}

static void the_folder_is_bounded_by_count(void **state)
{
    (void)state;
    struct error err = {0};
    for (pid_t pid = 1; pid <= CRASH_COUNT_MAX + 10; pid++) {
        char path[2 * PATH_MAX];
        struct crash crash = crash_of(pid, SIGKILL);
        snprintf(path, sizeof path, "%s/%06d.txt", folder.path, (int)pid);
        assert_int_equal(crash_folder_write(&folder, &crash, path, &err), 0);
    }
    assert_int_equal(count_files(".txt"), CRASH_COUNT_MAX);
    assert_false(is_there("000010.txt"));
    assert_true(is_there("000011.txt"));
}

static void the_folder_is_bounded_by_size(void **state)
{
    (void)state;
    struct error err = {0};
    static char line[32768];
    memset(line, 'x', sizeof line);
    buffer_append(&lines, line, sizeof line);
    for (pid_t pid = 1; pid <= 100; pid++) {
        char path[2 * PATH_MAX];
        struct crash crash = crash_of(pid, SIGKILL);
        snprintf(path, sizeof path, "%s/%06d.txt", folder.path, (int)pid);
        assert_int_equal(crash_folder_write(&folder, &crash, path, &err), 0);
    }
    /* each takes 33 kB, rounded up to blocks of the disk */
    assert_in_range(count_files(".txt"), 20, 1048576 / 32768);
    assert_true(is_there("000100.txt"));
    assert_false(is_there("000001.txt"));
}

/* What the kernel would have left: an ELF file of type core. */
static void leave_core(const char *place, const char *name, size_t size)
{
    char path[2 * PATH_MAX];
    char bytes[4096] = ELFMAG;
    uint16_t type = ET_CORE;
    memcpy(bytes + EI_NIDENT, &type, sizeof type);
    snprintf(path, sizeof path, "%s/%s", place, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t written = 0; written < size; written += sizeof bytes)
        assert_int_equal(fwrite(bytes, sizeof bytes, 1, file), 1);
    fclose(file);
}

static void a_core_dump_is_kept_beside(void **state)
{
    (void)state;
    struct error err = {0};
    char place[PATH_MAX];
    char path[2 * PATH_MAX];
    struct crash crash = crash_of(5, CORED);
    assert_int_equal(crash_folder_core_place(&folder, "cpu/0", place, &err), 0);
    leave_core(place, "core.5", 8192);
    snprintf(path, sizeof path, "%s/own.txt", place);
    close(open(path, O_WRONLY | O_CREAT, 0600)); /* its own, and no core dump */
    snprintf(path, sizeof path, "%s/000005.txt", folder.path);
    assert_int_equal(crash_folder_write(&folder, &crash, path, &err), 0);
    assert_true(is_there("000005.core"));
    assert_true(is_there("cores/cpu-0/own.txt"));
    assert_non_null(strstr(content(path), "core      beside this file (.core)\n"));
    assert_true(crash_folder_core_limit(&folder) == 1048576);
}

static void core_dumps_are_bounded(void **state)
{
    (void)state;
    struct error err = {0};
    char place[PATH_MAX];
    char path[2 * PATH_MAX];
    for (pid_t pid = 1; pid <= 5; pid++) {
        struct crash crash = crash_of(pid, CORED);
        assert_int_equal(crash_folder_core_place(&folder, "cpu/0", place, &err), 0);
        leave_core(place, "core", 400000);
        snprintf(path, sizeof path, "%s/%06d.txt", folder.path, (int)pid);
        assert_int_equal(crash_folder_write(&folder, &crash, path, &err), 0);
    }
    assert_int_equal(count_files(".core"), 2);
    assert_true(is_there("000005.core"));
    assert_int_equal(count_files(".txt"), 5);
}

static void a_core_dump_elsewhere_is_said(void **state)
{
    (void)state;
    struct error err = {0};
    char place[PATH_MAX];
    char path[2 * PATH_MAX];
    struct crash crash = crash_of(5, CORED);
    strcpy(folder.core_pattern, "|/usr/lib/systemd/systemd-coredump %P");
    assert_int_equal(crash_folder_core_place(&folder, "cpu/0", place, &err), 0);
    assert_string_equal(place, "");
    snprintf(path, sizeof path, "%s/000005.txt", folder.path);
    assert_int_equal(crash_folder_write(&folder, &crash, path, &err), 0);
    assert_non_null(strstr(content(path),
                           "core      went where /proc/sys/kernel/core_pattern says: "
                           "|/usr/lib/systemd/systemd-coredump %P\n"));
    /* without a bound there are none, wherever they would go */
    crash_folder_set(&folder, &(struct fleet_supervisor){.log_keep_mb = 1});
    assert_true(crash_folder_core_limit(&folder) == 1);
    strcpy(folder.core_pattern, "core");
    assert_int_equal(crash_folder_core_place(&folder, "cpu/0", place, &err), 0);
    assert_string_equal(place, "");
}

static void what_cannot_be_written_is_said(void **state)
{
    (void)state;
    struct error err = {0};
    char path[2 * PATH_MAX];
    struct crash crash = crash_of(5, SIGKILL);
    snprintf(path, sizeof path, "%s/nowhere/000005.txt", folder.path);
    assert_int_equal(crash_folder_write(&folder, &crash, path, &err), ERR_IO);
    assert_non_null(strstr(err.text, "cannot write"));
}

static void the_living_are_written_down(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(crash_folder_snap(&folder, &lines, &err), 0);
    crash_folder_close(&folder, 20000);
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/" CRASH_SNAPSHOT, data_dir);
    assert_string_equal(content(path), "first line\nlast line\n");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_death_is_written_by_a_child),  TEST(the_end_waits_for_writers),
        TEST(the_folder_is_bounded_by_count), TEST(the_folder_is_bounded_by_size),
        TEST(a_core_dump_is_kept_beside),     TEST(core_dumps_are_bounded),
        TEST(a_core_dump_elsewhere_is_said),  TEST(what_cannot_be_written_is_said),
        TEST(the_living_are_written_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
