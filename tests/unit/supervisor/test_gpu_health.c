/* SPDX-License-Identifier: Apache-2.0 */
/* test_gpu_health: which records make which GPU bad, degraded, well; whom an event strikes. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "supervisor/gpu/gpu_health.h"

static struct gpu_board board;

/* Two whole GPUs and two slices of a third. */
static int set_up(void **state)
{
    (void)state;
    static const struct hardware_gpu gpus[] = {
        {.minor = 0, .bus_id = "0000:3b:00.0", .uuid = "GPU-a"},
        {.minor = 1, .bus_id = "0000:af:00.0", .uuid = "GPU-b"},
        {.minor = -1, .uuid = "MIG-1"},
        {.minor = -1, .uuid = "MIG-2"},
    };
    memset(&board, 0, sizeof board);
    board.count = 4;
    for (size_t i = 0; i < board.count; i++)
        gpu_unit_init(&board.units[i], &gpus[i], NS_PER_S);
    return 0;
}

static struct gpu_record record_of(uint32_t kind, const char *uuid, const char *bus_id)
{
    struct gpu_record record = {.kind = kind};
    snprintf(record.identity.uuid, sizeof record.identity.uuid, "%s", uuid);
    snprintf(record.identity.bus_id, sizeof record.identity.bus_id, "%s", bus_id);
    record.identity.minor = -1;
    record.identity.gpu_instance = record.identity.compute_instance = GPU_INSTANCE_NONE;
    return record;
}

static struct gpu_change take(struct gpu_record record)
{
    struct gpu_record checked;
    assert_true(gpu_record_read(&record, sizeof record, &checked));
    return gpu_board_take(&board, &checked, 5 * NS_PER_S);
}

static struct gpu_change take_event(const char *bus_id, enum gpu_event event, uint64_t xid)
{
    struct gpu_record record = record_of(GPU_RECORD_EVENT, "", bus_id);
    record.event = (uint32_t)event;
    record.xid = xid;
    return take(record);
}

static struct gpu_change take_figure(enum gpu_figure figure, uint64_t value)
{
    struct gpu_record record = record_of(GPU_RECORD_FIGURES, "GPU-a", "0000:3b:00.0");
    gpu_record_set(&record, figure, value);
    return take(record);
}

static struct gpu_change take_temperature(uint64_t celsius)
{
    struct gpu_record record = record_of(GPU_RECORD_FIGURES, "GPU-a", "0000:3b:00.0");
    gpu_record_set(&record, GPU_FIGURE_TEMPERATURE, celsius);
    gpu_record_set(&record, GPU_FIGURE_SLOWDOWN, 90);
    return take(record);
}

/* The helper tells where slices are before it waits for events. */
static void take_slices(void)
{
    struct gpu_record record = record_of(GPU_RECORD_FIGURES, "MIG-1", "0000:d8:00.0");
    record.identity.gpu_instance = 7;
    record.identity.compute_instance = 0;
    assert_int_equal(take(record).states, 4);
    record = record_of(GPU_RECORD_FIGURES, "MIG-2", "0000:d8:00.0");
    record.identity.gpu_instance = 8;
    record.identity.compute_instance = 0;
    assert_int_equal(take(record).states, 8);
}

static void xids_of_applications_are_ignored(void **state)
{
    (void)state;
    static const uint64_t xids[] = {13, 31, 43, 45, 68, 109};
    for (size_t i = 0; i < sizeof xids / sizeof xids[0]; i++) {
        assert_int_equal(gpu_xid_answer(&board.rules, xids[i]), GPU_ANSWER_NOTHING);
        struct gpu_change change = take_event("0000:3b:00.0", GPU_EVENT_XID, xids[i]);
        assert_int_equal(change.events, 1);
        assert_int_equal(change.bad | change.restart | change.states, 0);
        assert_int_equal(board.units[0].last_xid, xids[i]);
    }
    assert_int_equal(board.units[0].xid_count, 6);
    assert_int_equal(board.units[1].xid_count, 0);
    assert_int_equal(board.units[0].state, GPU_STATE_UNWATCHED);
}

