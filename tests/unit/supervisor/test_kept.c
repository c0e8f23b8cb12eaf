/* SPDX-License-Identifier: Apache-2.0 */
/* test_kept: what is written is read again, nothing is no file, a cut-off line is no wish. */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/kept.h"

static char folder[] = "/tmp/argosy-kept.XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/kept", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* nothing else is left there */
}

static void write_names(const char *text)
{
    struct buffer names = {0};
    struct error err = {0};
    buffer_append_text(&names, text);
    assert_int_equal(kept_write(folder, &names, &err), 0);
    buffer_fini(&names);
}

static void expect(const char *name, bool is_there)
{
    struct buffer names;
    struct error err = {0};
    assert_int_equal(kept_read(folder, &names, &err), 0);
    assert_int_equal(kept_has_drain(&names, name), is_there);
    buffer_fini(&names);
}

static void names_are_kept_and_replaced(void **state)
{
    (void)state;
    expect("cpu/0", false);
    write_names("drain cpu/0\ndrain gpu/1\n");
    expect("cpu/0", true);
    expect("gpu/1", true);
    expect("gpu", false);
    expect("cpu/01", false);
    expect("", false);
    write_names("drain gpu/1\n");
    expect("cpu/0", false);
    expect("gpu/1", true);
    write_names("");
    assert_int_equal(access(path, F_OK), -1);
    write_names("");
    expect("gpu/1", false);
}

static void expect_scale(const char *text, const char *group, int processes)
{
    struct buffer kept = {0};
    buffer_append_text(&kept, text);
    assert_int_equal(kept_scale(&kept, group), processes);
    buffer_fini(&kept);
}

static void scales_are_read(void **state)
{
    (void)state;
    struct buffer kept = {0};
    kept_add_scale(&kept, "cpu", 12);
    kept_add_drain(&kept, "cpu/10");
    kept_add_drain(&kept, "cpu/1");
    kept_add_scale(&kept, "gpu", 0);
    assert_int_equal(kept_scale(&kept, "cpu"), 12);
    assert_int_equal(kept_scale(&kept, "gpu"), 0);
    assert_int_equal(kept_scale(&kept, "cp"), -1);
    /* behind one whose name begins the same */
    assert_true(kept_has_drain(&kept, "cpu/1"));
    buffer_fini(&kept);
}

static void no_number_is_no_scale(void **state)
{
    (void)state;
    expect_scale("", "cpu", -1);
    expect_scale("scale cpu \n", "cpu", -1);
    expect_scale("scale cpu x\n", "cpu", -1);
    expect_scale("scale cpu 4x\n", "cpu", -1);
    expect_scale("scale cpu -4\n", "cpu", -1);
    expect_scale("scale cpu 1025\n", "cpu", -1);
    expect_scale("scale cpu 99999999999999999999\n", "cpu", -1);
    expect_scale("scale cpu 4", "cpu", -1);
    expect_scale("scale cpu 1024\n", "cpu", 1024);
}

static void cut_line_names_nobody(void **state)
{
    (void)state;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("drain cpu/0\ndrain cpu/1", file);
    fclose(file);
    expect("cpu/0", true);
    expect("cpu/1", false);
}

static void what_is_there_is_not_written_again(void **state)
{
    (void)state;
    struct stat before, after;
    write_names("drain cpu/0\n");
    assert_int_equal(stat(path, &before), 0);
    write_names("drain cpu/0\n");
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino); /* else it was replaced */
    write_names("drain cpu/1\n");
    expect("cpu/1", true);
    /* nothing is wanted, and nothing can be written */
    struct buffer nothing = {0};
    assert_int_equal(kept_write("/nowhere", &nothing, NULL), 0);
}

static void failures_are_told(void **state)
{
    (void)state;
    struct buffer names = {0};
    struct error err = {0};
    kept_add_drain(&names, "cpu/0");
    assert_int_equal(kept_write("/nowhere", &names, &err), ERR_IO);
    assert_non_null(strstr(err.text, "cannot write /nowhere/kept"));
    buffer_fini(&names);
    assert_int_equal(kept_read("/dev/null", &names, &err), ERR_IO);
    buffer_fini(&names);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_kept_and_replaced),
        TEST(scales_are_read),
        TEST(no_number_is_no_scale),
        TEST(cut_line_names_nobody),
        TEST(what_is_there_is_not_written_again),
        TEST(failures_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
