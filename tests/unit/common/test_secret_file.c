/* SPDX-License-Identifier: Apache-2.0 */
/* secret_file: the table of owners and modes, and a real file. */
#include "common/secret_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

static void test_rule(void **state)
{
    (void)state;
    static const struct {
        uid_t owner;
        mode_t mode;
        uid_t user;
        bool closed;
    } cases[] = {
        {1000, 0100600, 1000, true}, {1000, 0400, 1000, true},  {1000, 0640, 1000, false},
        {1000, 0604, 1000, false},   {1000, 0700, 1000, false}, {0, 0600, 0, true},
        {0, 0640, 0, false},         {0, 0440, 1000, true},     {0, 0640, 1000, true},
        {0, 0444, 1000, false},      {0, 0660, 1000, false},    {1001, 0600, 1000, false},
        {1001, 0640, 1000, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(secret_file_is_closed(cases[i].owner, cases[i].mode, cases[i].user),
                         cases[i].closed);
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/argosy-test-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct error err;
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(secret_file_check(fd, path, &err), 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(secret_file_check(fd, path, &err), ERR_PERMISSION);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "mode 644"));
    unlink(path);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
