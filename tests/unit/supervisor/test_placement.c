/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_placement: plans for machines from hwloc synthetic descriptions, with GPUs put where the
 * test wants them. Expected processors are counted by hand.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/placement/placement.h"

static struct topology topology;
static struct fleet_config *config;
static struct placement placement;

/* Reads a synthetic machine and hangs gpu_count GPUs on its nodes in turn. */
static void make_machine(const char *synthetic, int gpu_count)
{
    struct topology_source source = {.synthetic = synthetic};
    struct hardware hardware = {.cpus = 1, .gpu_count = (size_t)gpu_count};
    for (int i = 0; i < gpu_count; i++)
        snprintf(hardware.gpus[i].bus_id, sizeof hardware.gpus[i].bus_id, "0000:%02x:00.0", i + 1);
    struct error err = {0};
    if (topology_read(&source, &hardware, &topology, &err) != 0)
        fail_msg("%s", err.text);
    for (int i = 0; i < gpu_count; i++)
        topology.gpus[i].nodes = UINT64_C(1) << i * topology.node_count / gpu_count;
}

static int create(const char *yaml, struct error *err)
{
    struct hardware hardware = {.cpus = topology.core_count,
                                .gpu_count = (size_t)topology.gpu_count};
    if (fleet_config_parse(yaml, strlen(yaml), "f.yaml", "/", &hardware, &config, err) != 0)
        fail_msg("%s", err->text);
    return placement_create(&topology, config, &placement, err);
}

static void plan(const char *yaml)
{
    struct error err = {0};
    if (create(yaml, &err) != 0)
        fail_msg("%s", err.text);
}

static void drop_plan(void)
{
    placement_destroy(&placement);
    fleet_config_destroy(config);
    config = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    drop_plan();
    return 0;
}

static const struct placement_pin *find(const char *name)
{
    for (size_t i = 0; i < placement.pin_count; i++) {
        char text[PLACEMENT_NAME_MAX];
        if (strcmp(placement_name(&placement.pins[i], text), name) == 0)
            return &placement.pins[i];
    }
    fail_msg("no process %s", name);
    return NULL;
}

static void expect_cpus(const char *name, int first, int last)
{
    const struct placement_pin *pin = find(name);
    for (int cpu = 0; cpu < TOPOLOGY_CPU_MAX; cpu++) {
        int is_expected = cpu >= first && cpu <= last;
        if ((CPU_ISSET(cpu, &pin->cpus) != 0) != is_expected)
            fail_msg("%s: processor %d %s", name, cpu, is_expected ? "missing" : "unexpected");
    }
}

static void one_core_is_shared_by_all(void **state)
{
    (void)state;
    make_machine("pu:1", 0);
    plan("");
    assert_int_equal(placement.pin_count, 6);
    for (size_t i = 0; i < placement.pin_count; i++) {
        assert_false(placement.pins[i].is_pinned);
        assert_true(placement.pins[i].is_shared);
    }
    expect_cpus("engine", 0, 0);
    expect_cpus("gpu/0", 0, 0);
    struct buffer text = {0};
    placement_print(&placement, &text);
    assert_string_equal(buffer_text(&text),
                        "machine   1 package, 1 NUMA node, 1 core, 1 processor, 0 NVIDIA GPUs\n"
                        "engine    processors 0, not pinned\n"
                        "link      processors 0, not pinned\n"
                        "storage   processors 0, not pinned\n"
                        "cpu/0     processors 0, not pinned\n"
                        "cpu/1     processors 0, not pinned\n"
                        "gpu/0     processors 0, not pinned, CPU device (no GPU)\n"
                        "fewer than 4 cores: all processes share them\n");
    buffer_fini(&text);
}

static void two_cores_are_shared_by_all(void **state)
{
    (void)state;
    make_machine("core:2 pu:2", 0);
    plan("");
    expect_cpus("engine", 0, 3);
    expect_cpus("cpu/1", 0, 3);
    assert_false(find("cpu/1")->is_pinned);
}

