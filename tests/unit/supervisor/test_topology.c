/* SPDX-License-Identifier: Apache-2.0 */
/* test_topology: machines from files, also hostile ones, and what of a machine may be used. */
#include "tests/test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/placement/topology.h"

static struct topology topology;

static int read_file(const char *path, struct error *err)
{
    struct topology_source source = {.xml_path = path};
    return topology_read(&source, NULL, &topology, err);
}

static void read_recorded(const char *name)
{
    char path[512];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/tests/golden/topology/%s", getenv("ARGOSY_SOURCE_DIR"), name);
    if (read_file(path, &err) != 0)
        fail_msg("%s", err.text);
}

static int count_nodes(uint64_t nodes)
{
    return __builtin_popcountll(nodes);
}

/* Recorded machines */

static void a_machine_is_read_whole(void **state)
{
    (void)state;
    read_recorded("amd.xml");
    assert_int_equal(topology.package_count, 2);
    assert_int_equal(topology.node_count, 8);
    assert_int_equal(topology.l3_count, 16);
    assert_int_equal(topology.core_count, 64);
    assert_int_equal(topology.core_total, 64);
    assert_int_equal(topology_count_cpus(&topology), 128);
    assert_int_equal(topology.nodes[7].os_index, 7);
    assert_int_equal(topology.nodes[7].memory_bytes, UINT64_C(96) << 30);
    /* core 13: the second of the fourth cache, in the second node; its sibling is 64 apart */
    const struct topology_core *core = &topology.cores[13];
    assert_int_equal(core->number, 13);
    assert_int_equal(core->l3, 3);
    assert_int_equal(core->node, 1);
    assert_int_equal(core->package, 0);
    assert_int_equal(core->cpus[0], 13);
    assert_int_equal(core->cpus[1], 77);
    assert_int_equal(topology.gpu_count, 4);
    assert_string_equal(topology.gpus[1].gpu.bus_id, "0000:61:00.0");
    assert_string_equal(topology.gpus[1].gpu.model, "NVIDIA L40S");
    assert_int_equal(topology.gpus[1].gpu.ordinal, 1);
    assert_int_equal(topology.gpus[1].nodes, 1 << 3);
    assert_int_equal(topology.gpus[3].nodes, 0xf0); /* hangs on the package */
    struct hardware hardware;
    topology_hardware(&topology, &hardware);
    assert_int_equal(hardware.cpus, 128);
    assert_int_equal(hardware.gpu_count, 4);
    assert_string_equal(hardware.gpus[3].bus_id, "0000:e1:00.0");
}

static void what_a_cgroup_forbids_is_known_but_not_used(void **state)
{
    (void)state;
    read_recorded("cgroup.xml");
    assert_int_equal(topology.core_count, 6);
    assert_int_equal(topology.core_total, 16);
    assert_int_equal(topology_count_cpus(&topology), 10);
    assert_int_equal(topology.cores[0].cpu_count, 1);
    assert_int_equal(topology.cores[0].cpus[0], 16); /* the usable thread comes first */
    assert_int_equal(topology.cores[0].cpus[1], 0);
    assert_int_equal(topology.cores[6].number, 6);
    assert_int_equal(topology.cores[6].cpu_count, 0);
    assert_int_equal(topology.gpus[1].nodes, 2); /* where no processor is ours */
}

static void nodes_without_cores_are_nodes(void **state)
{
    (void)state;
    read_recorded("asymmetric.xml");
    assert_int_equal(topology.node_count, 3);
    assert_int_equal(topology.core_total, 8);
    for (int i = 0; i < topology.core_total; i++)
        assert_int_equal(topology.cores[i].node, i < 6 ? 0 : 1);
    assert_true(topology.nodes[2].is_allowed);
    assert_int_equal(count_nodes(topology.gpus[0].nodes), 1);
}

/* What may be used */

static void a_changed_cpuset_is_set_without_reading(void **state)
{
    (void)state;
    struct error err = {0};
    read_recorded("dgx.xml");
    static struct topology whole;
    whole = topology;
    cpu_set_t some;
    CPU_ZERO(&some);
    CPU_SET(48, &some); /* the sibling of 16 */
    CPU_SET(3, &some);
    CPU_SET(35, &some);
    assert_int_equal(topology_set_allowed(&topology, &some, &err), 0);
    assert_int_equal(topology.core_count, 2);
    assert_int_equal(topology.cores[0].number, 3);
    assert_int_equal(topology.cores[0].cpu_count, 2);
    assert_int_equal(topology.cores[1].number, 16);
    assert_int_equal(topology.cores[1].cpu_count, 1);
    assert_int_equal(topology.cores[1].cpus[0], 48);
    assert_int_equal(topology.cores[2].number, 0);

    cpu_set_t none;
    CPU_ZERO(&none);
    CPU_SET(900, &none);
    assert_int_equal(topology_set_allowed(&topology, &none, &err), ERR_INVALID);
    assert_string_equal(err.text, "the topology has no usable processor");
    assert_int_equal(topology.core_count, 2);

    assert_int_equal(topology_set_allowed(&topology, &whole.allowed, &err), 0);
    assert_memory_equal(&topology, &whole, sizeof whole);
}

