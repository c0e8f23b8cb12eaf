/* SPDX-License-Identifier: Apache-2.0 */
/* test_gpu_guard: what records of the helper do to a node's workers, over changes of plan, with a
 * node whose processes were never started. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/gpu/gpu_guard.h"
#include "supervisor/node.h"

static char folder[] = "/tmp/argosy-guard-XXXXXX";
static struct node node;
static int helper_fd = -1; /* the helper's end */

static const struct hardware known = {
    .cpus = 4,
    .gpu_count = 2,
    .gpus = {{.minor = 0, .ordinal = 0, .bus_id = "0000:3b:00.0", .uuid = "GPU-a"},
             {.minor = 1, .ordinal = 1, .bus_id = "0000:af:00.0", .uuid = "GPU-b"}},
};
/* The same in a container that hides the driver's files. */
static const struct hardware hidden = {
    .cpus = 4,
    .gpu_count = 2,
    .gpus = {{.minor = 0, .ordinal = 0}, {.minor = 1, .ordinal = 1}},
};
static const struct hardware *hardware = &known;

static struct process *find(const char *name)
{
    struct process *process = roster_find_name(&node.roster, name);
    assert_non_null(process);
    return process;
}

/* Puts a configuration into force as node_adopt_plan does. */
static void plan(const char *text)
{
    static const struct topology_source machine = {.synthetic = "pack:1 core:4 pu:1"};
    struct error err = {0};
    plan_destroy(&node.plan);
    node.plan = (struct plan){.topology = calloc(1, sizeof *node.plan.topology)};
    assert_non_null(node.plan.topology);
    if (fleet_config_parse(text, strlen(text), "f.yaml", folder, hardware, &node.plan.config,
                           &err) != 0 ||
        topology_read(&machine, hardware, node.plan.topology, &err) != 0 ||
        placement_create(node.plan.topology, node.plan.config, &node.plan.placement, &err) != 0 ||
        roster_apply(&node.roster, &node.plan.placement, &err) != 0)
        fail_msg("%s", err.text);
    gpu_guard_plan(&node);
}

#define CONFIG "data_dir: .\ngroups: [{name: gpu, kind: gpu, processes: 2}]\n"

