/* SPDX-License-Identifier: Apache-2.0 */
/* test_drain_list: what is written is read again, nothing is no file, a cut-off line names nobody.
 */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/drain_list.h"

static char folder[] = "/tmp/argosy-drain.XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/drained", folder);
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
    assert_int_equal(drain_list_write(folder, &names, &err), 0);
    buffer_fini(&names);
}

static void expect(const char *name, bool is_there)
{
    struct buffer names;
    struct error err = {0};
    assert_int_equal(drain_list_read(folder, &names, &err), 0);
    assert_int_equal(drain_list_has(&names, name), is_there);
    buffer_fini(&names);
}

static void names_are_kept_and_replaced(void **state)
{
    (void)state;
    expect("cpu/0", false);
    write_names("cpu/0\ngpu/1\n");
    expect("cpu/0", true);
    expect("gpu/1", true);
    expect("gpu", false);
    expect("cpu/01", false);
    expect("", false);
    write_names("gpu/1\n");
    expect("cpu/0", false);
    expect("gpu/1", true);
    write_names("");
    assert_int_equal(access(path, F_OK), -1);
    write_names("");
    expect("gpu/1", false);
}

static void cut_line_names_nobody(void **state)
{
    (void)state;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("cpu/0\ncpu/1", file);
    fclose(file);
    expect("cpu/0", true);
    expect("cpu/1", false);
}

static void failures_are_told(void **state)
{
    (void)state;
    struct buffer names = {0};
    struct error err = {0};
    assert_int_equal(drain_list_write("/nowhere", &names, &err), ERR_IO);
    buffer_append_text(&names, "cpu/0\n");
    assert_int_equal(drain_list_write("/nowhere", &names, &err), ERR_IO);
    assert_non_null(strstr(err.text, "cannot write /nowhere/drained"));
    buffer_fini(&names);
    assert_int_equal(drain_list_read("/dev/null", &names, &err), ERR_IO);
    buffer_fini(&names);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_kept_and_replaced),
        TEST(cut_line_names_nobody),
        TEST(failures_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
