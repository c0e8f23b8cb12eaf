/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_plans: plans for the recorded machines of tests/golden/topology. The *.plan files there hold
 * a configuration and the plan that was counted by hand for it; what must hold of every plan is
 * looked for in all machines with all ways of pinning.
 */
#include "tests/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/placement/placement.h"

#define FOLDER "tests/golden/topology"

static struct topology topology;
static struct fleet_config *config;
static struct placement placement;

static void read_machine(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/" FOLDER "/%s", getenv("ARGOSY_SOURCE_DIR"), name);
    struct topology_source source = {.xml_path = path};
    struct error err = {0};
    if (topology_read(&source, NULL, &topology, &err) != 0)
        fail_msg("%s", err.text);
}

static void plan(const char *yaml)
{
    struct hardware hardware;
    struct error err = {0};
    topology_hardware(&topology, &hardware);
    if (fleet_config_parse(yaml, strlen(yaml), "f.yaml", "/", &hardware, &config, &err) != 0 ||
        placement_create(&topology, config, &placement, &err) != 0)
        fail_msg("%s", err.text);
}

static void drop_plan(void)
{
    placement_destroy(&placement);
    fleet_config_destroy(config);
    config = NULL;
}

/* Plans counted by hand */

static void check_file(const char *name)
{
    char path[512];
    char text[16384];
    snprintf(path, sizeof path, "%s/" FOLDER "/%s", getenv("ARGOSY_SOURCE_DIR"), name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    char machine[64];
    assert_int_equal(sscanf(text, "# machine: %63s", machine), 1);
    char *end = strstr(text, "---\n");
    assert_non_null(end);
    *end = '\0';
    read_machine(machine);
    plan(text);
    struct buffer out = {0};
    placement_print(&placement, &out);
    if (strcmp(buffer_text(&out), end + 4) != 0)
        fail_msg("%s expects:\n%s\nfound:\n%s", name, end + 4, buffer_text(&out));
    buffer_fini(&out);
    drop_plan();
}

static void plans_are_those_counted_by_hand(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/" FOLDER, getenv("ARGOSY_SOURCE_DIR"));
    DIR *folder = opendir(path);
    assert_non_null(folder);
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        const char *ending = strrchr(entry->d_name, '.');
        if (ending == NULL || strcmp(ending, ".plan") != 0)
            continue;
        check_file(entry->d_name);
        count++;
    }
    closedir(folder);
    assert_true(count >= 10);
}

/* What must hold of every plan */

static const char *case_name; /* what a failure is about */

static bool has_core(const struct placement_pin *pin, const struct topology_core *core)
{
    for (int i = 0; i < core->cpu_total; i++) {
        if (CPU_ISSET(core->cpus[i], &pin->cpus))
            return true;
    }
    return false;
}

static bool is_worker(const struct placement_pin *pin)
{
    return pin->group != NULL;
}

static void check_processors(const struct placement_pin *pin)
{
    char name[PLACEMENT_NAME_MAX];
    placement_name(pin, name);
    cpu_set_t inside;
    CPU_AND(&inside, &pin->cpus, &topology.allowed);
    if (CPU_COUNT(&pin->cpus) == 0 || !CPU_EQUAL(&inside, &pin->cpus))
        fail_msg("%s: %s has no processors, or forbidden ones", case_name, name);
    if (pin->is_pinned == (topology.core_count < PLACEMENT_CORES_MIN) && pin->group != NULL &&
        pin->group->pinning != FLEET_PINNING_NONE)
        fail_msg("%s: %s is pinned where nobody is, or is not", case_name, name);
    for (int i = 0; i < topology.core_count && pin->is_pinned && is_worker(pin); i++) {
        int threads = 0;
        for (int j = 0; j < topology.cores[i].cpu_count; j++)
            threads += CPU_ISSET(topology.cores[i].cpus[j], &pin->cpus) != 0;
        int all = pin->group->smt == FLEET_SMT_AVOID ? 1 : topology.cores[i].cpu_count;
        if (threads != 0 && threads != all)
            fail_msg("%s: %s has %d threads of core %d", case_name, name, threads,
                     topology.cores[i].number);
    }
}

/* Two processes on one core say so, and nobody is with the engine but the link. */
static void check_overlap(const struct placement_pin *a, const struct placement_pin *b)
{
    if (!a->is_pinned || !b->is_pinned || (!is_worker(a) && !is_worker(b)))
        return;
    char name[PLACEMENT_NAME_MAX];
    char other[PLACEMENT_NAME_MAX];
    for (int i = 0; i < topology.core_total; i++) {
        if (!has_core(a, &topology.cores[i]) || !has_core(b, &topology.cores[i]))
            continue;
        if (!is_worker(a) || !is_worker(b) || !a->is_shared || !b->is_shared)
            fail_msg("%s: %s and %s both have core %d", case_name, placement_name(a, name),
                     placement_name(b, other), topology.cores[i].number);
    }
}

