/* SPDX-License-Identifier: Apache-2.0 */
/* test_probe: which probe says what of a node in which state. */
#include "tests/test.h"

#include <string.h>

#include "supervisor/link/probe.h"

#define NOW_NS (100 * NS_PER_S)

static struct status_process processes[4];
static struct status status;
static struct probe_view view;

/* A node that runs: engine, link, and a group of two workers. */
static int set_up(void **state)
{
    (void)state;
    static const char *const names[] = {"engine", "link", "cpu/0", "cpu/1"};
    memset(processes, 0, sizeof processes);
    for (size_t i = 0; i < 4; i++) {
        strcpy(processes[i].name, names[i]);
        strcpy(processes[i].group, i < 2 ? "" : "cpu");
        processes[i].pid = 10 + (int32_t)i;
        processes[i].state = LIFECYCLE_READY;
        processes[i].was_ready = true;
    }
    status = (struct status){.heartbeat_ns = NOW_NS - NS_PER_S,
                             .phase = STATUS_PHASE_RUNNING,
                             .process_count = 4,
                             .processes = processes};
    view = (struct probe_view){.status = &status, .now_ns = NOW_NS};
    return 0;
}

static void expect(bool (*probe)(const struct probe_view *view, struct buffer *out), bool is_well,
                   const char *text)
{
    struct buffer out = {0};
    assert_int_equal(probe(&view, &out), is_well);
    if (strstr(buffer_text(&out), text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, buffer_text(&out));
    buffer_fini(&out);
}

static void running_node_is_well(void **state)
{
    (void)state;
    expect(probe_live, true, "ok\n");
    expect(probe_started, true, "ok\n");
    expect(probe_ready, true, "ok\n");
}

static void stopped_loop_is_not_live(void **state)
{
    (void)state;
    status.heartbeat_ns = NOW_NS - STATUS_STALE_NS - NS_PER_S;
    expect(probe_live, false, "the supervisor's loop has not turned for 11 s");
    expect(probe_ready, false, "has not turned");
    status.heartbeat_ns = NOW_NS;
    view.is_torn = true;
    expect(probe_live, false, "while it wrote its status");
}

static void absent_engine_leaves_it_live(void **state)
{
    (void)state;
    view.engine_reason = "nobody answers";
    expect(probe_live, true, "ok");
    expect(probe_started, true, "ok");
    expect(probe_ready, false, "no session with the engine: nobody answers");
}

static void start_takes_until_each_was_ready(void **state)
{
    (void)state;
    status.phase = STATUS_PHASE_STARTING;
    processes[3].was_ready = false;
    processes[3].state = LIFECYCLE_STARTING;
    expect(probe_started, false, "cpu/1 is starting");
    expect(probe_ready, true, "ok"); /* the group has another */
    processes[3].is_drained = true;
    expect(probe_started, true, "ok");
}

/* What a reload brings is not the node's start, and what it takes away is not missed. */
static void reload_is_no_start(void **state)
{
    (void)state;
    processes[3].was_ready = false;
    processes[3].state = LIFECYCLE_STARTING;
    strcpy(processes[3].group, "new");
    expect(probe_started, true, "ok");
    expect(probe_ready, false, "group new has no worker that is ready");
    processes[3].is_retired = true;
    processes[3].state = LIFECYCLE_DRAINING;
    expect(probe_ready, true, "ok");
}

/* One that leaves stands behind all others, apart from its group. */
static void leaving_worker_does_not_hide_its_group(void **state)
{
    (void)state;
    strcpy(processes[1].group, "cpu");
    strcpy(processes[2].group, "gpu");
    processes[3].is_retired = true;
    processes[1].state = LIFECYCLE_BACKOFF;
    struct buffer out = {0};
    assert_false(probe_ready(&view, &out)); /* the one that leaves serves no more */
    assert_string_equal(buffer_text(&out),
                        "group cpu has no worker that is ready\nlink is backoff\n");
    buffer_fini(&out);
    processes[1].state = LIFECYCLE_READY;
    expect(probe_ready, true, "ok");
}

static void bad_gpu_is_the_reason_why(void **state)
{
    (void)state;
    status.gpus[0] = (struct status_gpu){.uuid = "GPU-a", .health = GPU_STATE_BAD};
    strcpy(status.gpus[0].reason, "xid 79 (fell off the bus)");
    status.gpus[1] = (struct status_gpu){.uuid = "GPU-b", .health = GPU_STATE_DEGRADED};
    status.gpu_count = 2;
    strcpy(processes[2].gpu, "GPU-a");
    strcpy(processes[3].gpu, "GPU-b");
    processes[2].is_drained = true;
    processes[2].state = LIFECYCLE_STOPPED;
    expect(probe_ready, true, "ok\n"); /* the other one works */
    processes[3].state = LIFECYCLE_STARTING;
    expect(probe_ready, false, "cpu/0 is drained, its GPU is bad: xid 79 (fell off the bus)\n");
    expect(probe_ready, false, "cpu/1 is starting\n");
}

static void group_without_a_worker_is_not_ready(void **state)
{
    (void)state;
    processes[2].state = LIFECYCLE_BACKOFF;
    strcpy(processes[2].death, "signal 9 (killed)");
    expect(probe_ready, true, "ok");
    processes[3].is_drained = true;
    processes[3].state = LIFECYCLE_STOPPED;
    expect(probe_ready, false, "group cpu has no worker that is ready");
    expect(probe_ready, false, "cpu/0 is backoff (last death: signal 9 (killed))");
    expect(probe_ready, false, "cpu/1 is drained");
    expect(probe_live, true, "ok");
    processes[3].state = LIFECYCLE_IDLE; /* it was drained before the supervisor began */
    expect(probe_ready, false, "cpu/1 is drained");
}

static void ending_node_is_live_and_not_ready(void **state)
{
    (void)state;
    status.phase = STATUS_PHASE_STOPPING;
    expect(probe_live, true, "ok");
    expect(probe_ready, false, "the fleet is draining");
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(running_node_is_well),
        TEST(stopped_loop_is_not_live),
        TEST(absent_engine_leaves_it_live),
        TEST(start_takes_until_each_was_ready),
        TEST(reload_is_no_start),
        TEST(leaving_worker_does_not_hide_its_group),
        TEST(bad_gpu_is_the_reason_why),
        TEST(group_without_a_worker_is_not_ready),
        TEST(ending_node_is_live_and_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
