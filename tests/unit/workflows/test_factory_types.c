/* SPDX-License-Identifier: Apache-2.0 */
/* The factory's built-in entries name workflows that workers register, and name all of them. */
#include "tests/test.h"

#include <string.h>

#include "common/fleet_factory.h"
#include "sdk/registry.h"
#include "workflows/shipped.h"

struct fixture {
    struct arena arena;
    struct fleet_workflow *workflows;
    size_t count;
    struct argosy_registry *registry;
};

static int setup(void **state)
{
    static struct fixture fixture;
    static const struct shipped_context context;
    arena_init(&fixture.arena, 1024 * 1024);
    assert_int_equal(
        fleet_factory_read(NULL, &fixture.arena, &fixture.workflows, &fixture.count, NULL), 0);
    fixture.registry = argosy_registry_create();
    assert_non_null(fixture.registry);
    assert_int_equal(shipped_register(fixture.registry, &context, NULL), 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    argosy_registry_destroy(fixture->registry);
    arena_fini(&fixture->arena);
    return 0;
}

static void test_entries_are_registered(void **state)
{
    const struct fixture *fixture = *state;
    for (size_t i = 0; i < fixture->count; i++) {
        if (registry_find_workflow(fixture->registry, fixture->workflows[i].type) == NULL)
            fail_msg("no worker registers %s", fixture->workflows[i].type);
    }
}

static void test_registered_have_an_entry(void **state)
{
    const struct fixture *fixture = *state;
    const char *types[64];
    size_t count = registry_workflow_count(fixture->registry);
    assert_in_range(count, 1, 64);
    registry_workflow_types(fixture->registry, types);
    for (size_t i = 0; i < count; i++) {
        bool has_entry = false;
        for (size_t j = 0; j < fixture->count; j++)
            has_entry = has_entry || strcmp(fixture->workflows[j].type, types[i]) == 0;
        if (!has_entry)
            fail_msg("no entry starts %s", types[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_registered),
        cmocka_unit_test(test_registered_have_an_entry),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
