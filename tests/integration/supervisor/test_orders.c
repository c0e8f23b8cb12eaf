/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_orders: what operators want of a running node: restart, scale, drain, reload. The real
 * supervisor over fake children.
 */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/exit_code.h"
#include "supervisor/link/link_message.h"
#include "tests/integration/supervisor/fake_fleet.h"

#define GROUPS_OF(cpu)                                                                             \
    "groups:\n"                                                                                    \
    "- {name: cpu, kind: cpu, processes: " cpu "}\n"                                               \
    "- {name: gpu, kind: gpu, processes: 1, device: cpu}\n"

/* Gives an order and returns the answer's code; its text into ret_text, which may be NULL. */
static int order(enum link_operation operation, const char *target, int count, bool keep,
                 char ret_text[512])
{
    char text[256], line[512];
    int code = 0;
    int length = 0;
    snprintf(text, sizeof text, "%d %s %d %d", (int)operation, target, count, keep ? 1 : 0);
    fake_fleet_order(text);
    fake_fleet_wait("link answer", line);
    assert_int_equal(sscanf(line, "link answer %*d %d %n", &code, &length), 1);
    if (ret_text != NULL)
        strcpy(ret_text, line + length);
    return code;
}

static void start(const char *config)
{
    fake_fleet_start(config);
    fake_fleet_wait("fleet ready", NULL);
}

static void end(void)
{
    kill(fake_fleet_pid, SIGTERM);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_OK);
}

static void group_grows_and_shrinks(void **state)
{
    (void)state;
    start(GROUPS_OF("1"));
    pid_t first = fake_fleet_wait("cpu/0 start", NULL);
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 3, false, NULL), 0);
    fake_fleet_wait("cpu/1 start", NULL);
    pid_t last = fake_fleet_wait("cpu/2 start", NULL);
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 2, false, NULL), 0);
    assert_int_equal(fake_fleet_wait("cpu/2 term", NULL), last);
    fake_fleet_wait_end(last);
    /* wanted again while it may still be on its way out */
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 0, false, NULL), 0);
    assert_int_equal(fake_fleet_wait("cpu/0 term", NULL), first);
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 3, false, NULL), 0);
    fake_fleet_wait("cpu/0 start", NULL);
    fake_fleet_wait("cpu/2 start", NULL);
    assert_false(fake_fleet_has("gpu/0 term"));
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", -1, false, NULL), 0);
    fake_fleet_wait("cpu/2 term", NULL);
    end();
}

static void scale_is_kept_when_asked(void **state)
{
    (void)state;
    start(GROUPS_OF("2"));
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 3, true, NULL), 0);
    assert_int_equal(order(LINK_OPERATION_SCALE, "gpu", 2, false, NULL), 0);
    fake_fleet_wait("gpu/1 start", NULL);
    end();
    fake_fleet_forget();
    start(GROUPS_OF("2"));
    fake_fleet_wait("cpu/2 start", NULL);
    assert_false(fake_fleet_has("gpu/1 start"));
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", -1, false, NULL), 0);
    fake_fleet_wait("cpu/2 term", NULL);
    end();
    fake_fleet_forget();
    start(GROUPS_OF("2"));
    assert_false(fake_fleet_has("cpu/2 start"));
    end();
}

static void orders_that_cannot_be_are_refused(void **state)
{
    (void)state;
    char text[512];
    start(GROUPS_OF("1"));
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpx", 1, false, text), ERR_NOT_FOUND);
    assert_string_equal(text, "no group \"cpx\" on this node");
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 1025, false, text), ERR_INVALID);
    assert_string_equal(text, "1025 processes: at most 1024 in a group");
    assert_int_equal(order(LINK_OPERATION_RESTART, "cpu/9", 0, false, text), ERR_NOT_FOUND);
    assert_int_equal(order(LINK_OPERATION_DRAIN, "engine", 0, false, text), ERR_NOT_FOUND);
    assert_int_equal(order((enum link_operation)99, "cpu", 0, false, text), ERR_INVALID);
    end();
}

static void group_is_restarted_one_after_the_other(void **state)
{
    (void)state;
    start(GROUPS_OF("3"));
    pid_t old[3];
    for (int i = 0; i < 3; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "cpu/%d start", i);
        old[i] = fake_fleet_wait(prefix, NULL);
    }
    assert_int_equal(order(LINK_OPERATION_RESTART, "cpu", 0, false, NULL), 0);
    for (int i = 0; i < 3; i++) {
        char prefix[32], next[32];
        snprintf(prefix, sizeof prefix, "cpu/%d term", i);
        assert_int_equal(fake_fleet_wait(prefix, NULL), old[i]);
        /* nobody else goes before this one is back */
        snprintf(prefix, sizeof prefix, "cpu/%d start", i);
        snprintf(next, sizeof next, "cpu/%d term", i + 1);
        assert_true(fake_fleet_comes_before(prefix, next));
        assert_int_not_equal(fake_fleet_wait(prefix, NULL), old[i]);
    }
    assert_false(fake_fleet_has("gpu/0 term"));
    end();
}