static void check_sharing_is_true(const struct placement_pin *pin)
{
    bool is_shared = false;
    for (size_t i = 0; i < placement.pin_count; i++) {
        const struct placement_pin *other = &placement.pins[i];
        for (int core = 0; core < topology.core_total; core++)
            is_shared |= other != pin && other->is_pinned &&
                         has_core(other, &topology.cores[core]) &&
                         has_core(pin, &topology.cores[core]);
    }
    char name[PLACEMENT_NAME_MAX];
    if (is_worker(pin) && pin->is_pinned && pin->is_shared && !is_shared)
        fail_msg("%s: %s is said to share cores", case_name, placement_name(pin, name));
}

static void check_gpu(const struct placement_pin *pin)
{
    char name[PLACEMENT_NAME_MAX];
    placement_name(pin, name);
    if (pin->gpu < 0)
        return;
    uint64_t local = topology.gpus[pin->gpu].nodes;
    bool has_local = false;
    bool could_have = false; /* beside the engine */
    for (int i = 0; i < topology.core_count; i++) {
        const struct topology_core *core = &topology.cores[i];
        bool is_local = (local >> core->node & 1) != 0;
        has_local |= is_local && has_core(pin, core);
        could_have |=
            is_local && (!placement.pins[0].is_pinned || !has_core(&placement.pins[0], core));
    }
    if (has_local == pin->is_remote || (pin->is_pinned && could_have && !has_local))
        fail_msg("%s: %s is %s its GPU", case_name, name, has_local ? "near" : "far from");
    if (pin->memory_node < 0)
        return;
    for (int i = 0; i < topology.core_count; i++) {
        if (has_core(pin, &topology.cores[i]) &&
            topology.nodes[topology.cores[i].node].os_index != pin->memory_node)
            fail_msg("%s: %s has cores and memory of different nodes", case_name, name);
    }
}

static void check_memory(const struct placement_pin *pin)
{
    int nodes = 0;
    for (int i = 0; i < topology.node_count; i++)
        nodes += topology.nodes[i].is_allowed;
    char name[PLACEMENT_NAME_MAX];
    bool is_expected =
        is_worker(pin) && pin->is_pinned && pin->group->kind == FLEET_GROUP_GPU && nodes > 1;
    if (is_expected != (pin->memory_node >= 0))
        fail_msg("%s: memory of %s", case_name, placement_name(pin, name));
}

static void check_plan(void)
{
    int most = 0;
    int least = 1000;
    for (size_t i = 0; i < placement.pin_count; i++) {
        const struct placement_pin *pin = &placement.pins[i];
        check_processors(pin);
        check_gpu(pin);
        check_memory(pin);
        check_sharing_is_true(pin);
        for (size_t j = 0; j < i; j++)
            check_overlap(pin, &placement.pins[j]);
        if (pin->device_users > most)
            most = pin->device_users;
        if (pin->device_users > 0 && pin->device_users < least)
            least = pin->device_users;
    }
    if (most > least + 1)
        fail_msg("%s: one GPU has %d processes, another one %d", case_name, most, least);
}

static void check_drawing(void)
{
    struct buffer svg = {0};
    placement_draw(&placement, &svg);
    assert_false(svg.failed);
    assert_string_equal(buffer_text(&svg) + svg.size - 7, "</svg>\n");
    buffer_fini(&svg);
}

static const char *const machines[] = {"dgx.xml", "amd.xml", "one_core.xml", "cgroup.xml",
                                       "asymmetric.xml"};
static const char *const pinnings[] = {"core", "l3", "numa", "none"};

static void check_all_ways(const char *machine, int cpu, int gpu, const char *engine)
{
    for (int way = 0; way < 4 * 4 * 4; way++) {
        const char *of_cpu = pinnings[way % 4];
        const char *of_gpu = pinnings[way / 4 % 4];
        bool avoids_cpu = way / 16 % 2 == 1 && strcmp(of_cpu, "none") != 0;
        bool avoids_gpu = way / 32 % 2 == 1 && strcmp(of_gpu, "none") != 0;
        char yaml[512];
        snprintf(yaml, sizeof yaml,
                 "%sgroups:\n- {name: cpu, kind: cpu, processes: %d, pinning: %s%s}\n"
                 "- {name: gpu, kind: gpu, processes: %d, pinning: %s%s}\n",
                 engine, cpu, of_cpu, avoids_cpu ? ", smt: avoid" : "", gpu, of_gpu,
                 avoids_gpu ? ", smt: avoid" : "");
        char name[640];
        snprintf(name, sizeof name, "%s with\n%s", machine, yaml);
        case_name = name;
        plan(yaml);
        check_plan();
        if (way == 0)
            check_drawing();
        drop_plan();
    }
}

static void every_plan_keeps_the_rules(void **state)
{
    (void)state;
    static const int counts[][2] = {{0, 1}, {1, 0}, {2, 3}, {16, 8}, {30, 11}};
    for (size_t m = 0; m < sizeof machines / sizeof machines[0]; m++) {
        read_machine(machines[m]);
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
            check_all_ways(machines[m], counts[c][0], counts[c][1], "");
        check_all_ways(machines[m], 2, 3,
                       "engine: {insecure: true, endpoint: \"tcp://127.0.0.1:5\"}\n");
    }
}