static void other_xids_make_a_gpu_bad(void **state)
{
    (void)state;
    static const uint64_t xids[] = {46, 48, 63, 64, 74, 79, 92, 95, 119, 120, 12345};
    for (size_t i = 0; i < sizeof xids / sizeof xids[0]; i++)
        assert_int_equal(gpu_xid_answer(&board.rules, xids[i]), GPU_ANSWER_DRAIN);
    char text[GPU_REASON_MAX];
    assert_string_equal(gpu_xid_format(12345, text), "xid 12345");
    struct gpu_change change = take_event("0000:af:00.0", GPU_EVENT_XID, 79);
    assert_int_equal(change.bad, 2);
    assert_int_equal(change.states, 2);
    assert_string_equal(board.units[1].reason, "xid 79 (fell off the bus)");
    assert_int_equal(board.units[1].since_ns, 5 * NS_PER_S);
    assert_int_equal(board.units[0].state, GPU_STATE_UNWATCHED);
    /* once bad it is not made bad again, and its first reason stays */
    change = take_event("0000:af:00.0", GPU_EVENT_XID, 999);
    assert_int_equal(change.bad | change.states, 0);
    assert_int_equal(change.events, 2);
    assert_string_equal(board.units[1].reason, "xid 79 (fell off the bus)");
}

static void contained_error_restarts_the_workers(void **state)
{
    (void)state;
    struct gpu_change change = take_event("0000:3b:00.0", GPU_EVENT_XID, 94);
    assert_int_equal(change.restart, 1);
    assert_int_equal(change.bad, 0);
    take_event("0000:3b:00.0", GPU_EVENT_XID, 79);
    change = take_event("0000:3b:00.0", GPU_EVENT_XID, 94);
    assert_int_equal(change.restart, 0); /* they are going down anyway */
}

static void lists_overrule_the_table(void **state)
{
    (void)state;
    const struct fleet_gpu_health config = {
        .ignore_xids = (const char *const[]){"79", "74", "1023"},
        .ignore_xid_count = 3,
        .fatal_xids = (const char *const[]){"31", "74"},
        .fatal_xid_count = 2,
        .temperature_max = 85,
    };
    gpu_rules_init(&board.rules, &config);
    assert_int_equal(board.rules.temperature_max, 85);
    assert_int_equal(gpu_xid_answer(&board.rules, 1023), GPU_ANSWER_NOTHING);
    assert_int_equal(gpu_xid_answer(&board.rules, 1022), GPU_ANSWER_DRAIN);
    assert_int_equal(gpu_xid_answer(&board.rules, 79), GPU_ANSWER_NOTHING);
    assert_int_equal(gpu_xid_answer(&board.rules, 31), GPU_ANSWER_DRAIN);
    assert_int_equal(gpu_xid_answer(&board.rules, 74), GPU_ANSWER_DRAIN);
    assert_int_equal(gpu_xid_answer(&board.rules, 13), GPU_ANSWER_NOTHING);
}

static void memory_errors(void **state)
{
    (void)state;
    struct gpu_change change = take_event("0000:3b:00.0", GPU_EVENT_ECC_SINGLE, 0);
    assert_int_equal(change.events, 1);
    assert_int_equal(change.bad | change.states, 0);
    assert_int_equal(board.units[0].corrected_count, 1);
    assert_int_equal(take_figure(GPU_FIGURE_ECC_AGGREGATE, 3).states, 1);
    assert_int_equal(board.units[0].state, GPU_STATE_WELL); /* of another life of the driver */
    assert_int_equal(take_figure(GPU_FIGURE_ECC_VOLATILE, 1).states, 1);
    assert_int_equal(board.units[0].state, GPU_STATE_DEGRADED);
    assert_string_equal(board.units[0].reason, "uncorrected memory errors");
    assert_int_equal(take_event("0000:3b:00.0", GPU_EVENT_ECC_DOUBLE, 0).bad, 1);
    assert_string_equal(board.units[0].reason, "double-bit memory error");
}