static void four_cores_are_shared_out(void **state)
{
    (void)state;
    make_machine("core:4 pu:2", 0);
    plan("groups:\n- {name: cpu, kind: cpu, processes: 2}\n- {name: gpu, kind: gpu}\n");
    /* core 0: engine and link; of three, half (rounded down, at least one) to the CPU device */
    expect_cpus("engine", 0, 1);
    expect_cpus("link", 0, 1);
    expect_cpus("gpu/0", 2, 3);
    expect_cpus("cpu/0", 4, 5);
    expect_cpus("cpu/1", 6, 7);
    assert_true(find("cpu/1")->is_pinned);
    assert_false(find("cpu/1")->is_shared);
    assert_int_equal(find("gpu/0")->memory_node, -1); /* there is one node only */
}

static void more_workers_than_cores_double_up(void **state)
{
    (void)state;
    make_machine("core:4 pu:1", 0);
    plan("groups: [{name: cpu, kind: cpu, processes: 5}]\n");
    expect_cpus("cpu/0", 1, 1);
    expect_cpus("cpu/1", 2, 2);
    expect_cpus("cpu/2", 3, 3);
    expect_cpus("cpu/3", 1, 1);
    expect_cpus("cpu/4", 2, 2);
    assert_true(find("cpu/0")->is_shared);
    assert_false(find("cpu/2")->is_shared);
    assert_false(find("engine")->is_shared);
}

/* A DGX-like machine: 2 sockets of 16 cores with 2 threads, 4 GPUs on each. */
static void two_sockets_with_eight_gpus(void **state)
{
    (void)state;
    make_machine("pack:2 [numa] core:16 pu:2", 8);
    plan("groups:\n- {name: cpu, kind: cpu, processes: 4}\n- {name: gpu, kind: gpu}\n");
    expect_cpus("engine", 0, 3); /* two cores from 16 up */
    /* node 0: 14 free cores, 7 for 4 GPU workers: 1, 2, 2, 2 */
    expect_cpus("gpu/0", 4, 5);
    expect_cpus("gpu/1", 6, 9);
    expect_cpus("gpu/2", 10, 13);
    expect_cpus("gpu/3", 14, 17);
    /* node 1: 16 free cores, 8 for 4 GPU workers */
    expect_cpus("gpu/4", 32, 35);
    expect_cpus("gpu/7", 44, 47);
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "gpu/%d", i);
        assert_int_equal(find(name)->gpu, i);
        assert_int_equal(find(name)->memory_node, i / 4);
        assert_false(find(name)->is_shared);
        assert_false(find(name)->is_remote);
    }
    /* node 1 has 8 left, node 0 has 7: workers go where most room is, 1, 0, 1, 0 */
    expect_cpus("cpu/0", 48, 55);
    expect_cpus("cpu/1", 18, 23);
    expect_cpus("cpu/2", 56, 63);
    expect_cpus("cpu/3", 24, 31);
}

static void gpu_workers_get_all_where_no_cpu_worker_is(void **state)
{
    (void)state;
    make_machine("[numa] core:9 pu:1", 2);
    plan("groups: [{name: gpu, kind: gpu}]\n");
    expect_cpus("engine", 0, 0);
    expect_cpus("gpu/0", 1, 4);
    expect_cpus("gpu/1", 5, 8);
}

static void two_processes_share_one_gpu(void **state)
{
    (void)state;
    make_machine("[numa] core:5 pu:1", 1);
    plan("groups: [{name: gpu, kind: gpu, processes: 2, device: cuda}]\n");
    assert_int_equal(find("gpu/0")->gpu, 0);
    assert_int_equal(find("gpu/1")->gpu, 0);
    expect_cpus("gpu/0", 1, 2);
    expect_cpus("gpu/1", 3, 4);
}

