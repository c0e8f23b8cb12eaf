/* SPDX-License-Identifier: Apache-2.0 */
/* test_oom_counter: which SIGKILL was the kernel's. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/memory/oom_counter.h"

static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(path, "/tmp/argosy-oom-XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    return fd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void count(unsigned kills)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "low 0\noom 7\noom_kill %u\noom_group_kill 3\n", kills);
    fclose(file);
}

static void reads_the_kernels_files(void **state)
{
    (void)state;
    uint64_t value = 0;
    count(5);
    assert_true(oom_counter_read(path, &value));
    assert_int_equal(value, 5);
    FILE *file = fopen(path, "w"); /* memory.oom_control of version 1 */
    fputs("oom_kill_disable 0\nunder_oom 0\noom_kill 9\n", file);
    fclose(file);
    assert_true(oom_counter_read(path, &value));
    assert_int_equal(value, 9);
    file = fopen(path, "w");
    fputs("oom_kill_disable 0\n", file);
    fclose(file);
    assert_false(oom_counter_read(path, &value));
    assert_false(oom_counter_read("/nowhere", &value));
    assert_true(oom_counter_read("/proc/vmstat", &value));
}

static void each_kill_explains_one_death(void **state)
{
    (void)state;
    struct oom_counter counter;
    count(3); /* before our time */
    oom_counter_init_at(&counter, path, false);
    assert_int_equal(oom_counter_claim(&counter, NS_PER_S), OOM_NONE);
    count(5);
    assert_int_equal(oom_counter_claim(&counter, 2 * NS_PER_S), OOM_SURE);
    assert_int_equal(oom_counter_claim(&counter, 2 * NS_PER_S), OOM_SURE);
    assert_int_equal(oom_counter_claim(&counter, 2 * NS_PER_S), OOM_NONE);
}

/* A large process dies seconds after it was counted, and turns go by. */
static void a_kill_is_evidence_for_a_while(void **state)
{
    (void)state;
    struct oom_counter counter;
    count(0);
    oom_counter_init_at(&counter, path, false);
    count(1);
    uint64_t seen_ns = 100 * NS_PER_S;
    oom_counter_turn(&counter, seen_ns);
    oom_counter_turn(&counter, seen_ns + 2 * NS_PER_S);
    assert_int_equal(oom_counter_claim(&counter, seen_ns + OOM_WINDOW_NS), OOM_SURE);
    count(2);
    oom_counter_turn(&counter, seen_ns + 20 * NS_PER_S);
    oom_counter_turn(&counter, seen_ns + 20 * NS_PER_S + OOM_WINDOW_NS + 1);
    assert_int_equal(oom_counter_claim(&counter, seen_ns + 31 * NS_PER_S), OOM_NONE);
}

static void a_kill_somewhere_is_a_hint(void **state)
{
    (void)state;
    struct oom_counter counter;
    count(0);
    oom_counter_init_at(&counter, path, true);
    assert_int_equal(oom_counter_claim(&counter, NS_PER_S), OOM_NONE);
    count(1);
    assert_int_equal(oom_counter_claim(&counter, NS_PER_S), OOM_MAYBE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_the_kernels_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_kill_explains_one_death, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kill_is_evidence_for_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kill_somewhere_is_a_hint, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
