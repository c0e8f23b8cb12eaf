/* SPDX-License-Identifier: Apache-2.0 */
/* test_placement_cpus: sets of processors as text: ranges, and room that is too small. */
#include "tests/test.h"

#include <string.h>

#include "supervisor/placement/placement.h"

static cpu_set_t set_of(const int *cpus, size_t count)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t i = 0; i < count; i++)
        CPU_SET((size_t)cpus[i], &set);
    return set;
}

static void expect(const int *cpus, size_t count, size_t size, const char *text)
{
    char out[64];
    cpu_set_t set = set_of(cpus, count);
    memset(out, '#', sizeof out);
    assert_string_equal(placement_format_cpus(&set, out, size), text);
    assert_int_equal(out[size], '#');
}

static void neighbours_are_ranges(void **state)
{
    (void)state;
    static const int cpus[] = {0, 1, 2, 3, 8, 10, 11, 1023};
    expect(cpus, 0, 32, "");
    expect(cpus, 1, 32, "0");
    expect(cpus, 4, 32, "0-3");
    expect(cpus, 8, 32, "0-3,8,10-11,1023");
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    static const int cpus[] = {0, 1, 2, 3, 8, 10, 11, 1023};
    expect(cpus, 8, 10, "0-3,8...");
    expect(cpus, 8, 4, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_are_ranges),
        cmocka_unit_test(what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
