/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_status: what a supervisor writes on its page is what a node tells of itself. */
#include "tests/test.h"

#include <string.h>
#include <unistd.h>

#include "supervisor/link/node_status.h"

struct fixture {
    struct status_page *page;
    struct status_reader *reader;
    struct arena arena;
};

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(status_page_create(&fixture.page, NULL), 0);
    struct status_process *rows = status_page_begin(fixture.page, 2);
    strcpy(rows[0].name, "engine");
    rows[0].state = LIFECYCLE_READY;
    rows[0].memory_node = STATUS_UNKNOWN;
    strcpy(rows[1].name, "gpu/0");
    strcpy(rows[1].group, "gpu");
    rows[1].state = LIFECYCLE_READY;
    rows[1].pid = getpid();
    rows[1].started_ns = NS_PER_S;
    strcpy(rows[1].cpus, "4-7");
    strcpy(rows[1].gpu, "GPU-1");
    rows[1].pins_refused = 2;
    rows[1].is_retired = true;
    rows[1].is_crash_looping = true;
    rows[1].memory_limit_bytes = 1 << 30;
    rows[1].restarts[DEATH_KIND_HANG] = 3;
    status_page_end(fixture.page, STATUS_PHASE_RUNNING);
    assert_int_equal(status_reader_open(dup(status_page_fd(fixture.page)), &fixture.reader, NULL),
                     0);
    arena_init(&fixture.arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    status_reader_close(fixture.reader);
    status_page_destroy(fixture.page);
    arena_fini(&fixture.arena);
    return 0;
}

static void set_gpus(const struct status_gpu *gpus, size_t count)
{
    status_page_begin(fixture.page, 2);
    status_page_set_gpus(fixture.page, gpus, count);
    status_page_end(fixture.page, STATUS_PHASE_RUNNING);
}

static Api__NodeStatus *make(void)
{
    Api__NodeStatus *message;
    struct node_status_view view = {.node = "n", .http = "1.2.3.4:5", .now_ns = 11 * NS_PER_S};
    assert_int_equal(status_read(fixture.reader, &view.status, NULL), 0);
    assert_int_equal(node_status_make(&view, &fixture.arena, &message, NULL), 0);
    return message;
}

static void rows_are_told(void **state)
{
    (void)state;
    const Api__NodeStatus *message = make();
    assert_string_equal(message->node, "n");
    assert_string_equal(message->http, "1.2.3.4:5");
    assert_string_equal(message->phase, "running");
    assert_int_equal(message->n_processes, 2);
    const Api__NodeProcess *engine = message->processes[0], *worker = message->processes[1];
    assert_string_equal(engine->name, "engine");
    assert_null(engine->cpus);
    assert_null(engine->gpu);
    assert_false(engine->has_memory_node);
    assert_false(engine->has_pins_refused);
    assert_false(engine->has_memory_limit_bytes);
    assert_false(engine->has_memory_bytes); /* no process */
    assert_false(engine->has_retired);
    assert_true(worker->retired);
    assert_string_equal(worker->state, "ready");
    assert_int_equal(worker->uptime_us, 10 * US_PER_S);
    assert_int_equal(worker->restarts, 3);
    assert_string_equal(worker->cpus, "4-7");
    assert_true(worker->has_memory_node);
    assert_int_equal(worker->memory_node, 0);
    assert_string_equal(worker->gpu, "GPU-1");
    assert_int_equal(worker->pins_refused, 2);
    assert_true(worker->crash_looping);
    assert_int_equal(worker->memory_limit_bytes, 1 << 30);
    assert_true(worker->memory_bytes > 0);
}

static void gpus_have_the_figures_that_are_known(void **state)
{
    (void)state;
    struct status_gpu gpus[] = {
        {.uuid = "GPU-1",
         .health = GPU_STATE_BAD,
         .reason = "xid 79",
         .seen_ns = 10 * NS_PER_S,
         .utilization_percent = 93,
         .temperature_celsius = STATUS_UNKNOWN,
         .memory_used_bytes = 0,
         .last_xid = 79},
        {.uuid = "GPU-2", .health = GPU_STATE_UNWATCHED},
    };
    assert_int_equal(make()->n_gpus, 0);
    set_gpus(gpus, 2);
    const Api__NodeStatus *message = make();
    assert_int_equal(message->n_gpus, 2);
    const Api__NodeGpu *bad = message->gpus[0], *unwatched = message->gpus[1];
    assert_string_equal(bad->health, "bad");
    assert_string_equal(bad->reason, "xid 79");
    assert_int_equal(bad->utilization_percent, 93);
    assert_false(bad->has_temperature_celsius);
    assert_true(bad->has_memory_used_bytes);
    assert_int_equal(bad->last_xid, 79);
    assert_int_equal(bad->age_us, US_PER_S);
    assert_string_equal(unwatched->health, "unwatched");
    assert_false(unwatched->has_utilization_percent);
    assert_false(unwatched->has_age_us);
    set_gpus(NULL, 0);
    assert_int_equal(make()->n_gpus, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_told),
        TEST(gpus_have_the_figures_that_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
