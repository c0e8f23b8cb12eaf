/* SPDX-License-Identifier: Apache-2.0 */
/* test_scale: the figures an autoscaler gets: by queue, by kind, of queues nobody knows. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/link/scale.h"

static Api__QueueStats rows[4];
static Api__QueueStats *row_list[4];
static Api__GetEngineStatsResponse engine;

static int set_up(void **state)
{
    (void)state;
    static const struct {
        const char *queue, *kind;
    } names[] = {{"q", "activity"}, {"q", "workflow"}, {"other", "activity"}, {"", "sticky"}};
    api__get_engine_stats_response__init(&engine);
    for (size_t i = 0; i < 4; i++) {
        api__queue_stats__init(&rows[i]);
        rows[i].queue = names[i].queue;
        rows[i].kind = names[i].kind;
        row_list[i] = &rows[i];
    }
    rows[0].backlog = 30;
    rows[0].backlog_age_us = 2500000;
    rows[0].in_flight = 12;
    rows[0].max_in_flight = 12;
    rows[0].paused = true;
    rows[0].slots = 16;
    rows[0].slots_used = 12;
    rows[0].pollers = 2;
    rows[0].added_rate = 1.5;
    rows[0].dispatched_rate = 0.5;
    rows[1].backlog = 1;
    rows[1].backlog_age_us = 3000000;
    rows[1].added_rate = 1;
    rows[2].backlog = 1000;
    engine.queues = row_list;
    engine.n_queues = 4;
    return 0;
}

static void expect(const char *queue, const char *kind, const char *text)
{
    struct buffer out = {0};
    assert_true(scale_print(&engine, queue, kind, &out));
    assert_string_equal(buffer_text(&out), text);
    buffer_fini(&out);
}

static void kinds_are_told_alone_and_together(void **state)
{
    (void)state;
    expect("q", "activity",
           "{\"queue\":\"q\",\"desired_work\":42,\"backlog\":30,\"in_flight\":12,"
           "\"backlog_age_seconds\":2.5,\"added_per_second\":1.5,\"dispatched_per_second\":0.5,"
           "\"max_in_flight\":12,\"paused\":true,\"pollers\":2,\"slots\":16,\"slots_used\":12}\n");
    expect("q", NULL,
           "{\"queue\":\"q\",\"desired_work\":43,\"backlog\":31,\"in_flight\":12,"
           "\"backlog_age_seconds\":3.0,\"added_per_second\":2.5,\"dispatched_per_second\":0.5,"
           "\"max_in_flight\":12,\"paused\":true,\"pollers\":2,\"slots\":16,\"slots_used\":12}\n");
}

/* Nobody polls it and nothing waits: an autoscaler keeps it at none. */
static void unknown_queue_has_no_work(void **state)
{
    (void)state;
    expect("new", NULL,
           "{\"queue\":\"new\",\"desired_work\":0,\"backlog\":0,\"in_flight\":0,"
           "\"backlog_age_seconds\":0.0,\"added_per_second\":0.0,\"dispatched_per_second\":0.0,"
           "\"max_in_flight\":0,\"paused\":false,\"pollers\":0,\"slots\":0,\"slots_used\":0}\n");
}

static void queue_that_was_left_out_is_no_zero(void **state)
{
    (void)state;
    struct buffer out = {0};
    engine.queues_left_out = 3;
    assert_false(scale_print(&engine, "new", NULL, &out));
    assert_int_equal(out.size, 0);
    assert_true(scale_print(&engine, "q", NULL, &out));
    buffer_fini(&out);
}

/* A name is data, not JSON. */
static void names_are_escaped(void **state)
{
    (void)state;
    struct buffer out = {0};
    assert_true(scale_print(&engine, "a\"b", NULL, &out));
    assert_non_null(strstr(buffer_text(&out), "\"a\\\"b\""));
    buffer_fini(&out);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kinds_are_told_alone_and_together),
        TEST(unknown_queue_has_no_work),
        TEST(queue_that_was_left_out_is_no_zero),
        TEST(names_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
