/* SPDX-License-Identifier: Apache-2.0 */
/* test_nearest: which name a misspelt one was probably meant to be. */
#include "tests/test.h"

#include <string.h>

#include "common/nearest.h"

static const char *const names[] = {
    "processes", "processes_per_gpu", "grace_ms", "memory_mb", "kind", "queues"};

static void expect(const char *name, const char *nearest)
{
    const char *found = nearest_name(name, names, sizeof names / sizeof names[0]);
    if (nearest == NULL)
        assert_null(found);
    else if (found == NULL || strcmp(found, nearest) != 0)
        fail_msg("%s: %s, not %s", name, found != NULL ? found : "none", nearest);
}

static void slips_of_the_keys(void **state)
{
    (void)state;
    expect("proceses", "processes");
    expect("knid", "kind");
    expect("kind", "kind");
    expect("queue", "queues");
    expect("memory_gb", "memory_mb");
    expect("kxxd", NULL);
    expect("zzzzzz", NULL);
    expect("", NULL);
    char endless[200];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    expect(endless, NULL);
}

static void beginnings(void **state)
{
    (void)state;
    expect("grace", "grace_ms");
    expect("mem", "memory_mb");
    expect("me", NULL);   /* too short to say */
    expect("proc", NULL); /* two begin so */
    expect("graceful", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_of_the_keys),
        cmocka_unit_test(beginnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