static void this_machine_is_what_the_mask_says(void **state)
{
    (void)state;
    struct hardware hardware;
    struct error err = {0};
    hardware_detect("", &hardware);
    if (topology_read(NULL, &hardware, &topology, &err) != 0)
        fail_msg("%s", err.text);
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    int cpus = 0;
    for (int i = 0; i < topology.core_count; i++) {
        for (int j = 0; j < topology.cores[i].cpu_count; j++, cpus++)
            assert_true(CPU_ISSET(topology.cores[i].cpus[j], &allowed));
    }
    assert_int_equal(cpus, CPU_COUNT(&allowed));
    assert_false(topology_has_changed(&topology));
}

/* In a child, whose mask is its own. */
static void a_narrower_mask_is_noticed(void **state)
{
    (void)state;
    cpu_set_t allowed;
    topology_get_allowed(&allowed);
    if (CPU_COUNT(&allowed) < 2)
        skip();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct hardware hardware = {0};
        struct error err = {0};
        cpu_set_t one;
        CPU_ZERO(&one);
        for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
            if (CPU_ISSET(cpu, &allowed))
                CPU_SET(cpu, &one);
        }
        bool is_right = topology_read(NULL, &hardware, &topology, &err) == 0 &&
                        !topology_has_changed(&topology) &&
                        sched_setaffinity(0, sizeof one, &one) == 0 &&
                        topology_has_changed(&topology);
        topology_get_allowed(&allowed);
        is_right = is_right && topology_set_allowed(&topology, &allowed, &err) == 0 &&
                   topology_count_cpus(&topology) == 1 && !topology_has_changed(&topology) &&
                   sched_setaffinity(0, sizeof allowed, &allowed) == 0;
        _exit(is_right ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Files that are none, or worse */

static char path[] = "/tmp/argosy-topology-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    strcpy(path + strlen(path) - 6, "XXXXXX");
    int fd = mkstemp(path);
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_text(const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void bad_sources_are_refused(void **state)
{
    (void)state;
    struct hardware hardware = {.cpus = 1};
    struct error err = {0};
    struct topology_source source = {.synthetic = "nonsense"};
    assert_int_equal(topology_read(&source, &hardware, &topology, &err), ERR_INVALID);
    assert_string_equal(err.text, "\"nonsense\" is no hwloc synthetic topology");
    assert_int_equal(read_file("/nonexistent", &err), ERR_NOT_FOUND);
    assert_int_equal(read_file("/dev/null", &err), ERR_INVALID);
    assert_int_equal(read_file("/tmp", &err), ERR_INVALID);
    assert_int_equal(read_file(path, &err), ERR_INVALID);
    assert_int_equal(truncate(path, 17 << 20), 0);
    assert_int_equal(read_file(path, &err), ERR_LIMIT);
    assert_non_null(strstr(err.text, "larger than 16 MiB"));
}

static void machines_above_the_limits_are_refused(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "numa:65 core:1 pu:1",
        "pack:2 core:600 pu:1",
        "core:1 pu:9",
        "core:1 pu:1(indexes=1024)",
        "[numa(indexes=2000)] core:1 pu:1",
    };
    struct hardware hardware = {0};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        struct topology_source source = {.synthetic = sources[i]};
        struct error err = {0};
        if (topology_read(&source, &hardware, &topology, &err) != ERR_LIMIT)
            fail_msg("%s: \"%s\"", sources[i], err.text);
    }
}