static void engine_is_restarted_by_name(void **state)
{
    (void)state;
    start(GROUPS_OF("1"));
    pid_t engine = fake_fleet_wait("engine start", NULL);
    assert_int_equal(order(LINK_OPERATION_RESTART, "engine", 0, false, NULL), 0);
    assert_int_equal(fake_fleet_wait("engine term", NULL), engine);
    assert_int_not_equal(fake_fleet_wait("engine start", NULL), engine);
    assert_false(fake_fleet_has("cpu/0 term"));
    end();
}

static void reload_takes_the_fewest_restarts(void **state)
{
    (void)state;
    char text[512];
    start("groups:\n"
          "- {name: one, kind: cpu, processes: 1, queues: [{name: q, slots: 4}]}\n"
          "- {name: two, kind: cpu, processes: 1, grace_ms: 5000}\n"
          "- {name: old, kind: cpu, processes: 1}\n"
          "- {name: env, kind: cpu, processes: 1}\n");
    pid_t env = fake_fleet_wait("env/0 start", NULL);
    fake_fleet_config("groups:\n"
                      "- {name: one, kind: cpu, processes: 2, queues: [{name: q, slots: 8}]}\n"
                      "- {name: two, kind: cpu, processes: 1, grace_ms: 6000}\n"
                      "- {name: new, kind: cpu, processes: 1}\n"
                      "- {name: env, kind: cpu, processes: 1,"
                      " environment: [{name: A, value: b}]}\n");
    assert_int_equal(order(LINK_OPERATION_RELOAD, "-", 0, false, text), 0);
    assert_non_null(strstr(text, "groups[one].queues[q].slots: 4 -> 8"));
    fake_fleet_wait("one/0 reload", NULL);
    fake_fleet_wait("one/1 start", NULL);
    fake_fleet_wait("old/0 term", NULL);
    fake_fleet_wait("new/0 start", NULL);
    assert_int_equal(fake_fleet_wait("env/0 term", NULL), env);
    fake_fleet_wait("env/0 start", NULL);
    assert_false(fake_fleet_has("one/0 term"));
    assert_false(fake_fleet_has("two/0 term"));
    assert_false(fake_fleet_has("engine term"));
    assert_false(fake_fleet_has("link term"));
    assert_int_equal(order(LINK_OPERATION_RELOAD, "-", 0, false, text), 0);
    assert_string_equal(text, "nothing changed");
    end();
}

static void hangup_reloads(void **state)
{
    (void)state;
    start(GROUPS_OF("1"));
    fake_fleet_config(GROUPS_OF("2"));
    kill(fake_fleet_pid, SIGHUP);
    fake_fleet_wait("cpu/1 start", NULL);
    end();
}

static void bad_configuration_changes_nothing(void **state)
{
    (void)state;
    char text[512];
    start(GROUPS_OF("1"));
    fake_fleet_config("groups:\n- {name: cpu, kind: cpu, proceses: 2}\n");
    assert_int_equal(order(LINK_OPERATION_RELOAD, "-", 0, false, text), ERR_CONFIG);
    assert_non_null(strstr(text, "fleet.yaml:2: groups[0].proceses: unknown key"));
    fake_fleet_config("node: other\n" GROUPS_OF("2"));
    assert_int_equal(order(LINK_OPERATION_RELOAD, "-", 0, false, text), ERR_STATE);
    assert_non_null(strstr(text, "node"));
    assert_false(fake_fleet_has("cpu/1 start"));
    end();
}

static bool effective_has(const char *text)
{
    static char content[65536];
    char path[256];
    fake_fleet_path(".argosy/fleet.effective.yaml", path, sizeof path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    return strstr(content, text) != NULL;
}

static void plan_that_is_too_large_leaves_the_old_one_in_force(void **state)
{
    (void)state;
    char text[512], config[1024] = GROUPS_OF("1");
    start(config);
    for (int i = 0; i < 5; i++)
        sprintf(config + strlen(config), "- {name: many%d, kind: cpu, processes: 1000}\n", i);
    fake_fleet_config(config);
    assert_int_equal(order(LINK_OPERATION_RELOAD, "-", 0, false, text), ERR_LIMIT);
    assert_non_null(strstr(text, "processes on one node: at most 4096"));
    assert_true(effective_has("name: cpu"));
    assert_false(effective_has("many0"));
    assert_false(fake_fleet_has("many0/0 start"));
    end();
}

static void reload_leaves_a_scale_alone(void **state)
{
    (void)state;
    start(GROUPS_OF("1"));
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 2, false, NULL), 0);
    fake_fleet_wait("cpu/1 start", NULL);
    fake_fleet_config(GROUPS_OF("4"));
    assert_int_equal(order(LINK_OPERATION_RELOAD, "-", 0, false, NULL), 0);
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", -1, false, NULL), 0);
    fake_fleet_wait("cpu/3 start", NULL);
    assert_false(fake_fleet_has("cpu/1 term"));
    end();
}

