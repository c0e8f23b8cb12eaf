/* SPDX-License-Identifier: Apache-2.0 */
/* Members of objects that people write: unknown ones are named, with what was meant. */
#include "workflows/json_members.h"

#include "tests/test.h"

static void a_member_that_nobody_knows_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"model", "texts"};
    static const struct {
        const char *json;
        const char *text; /* NULL: fine */
    } cases[] = {
        {"{}", NULL},
        {"[\"modle\"]", NULL},
        {"{\"texts\": null}", NULL},
        {"{\"texts\": 1, \"modle\": 2}", "unknown member \"modle\"; did you mean \"model\"?"},
        {"{\"\": 1}", "unknown member \"\""},
        {"{\"colour\": 1}", "unknown member \"colour\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        json_t *value = json_loads(cases[i].json, 0, NULL);
        assert_int_equal(json_members_check(value, names, 2, &err),
                         cases[i].text == NULL ? 0 : ERR_INVALID);
        assert_string_equal(err.text, cases[i].text == NULL ? "" : cases[i].text);
        json_decref(value);
    }
    assert_int_equal(json_members_check(NULL, names, 2, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_member_that_nobody_knows_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
