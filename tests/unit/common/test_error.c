/* SPDX-License-Identifier: Apache-2.0 */
/* test_error: codes, texts and the one-statement way to fail. */
#include "tests/test.h"

#include <errno.h>
#include <string.h>

#include "common/error.h"

static int fail_with(struct error *err)
{
    return error_set(err, ERR_INVALID, "line %d: unknown key \"%s\"", 7, "slotz");
}

static void sets_code_and_text(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(fail_with(&err), ERR_INVALID);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, "line 7: unknown key \"slotz\"");
}

static void accepts_no_error(void **state)
{
    (void)state;
    assert_int_equal(fail_with(NULL), ERR_INVALID);
    assert_int_equal(error_set_errno(NULL, ERR_IO, ENOENT, "x"), ERR_IO);
    assert_int_equal(error_prefix(NULL, "x"), ERR_INTERNAL);
}

static void appends_errno(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set_errno(&err, ERR_NOT_FOUND, ENOENT, "could not open \"a\""),
                     ERR_NOT_FOUND);
    assert_string_equal(err.text, "could not open \"a\": No such file or directory");
}

static void prefixes(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, ERR_CORRUPT, "bad header");
    assert_int_equal(error_prefix(&err, "model \"%s\"", "m"), ERR_CORRUPT);
    assert_string_equal(err.text, "model \"m\": bad header");
}

static void cuts_long_text_visibly(void **state)
{
    (void)state;
    char text[ERROR_TEXT_MAX + 100];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct error err = {0};
    error_set(&err, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
    assert_string_equal(err.text + ERROR_TEXT_MAX - 4, "...");
    error_prefix(&err, "again");
    assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
    error_set_errno(&err, ERR_IO, ENOENT, "%s", text);
    assert_string_equal(err.text + ERROR_TEXT_MAX - 4, "...");
}

static void codes_map_to_grpc_and_back(void **state)
{
    (void)state;
    assert_int_equal(error_grpc_status(0), 0);
    assert_int_equal(error_grpc_status(ERR_NOT_FOUND), 5);
    assert_int_equal(error_grpc_status(ERR_EXISTS), 6);
    assert_int_equal(error_grpc_status(-9999), 13);
    assert_int_equal(error_from_grpc_status(0), 0);
    assert_int_equal(error_from_grpc_status(6), ERR_EXISTS);
    assert_int_equal(error_from_grpc_status(14), ERR_UNAVAILABLE);
    assert_int_equal(error_from_grpc_status(2), ERR_FAILED);
    assert_int_equal(error_from_grpc_status(99), ERR_INTERNAL);
    assert_string_equal(error_name(ERR_TIMEOUT), "ERR_TIMEOUT");
    assert_int_equal(error_disposition(ERR_STORAGE), DISPOSITION_STOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_code_and_text),     cmocka_unit_test(accepts_no_error),
        cmocka_unit_test(appends_errno),          cmocka_unit_test(prefixes),
        cmocka_unit_test(cuts_long_text_visibly), cmocka_unit_test(codes_map_to_grpc_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