static void many_changes_leak_no_descriptor(void **state)
{
    (void)state;
    start(GROUPS_OF("1"));
    int before = fake_fleet_descriptors();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 3, false, NULL), 0);
        pid_t last = fake_fleet_wait("cpu/2 start", NULL);
        assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 1, false, NULL), 0);
        fake_fleet_wait_end(last);
        assert_int_equal(order(LINK_OPERATION_RELOAD, "-", 0, false, NULL), 0);
    }
    fake_fleet_wait_descriptors(before + 2);
    end();
}

static void supervisor_is_replaced_under_its_children(void **state)
{
    (void)state;
    char line[512], expected[64];
    start(GROUPS_OF("1"));
    pid_t engine = fake_fleet_wait("engine start", NULL);
    pid_t first = fake_fleet_wait("cpu/0 start", NULL);
    pid_t link = fake_fleet_wait("link start", NULL);
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", 2, false, NULL), 0);
    pid_t second = fake_fleet_wait("cpu/1 start", NULL);
    fake_fleet_wait("gpu/0 start", NULL);
    assert_int_equal(order(LINK_OPERATION_DRAIN, "gpu", 0, false, NULL), 0);
    fake_fleet_wait("gpu/0 term", NULL);
    int before = fake_fleet_descriptors();

    for (int round = 0; round < 3; round++) {
        assert_int_equal(order(LINK_OPERATION_UPGRADE, "-", 0, false, NULL), 0);
        pid_t next = fake_fleet_wait("link start", NULL);
        assert_int_not_equal(next, link);
        link = next;
    }
    assert_true(fake_fleet_has_output("event=supervisor.upgraded"));
    assert_int_equal(kill(engine, 0), 0);
    assert_int_equal(kill(first, 0), 0);
    assert_false(fake_fleet_has("engine term"));
    assert_false(fake_fleet_has("cpu/0 term"));
    fake_fleet_wait_descriptors(before);

    /* it has what it knew, and what happens to them is news to it */
    kill(second, SIGKILL);
    fake_fleet_wait("link death", line); /* gpu/0, if it had not been told */
    snprintf(expected, sizeof expected, " %d signal 9 (killed)", (int)second);
    while (strstr(line, expected) == NULL)
        fake_fleet_wait("link death", line);
    fake_fleet_wait("cpu/1 start", NULL);
    assert_int_equal(order(LINK_OPERATION_SCALE, "cpu", -1, false, NULL), 0);
    fake_fleet_wait("cpu/1 term", NULL);
    assert_false(fake_fleet_has("gpu/0 start"));
    assert_int_equal(order(LINK_OPERATION_UNDRAIN, "gpu", 0, false, NULL), 0);
    fake_fleet_wait("gpu/0 start", NULL);
    assert_int_equal(order(LINK_OPERATION_RELOAD, "-", 0, false, line), 0);
    assert_string_equal(line, "nothing changed");
    end();
    assert_int_equal(kill(engine, 0), -1);
}

static void nobody_outlives_a_replaced_supervisor(void **state)
{
    (void)state;
    start(GROUPS_OF("1"));
    pid_t pids[] = {fake_fleet_wait("engine start", NULL), fake_fleet_wait("cpu/0 start", NULL),
                    fake_fleet_wait("gpu/0 start", NULL)};
    fake_fleet_wait("link start", NULL);
    assert_int_equal(order(LINK_OPERATION_UPGRADE, "-", 0, false, NULL), 0);
    fake_fleet_wait("link start", NULL); /* the second one */
    kill(fake_fleet_pid, SIGKILL);
    for (size_t i = 0; i < sizeof pids / sizeof pids[0]; i++)
        fake_fleet_wait_end(pids[i]);
}

#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, fake_fleet_set_up, fake_fleet_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(group_grows_and_shrinks),
        TEST(scale_is_kept_when_asked),
        TEST(orders_that_cannot_be_are_refused),
        TEST(group_is_restarted_one_after_the_other),
        TEST(engine_is_restarted_by_name),
        TEST(reload_takes_the_fewest_restarts),
        TEST(hangup_reloads),
        TEST(bad_configuration_changes_nothing),
        TEST(plan_that_is_too_large_leaves_the_old_one_in_force),
        TEST(reload_leaves_a_scale_alone),
        TEST(many_changes_leak_no_descriptor),
        TEST(supervisor_is_replaced_under_its_children),
        TEST(nobody_outlives_a_replaced_supervisor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