/* A number holds only as long as nobody adds a GPU. */
static void gpus_are_named_by_uuid(void **state)
{
    (void)state;
    make_machine("[numa] core:8 pu:1", 3);
    strcpy(topology.gpus[0].gpu.uuid, "GPU-aa");
    strcpy(topology.gpus[1].gpu.uuid, "GPU-bb");
    topology.gpus[1].gpu.is_divided = true;
    topology.gpus[2].gpu.ordinal = 2; /* the driver did not tell */
    plan("groups: [{name: gpu, kind: gpu, processes: 4, processes_per_gpu: 2}]\n");
    assert_string_equal(find("gpu/0")->device, "GPU-aa");
    assert_string_equal(find("gpu/1")->device, "GPU-bb");
    assert_string_equal(find("gpu/2")->device, "2");
    assert_string_equal(find("gpu/3")->device, "GPU-aa");
    assert_int_equal(find("gpu/3")->device_users, 2);
    assert_int_equal(find("gpu/1")->device_users, 1);
    struct buffer text = {0};
    placement_print(&placement, &text);
    assert_non_null(
        strstr(buffer_text(&text), "GPU-bb NUMA node 0, divided by MIG: gpus names its slices\n"));
    buffer_fini(&text);
}

/* The only GPU there is has the slices that the configuration names. */
static void a_slice_is_where_the_only_gpu_is(void **state)
{
    (void)state;
    make_machine("pack:2 [numa] core:4 pu:1", 1);
    topology.gpus[0].nodes = 2;
    plan("groups: [{name: g, kind: gpu, device: cuda, gpus: [MIG-1, MIG-2]}]\n");
    assert_int_equal(placement.pin_count, 6); /* with engine, link, storage and gpu-health */
    assert_string_equal(find("g/1")->device, "MIG-2");
    assert_int_equal(find("g/1")->gpu, 0);
    assert_int_equal(find("g/1")->memory_node, 1);
    expect_cpus("g/0", 4, 5);
    expect_cpus("g/1", 6, 7);
}

/* The cpuset left no core on the GPU's node. */
static void gpu_without_near_cores_is_said_to_be_far(void **state)
{
    (void)state;
    make_machine("[numa] core:6 pu:1", 1);
    topology.node_count = 2;
    topology.nodes[1] = (struct topology_node){.os_index = 1, .is_allowed = true};
    topology.gpus[0].nodes = 2;
    plan("groups: [{name: gpu, kind: gpu}]\n");
    assert_true(find("gpu/0")->is_remote);
    expect_cpus("gpu/0", 1, 5);
    assert_int_equal(find("gpu/0")->memory_node, 0);
    struct buffer text = {0};
    placement_print(&placement, &text);
    assert_non_null(strstr(buffer_text(&text), "gpu 0, far from its GPU\n"));
    buffer_fini(&text);
}

static void gpu_workers_crowd_out_cpu_workers(void **state)
{
    (void)state;
    make_machine("[numa] core:4 pu:1", 3);
    plan("groups:\n- {name: cpu, kind: cpu, processes: 1}\n- {name: gpu, kind: gpu}\n");
    expect_cpus("gpu/2", 3, 3);
    expect_cpus("cpu/0", 1, 3); /* the engine's core stays its own */
    assert_true(find("cpu/0")->is_shared);
    assert_true(find("cpu/0")->is_pinned);
}

static void groups_may_be_pinned_to_nodes_or_not_at_all(void **state)
{
    (void)state;
    make_machine("pack:2 [numa] core:4 pu:1", 2);
    plan("groups:\n- {name: a, kind: cpu, processes: 2, pinning: numa}\n"
         "- {name: b, kind: cpu, processes: 1, pinning: none}\n"
         "- {name: g, kind: gpu, pinning: numa}\n");
    /* all but the engine's core, with who else is pinned to the node */
    expect_cpus("a/0", 1, 3);
    expect_cpus("a/1", 4, 7);
    expect_cpus("b/0", 0, 7);
    assert_false(find("b/0")->is_pinned);
    expect_cpus("g/0", 1, 3);
    expect_cpus("g/1", 4, 7);
    assert_true(find("a/0")->is_shared);
    assert_int_equal(find("g/1")->memory_node, 1);
    assert_int_equal(find("a/1")->memory_node, -1);
}