static void rows_of_memory(void **state)
{
    (void)state;
    take_figure(GPU_FIGURE_ROWS_REMAPPED, 2);
    assert_int_equal(board.units[0].state, GPU_STATE_WELL);
    take_figure(GPU_FIGURE_ROW_PENDING, 1);
    assert_int_equal(board.units[0].state, GPU_STATE_DEGRADED);
    assert_int_equal(take_figure(GPU_FIGURE_ROW_FAILURE, 1).bad, 1);
    assert_string_equal(board.units[0].reason, "a row of its memory could not be replaced");
}

static void throttling_is_told(void **state)
{
    (void)state;
    take_figure(GPU_FIGURE_THROTTLE, 0x1 | 0x4 | 0x100); /* idle, a power cap, a display */
    assert_int_equal(board.units[0].state, GPU_STATE_WELL);
    assert_int_equal(take_figure(GPU_FIGURE_THROTTLE, GPU_THROTTLE_HARD_HEAT).states, 1);
    assert_string_equal(board.units[0].reason, "throttled by heat");
    assert_int_equal(board.units[0].state, GPU_STATE_DEGRADED);
    assert_int_equal(take_figure(GPU_FIGURE_THROTTLE, GPU_THROTTLE_POWER_BRAKE).states, 0);
    assert_string_equal(board.units[0].reason, "throttled by the power supply");
    assert_int_equal(take_figure(GPU_FIGURE_THROTTLE, 0).states, 1);
    assert_int_equal(board.units[0].state, GPU_STATE_WELL);
    assert_string_equal(board.units[0].reason, "");
}

static void heat_is_told_after_three_samples(void **state)
{
    (void)state;
    take_temperature(90);
    take_temperature(95);
    take_temperature(60);
    take_temperature(95);
    take_temperature(95);
    assert_int_equal(board.units[0].state, GPU_STATE_WELL);
    assert_int_equal(take_temperature(96).states, 1);
    assert_int_equal(board.units[0].state, GPU_STATE_DEGRADED);
    assert_string_equal(board.units[0].reason, "hot: 96 degrees Celsius");
    take_temperature(89);
    assert_int_equal(board.units[0].state, GPU_STATE_WELL);
}

static void heat_drains_where_a_bound_is_set(void **state)
{
    (void)state;
    board.rules.temperature_max = 85;
    take_temperature(85);
    take_temperature(85);
    assert_int_equal(board.units[0].state, GPU_STATE_WELL);
    assert_int_equal(take_temperature(86).bad, 1);
    assert_string_equal(board.units[0].reason, "86 degrees Celsius, 85 are allowed");
    take_temperature(40);
    assert_int_equal(board.units[0].state, GPU_STATE_BAD);
}

static void lost_gpu_is_bad(void **state)
{
    (void)state;
    struct gpu_change change = take_event("0000:3b:00.0", GPU_EVENT_LOST, 0);
    assert_int_equal(change.bad, 1);
    assert_int_equal(change.events, 0);
    assert_string_equal(board.units[0].reason, "GPU is lost");
    change = take_event("0000:af:00.0", GPU_EVENT_RESET, 0);
    assert_int_equal(change.bad, 2);
    assert_string_equal(board.units[1].reason, "needs a reset");
}

static void event_strikes_the_slice_it_names(void **state)
{
    (void)state;
    take_slices();
    struct gpu_record record = record_of(GPU_RECORD_EVENT, "GPU-c", "0000:d8:00.0");
    record.event = GPU_EVENT_XID;
    record.xid = 95;
    record.identity.gpu_instance = 8;
    record.identity.compute_instance = 1;
    assert_int_equal(take(record).bad, 0); /* a slice that nobody here uses */
    record.identity.compute_instance = 0;
    assert_int_equal(take(record).bad, 8);
    /* one of the whole GPU strikes what is left */
    assert_int_equal(take_event("0000:d8:00.0", GPU_EVENT_LOST, 0).bad, 4);
    assert_int_equal(board.units[0].state, GPU_STATE_UNWATCHED);
}