/* Whatever of the machine is taken away, the rest is planned for by the same rules. */
static void every_cpuset_keeps_the_rules(void **state)
{
    (void)state;
    struct error err = {0};
    for (size_t m = 0; m < sizeof machines / sizeof machines[0]; m++) {
        read_machine(machines[m]);
        for (unsigned seed = 1; seed <= 100; seed++) {
            cpu_set_t allowed;
            CPU_ZERO(&allowed);
            unsigned bits = seed * 2654435761u;
            for (int cpu = 0; cpu < 128; cpu++) {
                bits = bits * 1103515245u + 12345u;
                if ((bits >> 16) % 8 < seed % 8)
                    CPU_SET(cpu, &allowed);
            }
            if (topology_set_allowed(&topology, &allowed, &err) != 0)
                continue;
            char yaml[256];
            char name[512];
            snprintf(yaml, sizeof yaml,
                     "groups:\n- {name: cpu, kind: cpu, processes: 6, pinning: %s}\n"
                     "- {name: gpu, kind: gpu, pinning: %s}\n",
                     pinnings[seed % 3], pinnings[seed / 3 % 3]);
            snprintf(name, sizeof name, "%s, cpuset %u, with\n%s", machines[m], seed, yaml);
            case_name = name;
            plan(yaml);
            check_plan();
            drop_plan();
        }
    }
}

/* A core that an avoiding worker has for itself has an idle sibling. */
static void siblings_are_left_idle(void **state)
{
    (void)state;
    read_machine("dgx.xml");
    plan("groups:\n- {name: cpu, kind: cpu, processes: 6, smt: avoid}\n"
         "- {name: gpu, kind: gpu, smt: avoid}\n");
    int idle = 0;
    for (int i = 0; i < topology.core_count; i++) {
        for (int j = 0; j < topology.cores[i].cpu_count; j++) {
            bool is_used = false;
            for (size_t p = 0; p < placement.pin_count; p++)
                is_used |= placement.pins[p].is_pinned &&
                           CPU_ISSET(topology.cores[i].cpus[j], &placement.pins[p].cpus);
            idle += !is_used;
        }
    }
    assert_int_equal(idle, 30); /* of 32 cores all but the engine's two */
    drop_plan();
}

/* A running process keeps its GPU, whatever is added before it. */
static void processes_keep_their_gpus(void **state)
{
    (void)state;
    struct error err = {0};
    read_machine("dgx.xml");
    plan("groups:\n- {name: a, kind: gpu, processes: 2}\n- {name: b, kind: gpu, processes: 2}\n");
    struct placement before = placement;
    struct fleet_config *config_before = config;
    placement = (struct placement){0};
    static const char more[] = "groups:\n- {name: new, kind: gpu, processes: 2}\n"
                               "- {name: a, kind: gpu, processes: 4}\n"
                               "- {name: b, kind: gpu, processes: 2, gpus: [3, 5]}\n";
    struct hardware hardware;
    topology_hardware(&topology, &hardware);
    assert_int_equal(
        fleet_config_parse(more, strlen(more), "f.yaml", "/", &hardware, &config, &err), 0);
    assert_int_equal(placement_create_after(&before, &topology, config, &placement, &err), 0);
    const struct fleet_group *a = fleet_config_group(config, "a");
    const struct fleet_group *b = fleet_config_group(config, "b");
    const struct fleet_group *new = fleet_config_group(config, "new");
    assert_int_equal(placement_find(&placement, a, 0)->gpu, 0);
    assert_int_equal(placement_find(&placement, a, 1)->gpu, 1);
    assert_int_equal(placement_find(&placement, b, 0)->gpu, 5); /* had 2, which it may not now */
    assert_int_equal(placement_find(&placement, b, 1)->gpu, 3);
    assert_int_equal(placement_find(&placement, new, 0)->gpu, 2);
    assert_int_equal(placement_find(&placement, new, 1)->gpu, 4);
    assert_int_equal(placement_find(&placement, a, 2)->gpu, 6);
    assert_int_equal(placement_find(&placement, a, 3)->gpu, 7);
    drop_plan();
    placement_destroy(&before);
    fleet_config_destroy(config_before);
}

static void a_gpu_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    static const char yaml[] = "groups:\n- {name: g, kind: gpu, gpus: [0, 8]}\n";
    struct error err = {0};
    struct hardware hardware;
    read_machine("dgx.xml");
    topology_hardware(&topology, &hardware);
    assert_int_equal(
        fleet_config_parse(yaml, strlen(yaml), "f.yaml", "/", &hardware, &config, &err), 0);
    assert_int_equal(placement_create(&topology, config, &placement, &err), ERR_CONFIG);
    assert_string_equal(err.text,
                        "f.yaml: group \"g\" names GPU \"8\", which this machine does not "
                        "have (it has 8)");
    fleet_config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_those_counted_by_hand),
        cmocka_unit_test(every_plan_keeps_the_rules),
        cmocka_unit_test(every_cpuset_keeps_the_rules),
        cmocka_unit_test(siblings_are_left_idle),
        cmocka_unit_test(processes_keep_their_gpus),
        cmocka_unit_test(a_gpu_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
