/* SPDX-License-Identifier: Apache-2.0 */
/* failure: each error code there is, and whether what failed with it is tried again. */
#include "workflows/failure.h"

#include <stdbool.h>

#include "tests/test.h"

static const struct {
    int code;
    bool is_final;
} rule[] = {
    /* passes through: neither tried again nor a failure */
    {ERR_CANCELED, false},
    /* the task is at fault */
    {ERR_INVALID, true},
    {ERR_NOT_FOUND, true},
    {ERR_EXISTS, true},
    {ERR_STATE, true},
    {ERR_RANGE, true},
    {ERR_UNSUPPORTED, true},
    {ERR_PROTOCOL, true},
    {ERR_NONDETERMINISM, true},
    {ERR_FAILED, true},
    /* damaged now, damaged later */
    {ERR_CORRUPT, true},
    /* at another time */
    {ERR_TIMEOUT, false},
    {ERR_LIMIT, false}, /* a full disk, too */
    {ERR_ABORTED, false},
    {ERR_UNAVAILABLE, false},
    {ERR_IO, false},
    {ERR_CLOSED, false},
    /* on another worker */
    {ERR_INTERNAL, false},
    {ERR_MEMORY, false},
    {ERR_DEVICE, false},
    /* once an operator has mended it */
    {ERR_PERMISSION, false},
    {ERR_UNAUTHENTICATED, false},
    {ERR_STORAGE, false},
    {ERR_CONFIG, false},
};

#define RULES (sizeof rule / sizeof rule[0])

static void the_rule_has_each_code_once(void **state)
{
    (void)state;
    static const int codes[] = {
#define CODE(name, value, grpc, disposition, text) name,
        ERROR_CODES(CODE)
#undef CODE
    };
    assert_int_equal(RULES, sizeof codes / sizeof codes[0]);
    for (size_t i = 0; i < RULES; i++) {
        size_t found = 0;
        for (size_t k = 0; k < RULES; k++)
            found += rule[k].code == codes[i];
        if (found != 1)
            fail_msg("%s stands %zu times in the rule", error_name(codes[i]), found);
    }
}

static void what_may_work_later_is_left_to_the_policy(void **state)
{
    struct argosy_arena *arena = *state;
    for (size_t i = 0; i < RULES; i++) {
        struct error why;
        struct argosy_error err = {0};
        error_set(&why, rule[i].code, "line 3 is wrong");
        int code = failure_from(arena, "Kind", &why, &err);
        if (code != (rule[i].is_final ? ARGOSY_ERR_FAILED : rule[i].code) || code != err.code)
            fail_msg("%s became %s", error_name(rule[i].code), error_name(code));
        assert_int_equal(err.failure != NULL, rule[i].is_final);
        if (!rule[i].is_final) {
            assert_string_equal(err.text, "line 3 is wrong");
            continue;
        }
        assert_string_equal(argosy_failure_message(err.failure), "line 3 is wrong");
        assert_string_equal(argosy_failure_type(err.failure), "Kind");
        assert_true(argosy_failure_is_non_retryable(err.failure));
    }
}

static int setup(void **state)
{
    *state = argosy_arena_create();
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    argosy_arena_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_has_each_code_once),
        cmocka_unit_test_setup_teardown(what_may_work_later_is_left_to_the_policy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