/* Whatever is read is within the arrays that it lies in. */
static void check_topology(void)
{
    assert_in_range(topology.core_count, 1, TOPOLOGY_CORE_MAX);
    assert_in_range(topology.core_total, topology.core_count, TOPOLOGY_CORE_MAX);
    assert_in_range(topology.node_count, 1, TOPOLOGY_NODE_MAX);
    assert_in_range(topology.gpu_count, 0, HARDWARE_GPU_MAX);
    assert_in_range(topology.l3_count, 1, topology.core_total);
    for (int i = 0; i < topology.core_total; i++) {
        const struct topology_core *core = &topology.cores[i];
        assert_in_range(core->node, 0, topology.node_count - 1);
        assert_in_range(core->l3, 0, topology.l3_count - 1);
        assert_in_range(core->package, 0, topology.package_count - 1);
        assert_in_range(core->number, 0, topology.core_total - 1);
        assert_in_range(core->cpu_total, 1, TOPOLOGY_SMT_MAX);
        assert_in_range(core->cpu_count, i < topology.core_count ? 1 : 0, core->cpu_total);
        for (int j = 0; j < core->cpu_total; j++)
            assert_in_range(core->cpus[j], 0, TOPOLOGY_CPU_MAX - 1);
    }
    for (int i = 0; i < topology.gpu_count; i++) {
        uint64_t known =
            topology.node_count == 64 ? UINT64_MAX : (UINT64_C(1) << topology.node_count) - 1;
        assert_int_equal(topology.gpus[i].nodes & ~known, 0);
        for (const char *at = topology.gpus[i].gpu.model; *at != '\0'; at++)
            assert_in_range(*at, ' ', '~');
    }
}

/* A machine's file with bytes changed, cut and doubled, from a seed that a failure names: an error
 * or a machine, whatever hwloc makes of it in its child. */
static void hostile_files_do_not_hurt_the_caller(void **state)
{
    (void)state;
    char source[512];
    char text[16384];
    char changed[sizeof text];
    snprintf(source, sizeof source, "%s/tests/golden/topology/cgroup.xml",
             getenv("ARGOSY_SOURCE_DIR"));
    FILE *file = fopen(source, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_in_range(size, 1000, sizeof text - 1);
    int accepted = 0;
    for (unsigned seed = 1; seed <= 150; seed++) {
        unsigned bits = seed * 2654435761u;
        memcpy(changed, text, size);
        for (unsigned i = 0; i <= seed % 7; i++) {
            bits = bits * 1103515245u + 12345u;
            size_t at = (bits >> 8) % size;
            static const char bytes[] = "0f9\"<>/ -";
            changed[at] = bytes[(bits >> 3) % (sizeof bytes - 1)];
        }
        write_text(changed, seed % 10 == 0 ? (bits >> 8) % size : size);
        struct error err = {0};
        int code = read_file(path, &err);
        if (code != 0 && code != ERR_INVALID && code != ERR_LIMIT)
            fail_msg("seed %u: %d: %s", seed, code, err.text);
        if (code == 0) {
            check_topology();
            accepted++;
        }
    }
    /* Both ways were gone. */
    assert_in_range(accepted, 5, 145);
}

static void deep_and_wide_files_do_not_hurt_the_caller(void **state)
{
    (void)state;
    static const char head[] = "<?xml version=\"1.0\"?><!DOCTYPE topology SYSTEM \"hwloc2.dtd\">"
                               "<topology version=\"2.0\">";
    static const char object[] =
        "<object type=\"Group\" cpuset=\"0x1\" complete_cpuset=\"0x1\" nodeset=\"0x1\" "
        "complete_nodeset=\"0x1\" gp_index=\"1\">";
    size_t size = sizeof head + 20000 * sizeof object;
    char *text = malloc(size);
    assert_non_null(text);
    strcpy(text, head);
    size_t length = sizeof head - 1;
    for (int i = 0; i < 20000; i++) {
        memcpy(text + length, object, sizeof object - 1);
        length += sizeof object - 1;
    }
    struct error err = {0};
    write_text(text, length);
    assert_true(read_file(path, &err) < 0);
    free(text);
    /* An entity that grows to gigabytes. */
    static const char bomb[] =
        "<?xml version=\"1.0\"?><!DOCTYPE topology [<!ENTITY a \"aaaaaaaaaaaaaaaaaaaaaaaaa\">"
        "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">"
        "<!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\">"
        "<!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\">"
        "<!ENTITY f \"&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;\">]>"
        "<topology version=\"2.0\"><object type=\"Machine\" name=\"&f;\"/></topology>";
    write_text(bomb, sizeof bomb - 1);
    assert_true(read_file(path, &err) < 0);
    assert_string_not_equal(err.text, "");
}

#define WITH_FILE(function) cmocka_unit_test_setup_teardown(function, make_file, remove_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_read_whole),
        cmocka_unit_test(what_a_cgroup_forbids_is_known_but_not_used),
        cmocka_unit_test(nodes_without_cores_are_nodes),
        cmocka_unit_test(a_changed_cpuset_is_set_without_reading),
        cmocka_unit_test(this_machine_is_what_the_mask_says),
        cmocka_unit_test(a_narrower_mask_is_noticed),
        WITH_FILE(bad_sources_are_refused),
        cmocka_unit_test(machines_above_the_limits_are_refused),
        WITH_FILE(hostile_files_do_not_hurt_the_caller),
        WITH_FILE(deep_and_wide_files_do_not_hurt_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
