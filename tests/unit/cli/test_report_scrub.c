/* SPDX-License-Identifier: Apache-2.0 */
/* What a bug report does not tell. */
#include "tests/test.h"

#include <string.h>

#include "cli/report_scrub.h"

static struct report_scrub scrub;

static int tear_down(void **state)
{
    (void)state;
    report_scrub_fini(&scrub);
    return 0;
}

static void check_text(const char *text, const char *expected)
{
    struct buffer out = {0};
    report_scrub_text(&scrub, text, strlen(text), &out);
    assert_string_equal(buffer_text(&out), expected);
    buffer_fini(&out);
}

static void check_lines(const char *text, bool with_output, const char *expected)
{
    struct buffer out = {0};
    report_scrub_lines(text, strlen(text), with_output, &out);
    assert_string_equal(buffer_text(&out), expected);
    buffer_fini(&out);
}

static void secrets_are_replaced_by_their_names(void **state)
{
    (void)state;
    check_text("nothing is known", "nothing is known");
    assert_true(report_scrub_learn(&scrub, "TOKEN", "s3cr3t-value"));
    assert_true(report_scrub_learn(&scrub, "LONGER", "s3cr3t-value-and-more"));
    assert_true(report_scrub_learn(&scrub, "SHORT", "12345"));
    check_text("s3cr3t-value", "${TOKEN}");
    check_text("a s3cr3t-values3cr3t-value, s3cr3t-valu and 12345",
               "a ${TOKEN}${TOKEN}, s3cr3t-valu and 12345");
    check_text("s3cr3t-value-and-more", "${LONGER}");
    check_text("", "");
}

/* A key of several lines stands in a log line by line, and a quote behind a backslash. */
static void secrets_are_found_as_logs_write_them(void **state)
{
    (void)state;
    assert_true(report_scrub_learn(&scrub, "KEY", "-----BEGIN-----\nabcdefgh\r\n-----END-----\n"));
    assert_true(report_scrub_learn(&scrub, "QUOTED", "pass\"word\\1"));
    check_text("x abcdefgh y", "x ${KEY} y");
    check_text("pass\"word\\1 \"pass\\\"word\\\\1\"", "${QUOTED} \"${QUOTED}\"");
}

static void an_environment_is_learned_but_for_what_is_plain(void **state)
{
    (void)state;
    static const char entries[] = "PATH=/usr/local/bin\0API_KEY=abcdef123\0BROKEN\0EMPTY=\0"
                                  "LC_TIME=en_GB.UTF-8\0ARGOSY_DATA_DIR=/srv/argosy\0DB=x=y=zzzz";
    assert_true(report_scrub_environment(&scrub, entries, sizeof entries));
    check_text("/usr/local/bin abcdef123 en_GB.UTF-8 /srv/argosy x=y=zzzz",
               "/usr/local/bin ${API_KEY} en_GB.UTF-8 /srv/argosy ${DB}");
}

static void a_config_loses_its_values(void **state)
{
    (void)state;
    struct fleet_variable variables[] = {{"TOKEN", "s3cr3t-value"}, {"FLAG", "1"}};
    struct fleet_group groups[] = {{.environment = variables, .environment_count = 2}};
    struct fleet_config config = {
        .groups = groups, .group_count = 1, .storage.vectors = "postgres://me@db.example/vectors"};
    assert_true(report_scrub_config(&scrub, &config));
    assert_string_equal(variables[0].value, "(removed)");
    assert_string_equal(variables[1].value, "(removed)");
    assert_string_equal(config.storage.vectors, "postgres://(removed)");
    check_text("s3cr3t-value 1", "${TOKEN} 1");
}

#define OWN  "ts=1 level=info process=worker-cpu event=worker.ready pid=7\n"
#define JSON "{\"ts\":\"1\",\"level\":\"info\",\"event\":\"worker.ready\"}\n"

static void lines_of_others_are_left_out(void **state)
{
    (void)state;
    check_lines("", false, "");
    check_lines("customer 17\n" OWN "customer 18\ncustomer 19\n" JSON "customer 20", false,
                "[1 line of others]\n" OWN "[2 lines of others]\n" JSON "[1 line of others]\n");
    check_lines("customer 17\n" OWN, true, "customer 17\n" OWN);
    check_lines("event=assertion.failed file=a.c line=1 condition=\"x\"\n", false,
                "event=assertion.failed file=a.c line=1 condition=\"x\"\n");
}

static void what_workflows_say_is_left_out(void **state)
{
    (void)state;
    check_lines("ts=1 level=info process=worker-cpu event=workflow.logged workflow_id=\"w\" "
                "text=\"customer 17\"\n",
                false,
                "ts=1 level=info process=worker-cpu event=workflow.logged workflow_id=\"w\" "
                "text=\"[12 bytes]\n");
    check_lines("{\"ts\":\"1\",\"event\":\"process.output\",\"text\":\"customer 17\"}\n", false,
                "{\"ts\":\"1\",\"event\":\"process.output\",\"text\":\"[13 bytes]\n");
}

static void a_status_tells_no_heartbeats(void **state)
{
    (void)state;
    json_t *status = json_loads("{\"nodes\":[{\"processes\":[{\"tasks\":[{\"type\":\"embed\","
                                "\"progress\":\"{\\\"customer\\\":17}\"}]}]}],\"progress\":1}",
                                0, NULL);
    json_t *expected =
        json_loads("{\"nodes\":[{\"processes\":[{\"tasks\":[{\"type\":\"embed\"}]}]}]}", 0, NULL);
    report_scrub_status(status);
    assert_true(json_equal(status, expected));
    json_decref(status);
    json_decref(expected);
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(secrets_are_replaced_by_their_names),
        TEST(secrets_are_found_as_logs_write_them),
        TEST(an_environment_is_learned_but_for_what_is_plain),
        TEST(a_config_loses_its_values),
        TEST(lines_of_others_are_left_out),
        TEST(what_workflows_say_is_left_out),
        TEST(a_status_tells_no_heartbeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