static void remote_engine_takes_no_core(void **state)
{
    (void)state;
    make_machine("core:4 pu:1", 0);
    plan("engine: {insecure: true, endpoint: \"tcp://127.0.0.1:5\"}\n"
         "groups: [{name: cpu, kind: cpu, processes: 4}]\n");
    assert_int_equal(placement.pin_count, 5);
    assert_null(placement_find(&placement, NULL, PLACEMENT_ENGINE));
    assert_non_null(placement_find(&placement, NULL, PLACEMENT_LINK));
    assert_null(placement_find(&placement, NULL, PLACEMENT_STORAGE));
    expect_cpus("cpu/0", 0, 0);
    expect_cpus("cpu/3", 3, 3);
}

static void storage_is_bound_to_nothing(void **state)
{
    (void)state;
    make_machine("core:8 pu:1", 0);
    plan("engine: {insecure: true, endpoint: \"tcp://127.0.0.1:5\"}\n"
         "storage: {enabled: true}\n"
         "groups: [{name: cpu, kind: cpu, processes: 4}]\n");
    assert_false(find("storage")->is_pinned);
    expect_cpus("storage", 0, 7);
    expect_cpus("link", 0, 7);
    expect_cpus("cpu/3", 6, 7);
}

static void no_two_pinned_processes_overlap_unsaid(void **state)
{
    (void)state;
    static const char *const machines[] = {
        "core:4 pu:1",
        "core:7 pu:2",
        "pack:1 [numa] core:16 pu:2",
        "pack:2 [numa] core:5 pu:1",
        "pack:2 [numa] core:64 pu:2",
        "pack:1 group:8 [numa] core:8 pu:1", /* AMD with 8 NUMA nodes */
    };
    for (size_t m = 0; m < sizeof machines / sizeof machines[0]; m++) {
        for (int gpus = 0; gpus <= 8; gpus++) {
            make_machine(machines[m], gpus);
            plan("");
            for (size_t i = 0; i < placement.pin_count; i++) {
                const struct placement_pin *a = &placement.pins[i];
                assert_true(CPU_COUNT(&a->cpus) > 0);
                for (size_t j = 0; j < i; j++) {
                    const struct placement_pin *b = &placement.pins[j];
                    cpu_set_t both;
                    CPU_AND(&both, &a->cpus, &b->cpus);
                    bool is_said = (a->is_shared && b->is_shared) || !a->is_pinned ||
                                   !b->is_pinned || (a->group == NULL && b->group == NULL);
                    if (CPU_COUNT(&both) > 0 && !is_said)
                        fail_msg("%s with %d GPUs: %zu and %zu overlap", machines[m], gpus, i, j);
                }
            }
            drop_plan();
        }
    }
}

static void cuda_without_a_gpu_is_an_error(void **state)
{
    (void)state;
    struct error err = {0};
    make_machine("core:4 pu:1", 0);
    assert_int_equal(create("groups: [{name: g, kind: gpu, device: cuda}]\n", &err), ERR_CONFIG);
    assert_string_equal(
        err.text, "f.yaml: group \"g\" wants device cuda, and this machine has no NVIDIA GPU");
    fleet_config_destroy(config);
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_core_is_shared_by_all),
        TEST(two_cores_are_shared_by_all),
        TEST(four_cores_are_shared_out),
        TEST(more_workers_than_cores_double_up),
        TEST(two_sockets_with_eight_gpus),
        TEST(gpu_workers_get_all_where_no_cpu_worker_is),
        TEST(two_processes_share_one_gpu),
        TEST(gpus_are_named_by_uuid),
        TEST(a_slice_is_where_the_only_gpu_is),
        TEST(gpu_without_near_cores_is_said_to_be_far),
        TEST(gpu_workers_crowd_out_cpu_workers),
        TEST(groups_may_be_pinned_to_nodes_or_not_at_all),
        TEST(remote_engine_takes_no_core),
        TEST(storage_is_bound_to_nothing),
        cmocka_unit_test(no_two_pinned_processes_overlap_unsaid),
        cmocka_unit_test(cuda_without_a_gpu_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