/* A machine that lists the GPU beside its slices: only they are used. */
static void slices_spare_the_gpu_that_is_cut(void **state)
{
    (void)state;
    gpu_unit_init(&board.units[1],
                  &(struct hardware_gpu){.bus_id = "0000:d8:00.0", .uuid = "GPU-c"}, 0);
    take_slices();
    struct gpu_record record = record_of(GPU_RECORD_EVENT, "GPU-c", "0000:d8:00.0");
    record.event = GPU_EVENT_ECC_DOUBLE;
    record.identity.gpu_instance = 8;
    assert_int_equal(take(record).bad, 8);
    assert_int_equal(take_event("0000:d8:00.0", GPU_EVENT_LOST, 0).bad, 2 | 4);
    /* trusted with its slice, but not the other one */
    assert_true(gpu_board_trust(&board, 2, NS_PER_S));
    assert_int_equal(board.units[1].state, GPU_STATE_UNWATCHED);
    assert_int_equal(board.units[2].state, GPU_STATE_UNWATCHED);
    assert_int_equal(board.units[3].state, GPU_STATE_BAD);
}

static void gpus_are_found_by_what_is_known(void **state)
{
    (void)state;
    /* a container that hides the driver's files shows numbers only */
    gpu_unit_init(&board.units[0], &(struct hardware_gpu){.minor = 3}, 0);
    char key[GPU_KEY_MAX];
    assert_string_equal(gpu_unit_key(&board.units[0], key), "nvidia3");
    struct gpu_record record = record_of(GPU_RECORD_FIGURES, "GPU-z", "0000:5e:00.0");
    record.identity.minor = 3;
    assert_int_equal(take(record).states, 1);
    assert_string_equal(gpu_unit_key(&board.units[0], key), "GPU-z");
    assert_int_equal(take_event("0000:5e:00.0", GPU_EVENT_XID, 79).bad, 1);
    /* one that the machine does not have, or does not give us */
    record = record_of(GPU_RECORD_FIGURES, "GPU-other", "0000:01:00.0");
    struct gpu_change change = take(record);
    assert_int_equal(change.states | change.bad | change.events, 0);
    change = take_event("0000:01:00.0", GPU_EVENT_XID, 79);
    assert_int_equal(change.states | change.bad | change.events, 0);
}

static void nobody_watches(void **state)
{
    (void)state;
    take_temperature(40);
    take_event("0000:af:00.0", GPU_EVENT_XID, 79);
    assert_int_equal(gpu_board_forget(&board, 9 * NS_PER_S), 1);
    assert_int_equal(board.units[0].state, GPU_STATE_UNWATCHED);
    assert_int_equal(board.units[0].known, 0);
    assert_int_equal(board.units[1].state, GPU_STATE_BAD); /* nobody said that it is well */
    assert_int_equal(gpu_board_forget(&board, 9 * NS_PER_S), 0);
}

static void operator_trusts_a_bad_one_again(void **state)
{
    (void)state;
    assert_true(gpu_unit_condemn(&board.units[0], "xid 79", NS_PER_S));
    assert_false(gpu_unit_condemn(&board.units[0], "xid 48", NS_PER_S));
    assert_string_equal(board.units[0].reason, "xid 79");
    take_temperature(40);
    assert_int_equal(board.units[0].state, GPU_STATE_BAD);
    assert_true(gpu_board_trust(&board, 0, NS_PER_S));
    assert_false(gpu_board_trust(&board, 0, NS_PER_S));
    assert_int_equal(board.units[0].state, GPU_STATE_UNWATCHED);
    take_temperature(40);
    assert_int_equal(board.units[0].state, GPU_STATE_WELL);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(xids_of_applications_are_ignored),
        TEST(other_xids_make_a_gpu_bad),
        TEST(contained_error_restarts_the_workers),
        TEST(lists_overrule_the_table),
        TEST(memory_errors),
        TEST(rows_of_memory),
        TEST(throttling_is_told),
        TEST(heat_is_told_after_three_samples),
        TEST(heat_drains_where_a_bound_is_set),
        TEST(lost_gpu_is_bad),
        TEST(event_strikes_the_slice_it_names),
        TEST(slices_spare_the_gpu_that_is_cut),
        TEST(gpus_are_found_by_what_is_known),
        TEST(nobody_watches),
        TEST(operator_trusts_a_bad_one_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