static int set_up(void **state)
{
    (void)state;
    int fds[2];
    struct error err = {0};
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    memset(&node, 0, sizeof node);
    hardware = &known;
    plan(CONFIG);
    assert_int_equal(gpu_guard_recall(&node, &err), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    find("gpu-health")->gpu_fd = fds[0];
    helper_fd = fds[1];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char path[64];
    struct process *helper = roster_find_name(&node.roster, "gpu-health");
    if (helper != NULL && helper->gpu_fd >= 0)
        close(helper->gpu_fd);
    close(helper_fd);
    roster_fini(&node.roster);
    plan_destroy(&node.plan);
    snprintf(path, sizeof path, "%s/bad_gpus", folder);
    unlink(path);
    return rmdir(folder); /* nothing else is left there */
}

static void tell(const struct gpu_record *record)
{
    assert_int_equal(send(helper_fd, record, sizeof *record, 0), sizeof *record);
    gpu_guard_take(&node, find("gpu-health"));
}

static void tell_xid(const char *uuid, uint64_t xid)
{
    struct gpu_record record = {.kind = GPU_RECORD_EVENT, .event = GPU_EVENT_XID, .xid = xid};
    strcpy(record.identity.uuid, uuid);
    record.identity.minor = -1;
    record.identity.gpu_instance = record.identity.compute_instance = GPU_INSTANCE_NONE;
    tell(&record);
}

static void bad_gpu_holds_its_worker_down(void **state)
{
    (void)state;
    struct process *first = find("gpu/0"), *second = find("gpu/1");
    tell_xid("GPU-b", 31);
    assert_false(gpu_guard_holds(&node, second));
    tell_xid("GPU-b", 79);
    assert_true(gpu_guard_holds(&node, second));
    assert_int_equal(second->lifecycle.state, LIFECYCLE_STOPPED);
    assert_false(gpu_guard_holds(&node, first));
    assert_int_equal(first->lifecycle.state, LIFECYCLE_IDLE);
    assert_false(gpu_guard_holds(&node, find("engine")));
    struct status_gpu rows[STATUS_GPU_MAX];
    assert_int_equal(gpu_guard_fill(&node, rows), 2);
    assert_int_equal(rows[1].health, GPU_STATE_BAD);
    assert_string_equal(rows[1].reason, "xid 79 (fell off the bus)");
    assert_string_equal(rows[1].bus_id, "0000:af:00.0");
    assert_int_equal(rows[1].last_xid, 79);
    assert_int_equal(rows[1].xid_count, 2);
    assert_int_equal(rows[1].temperature_celsius, STATUS_UNKNOWN);
    gpu_guard_trust(&node, first); /* there is nothing to trust again */
    assert_true(gpu_guard_holds(&node, second));
    gpu_guard_trust(&node, second);
    assert_false(gpu_guard_holds(&node, second));
}

static void figures_reach_the_status(void **state)
{
    (void)state;
    struct gpu_record record = {.kind = GPU_RECORD_FIGURES, .identity = {.uuid = "GPU-a"}};
    gpu_record_set(&record, GPU_FIGURE_TEMPERATURE, 61);
    gpu_record_set(&record, GPU_FIGURE_POWER, 250999);
    gpu_record_set(&record, GPU_FIGURE_MEMORY_USED, UINT64_C(5) << 30);
    gpu_record_set(&record, GPU_FIGURE_THROTTLE, GPU_THROTTLE_HARD_HEAT);
    gpu_record_set(&record, GPU_FIGURE_UTILIZATION, UINT64_MAX); /* a helper gone mad */
    tell(&record);
    struct status_gpu rows[STATUS_GPU_MAX];
    gpu_guard_fill(&node, rows);
    assert_int_equal(rows[0].health, GPU_STATE_DEGRADED);
    assert_int_equal(rows[0].temperature_celsius, 61);
    assert_int_equal(rows[0].power_watts, 250);
    assert_int_equal(rows[0].memory_used_bytes, INT64_C(5) << 30);
    assert_int_equal(rows[0].utilization_percent, STATUS_UNKNOWN);
    assert_true(rows[0].is_throttled);
    assert_int_not_equal(rows[0].seen_ns, 0);
    assert_int_not_equal(rows[0].since_ns, 0);
    gpu_guard_forget(&node);
    gpu_guard_fill(&node, rows);
    assert_int_equal(rows[0].health, GPU_STATE_UNWATCHED);
    assert_int_equal(rows[0].seen_ns, 0);
}

static void nonsense_cuts_the_helper_off(void **state)
{
    (void)state;
    assert_int_equal(send(helper_fd, "nonsense", 8, 0), 8);
    gpu_guard_take(&node, find("gpu-health"));
    assert_int_equal(find("gpu-health")->gpu_fd, -1);
    gpu_guard_take(&node, find("gpu-health")); /* news that are late change nothing */
    char byte;
    assert_int_equal(recv(helper_fd, &byte, 1, MSG_DONTWAIT), 0);
}

static void what_is_known_outlives_a_plan(void **state)
{
    (void)state;
    tell_xid("GPU-b", 79);
    plan("data_dir: .\nsupervisor: {gpu_health: {fatal_xids: [31]}}\n"
         "groups: [{name: gpu, kind: gpu, processes: 2}, {name: more, kind: gpu, processes: 2}]\n");
    assert_true(gpu_guard_holds(&node, find("gpu/1")));
    assert_false(gpu_guard_holds(&node, find("gpu/0")));
    tell_xid("GPU-a", 31); /* the new rules count */
    assert_true(gpu_guard_holds(&node, find("gpu/0")));
    assert_true(gpu_guard_holds(&node, find("more/0")));
}

static void bad_gpu_is_remembered_by_the_next_supervisor(void **state)
{
    (void)state;
    struct error err = {0};
    tell_xid("GPU-b", 79);
    node.gpus = (struct gpu_guard){.interval_ms = 0};
    gpu_guard_plan(&node);
    assert_false(gpu_guard_holds(&node, find("gpu/1")));
    assert_int_equal(gpu_guard_recall(&node, &err), 0);
    assert_true(gpu_guard_holds(&node, find("gpu/1")));
}

static void bad_gpu_without_a_name_is_remembered(void **state)
{
    (void)state;
    struct error err = {0};
    hardware = &hidden;
    node.gpus = (struct gpu_guard){.interval_ms = 0};
    plan(CONFIG);
    assert_int_equal(gpu_guard_recall(&node, &err), 0);
    struct gpu_record figures = {
        .kind = GPU_RECORD_FIGURES,
        .identity = {.uuid = "GPU-b", .bus_id = "0000:af:00.0", .minor = 1}};
    tell(&figures);
    tell_xid("GPU-b", 79);
    assert_true(gpu_guard_holds(&node, find("gpu/1")));
    plan(CONFIG); /* a reload */
    assert_true(gpu_guard_holds(&node, find("gpu/1")));
    assert_false(gpu_guard_holds(&node, find("gpu/0")));
    node.gpus = (struct gpu_guard){.interval_ms = 0}; /* another supervisor */
    gpu_guard_plan(&node);
    assert_int_equal(gpu_guard_recall(&node, &err), 0);
    assert_true(gpu_guard_holds(&node, find("gpu/1")));
    assert_false(gpu_guard_holds(&node, find("gpu/0")));
}

static void slice_that_only_the_configuration_knows(void **state)
{
    (void)state;
    plan("data_dir: .\ngroups: [{name: gpu, kind: gpu, processes: 2, gpus: [MIG-1, MIG-2]}]\n");
    struct gpu_record record = {
        .kind = GPU_RECORD_FIGURES,
        .identity = {.uuid = "MIG-2", .bus_id = "0000:3b:00.0", .gpu_instance = 8}};
    tell(&record);
    record = (struct gpu_record){.kind = GPU_RECORD_EVENT,
                                 .event = GPU_EVENT_ECC_DOUBLE,
                                 .identity = {.bus_id = "0000:3b:00.0", .gpu_instance = 8}};
    tell(&record);
    assert_true(gpu_guard_holds(&node, find("gpu/1")));
    assert_false(gpu_guard_holds(&node, find("gpu/0")));
}

static void helper_follows_its_settings(void **state)
{
    (void)state;
    struct process *helper = find("gpu-health");
    assert_int_equal(helper->lifecycle.hang_ns, 30 * NS_PER_S);
    helper->pid = getpid(); /* it runs */
    plan("data_dir: .\nsupervisor: {gpu_health: {hang_ms: 4000}}\n"
         "groups: [{name: gpu, kind: gpu, processes: 2}]\n");
    assert_int_equal(helper->lifecycle.hang_ns, 4 * NS_PER_S);
    assert_false(helper->is_stale);
    plan("data_dir: .\nsupervisor: {gpu_health: {interval_ms: 500}}\n"
         "groups: [{name: gpu, kind: gpu, processes: 2}]\n");
    assert_true(helper->is_stale);
    helper->pid = 0;
    helper->is_stale = false;
    helper->lifecycle.state = LIFECYCLE_FAILED; /* found no library */
    plan("data_dir: .\nsupervisor: {gpu_health: {library: /opt/libnvidia-ml.so.1}}\n"
         "groups: [{name: gpu, kind: gpu, processes: 2}]\n");
    assert_true(helper->is_stale);
}

static void helper_is_there_where_gpus_are_used(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool has_helper;
    } cases[] = {
        {"groups: [{name: gpu, kind: gpu, processes: 1}]\n", true},
        {"groups: [{name: gpu, kind: gpu, processes: 1, device: cpu}]\n", false},
        {"groups: [{name: cpu, kind: cpu, processes: 1}]\n", false},
        {"groups: [{name: gpu, kind: gpu, processes: 1}]\n"
         "supervisor: {gpu_health: {enabled: false}}\n",
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plan(cases[i].text);
        assert_int_equal(placement_find(&node.plan.placement, NULL, PLACEMENT_GPU_HEALTH) != NULL,
                         cases[i].has_helper);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_gpu_holds_its_worker_down),
        TEST(figures_reach_the_status),
        TEST(nonsense_cuts_the_helper_off),
        TEST(what_is_known_outlives_a_plan),
        TEST(bad_gpu_is_remembered_by_the_next_supervisor),
        TEST(bad_gpu_without_a_name_is_remembered),
        TEST(slice_that_only_the_configuration_knows),
        TEST(helper_follows_its_settings),
        TEST(helper_is_there_where_gpus_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
