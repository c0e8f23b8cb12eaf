/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner_core: deals cores. The engine takes the first; what is left of a NUMA node is divided
 * between GPU and CPU workers, and each part between those who have cores of their own and those
 * who run together (pinning l3 and numa):
 *
 *     [ GPU workers, own cores | together | CPU workers, own cores ]
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/placement/planner.h"

/* From here on the engine's loop and its commit thread have a core each. */
#define ENGINE_TWO_CORES_MIN 16

#define NOWHERE (-1)

/* The workers of one kind on one node. */
struct claim {
    int own;      /* workers with cores of their own */
    int together; /* workers that share */
    int cores;    /* for the first sort */
    int given;    /* workers of the first sort that have theirs */
};

/* Free cores of one NUMA node and who wants some. */
struct node_share {
    int *cores; /* places in the topology's cores */
    int core_count;
    int gpu_cores;          /* of the cores, from the front, for GPU workers of all sorts */
    struct claim claims[2]; /* by enum fleet_group_kind */
};

struct dealer {
    const struct planner *planner;
    const struct topology *topology;
    struct placement *plan;
    struct node_share *shares; /* one per node */
    int *core_users;           /* processes pinned to each core */
    int *l3_users;             /* workers pinned to each L3 domain */
    int *homes;                /* node of each pin; NOWHERE: no node has room */
};

/* One core */

static void add_core(struct placement_pin *pin, const struct topology_core *core)
{
    bool is_avoiding = pin->group != NULL && pin->group->smt == FLEET_SMT_AVOID;
    for (int i = 0; i < (is_avoiding ? 1 : core->cpu_count); i++)
        CPU_SET(core->cpus[i], &pin->cpus);
}

static void give_core(struct dealer *dealer, struct placement_pin *pin, int core)
{
    add_core(pin, &dealer->topology->cores[core]);
    dealer->core_users[core]++;
    pin->is_pinned = true;
}

static void give_everything(const struct topology *topology, struct placement_pin *pin)
{
    for (int i = 0; i < topology->core_count; i++) {
        for (int cpu = 0; cpu < topology->cores[i].cpu_count; cpu++)
            CPU_SET(topology->cores[i].cpus[cpu], &pin->cpus);
    }
}

/* Who wants what */

static bool is_worker(const struct placement_pin *pin, enum fleet_group_kind kind)
{
    return pin->group != NULL && pin->group->kind == kind &&
           pin->group->pinning != FLEET_PINNING_NONE;
}

/* The nodes that are local to the pin's GPU, as bits; 0 when it has none, or nobody knows. */
static uint64_t local_nodes(const struct topology *topology, const struct placement_pin *pin)
{
    return pin->gpu >= 0 ? topology->gpus[pin->gpu].nodes : 0;
}

/* The node with most cores, the first of several: one that has few may be a GPU's only. */
static int choose_engine_node(const struct topology *topology)
{
    int counts[TOPOLOGY_NODE_MAX] = {0};
    int best = 0;
    for (int core = 0; core < topology->core_count; core++)
        counts[topology->cores[core].node]++;
    for (int node = 1; node < topology->node_count; node++) {
        if (counts[node] > counts[best])
            best = node;
    }
    return best;
}

/* The engine, and the link with it, take the first cores of a node; the others go to their nodes'
 * shares. */
static void share_cores(struct dealer *dealer)
{
    const struct topology *topology = dealer->topology;
    int node = choose_engine_node(topology);
    int wanted = 0;
    if (dealer->planner->config->engine.endpoint == NULL)
        wanted = topology->core_count >= ENGINE_TWO_CORES_MIN ? 2 : 1;
    for (int core = 0; core < topology->core_count; core++) {
        if (wanted > 0 && topology->cores[core].node == node) {
            give_core(dealer, &dealer->plan->pins[0], core);
            add_core(&dealer->plan->pins[1], &topology->cores[core]);
            dealer->plan->pins[1].is_pinned = true;
            wanted--;
        } else {
            struct node_share *share = &dealer->shares[topology->cores[core].node];
            share->cores[share->core_count++] = core;
        }
    }
}

/* The node of those in mask with most free cores for each worker it would then have; of equal ones
 * that with fewer workers. */
static int choose_node(const struct dealer *dealer, enum fleet_group_kind kind, uint64_t mask)
{
    int best = NOWHERE;
    int best_workers = 0;
    double best_room = 0;
    for (int node = 0; node < dealer->topology->node_count; node++) {
        const struct node_share *share = &dealer->shares[node];
        const struct claim *claim = &share->claims[kind];
        int cores = share->core_count - (kind == FLEET_GROUP_CPU ? share->gpu_cores : 0);
        int workers = claim->own + claim->together;
        double room = (double)cores / (1 + workers);
        bool is_better =
            room > best_room || (best != NOWHERE && room == best_room && workers < best_workers);
        if ((mask >> node & 1) != 0 && is_better) {
            best_room = room;
            best_workers = workers;
            best = node;
        }
    }
    return best;
}

static void find_homes(struct dealer *dealer, enum fleet_group_kind kind)
{
    for (size_t i = 0; i < dealer->plan->pin_count; i++) {
        const struct placement_pin *pin = &dealer->plan->pins[i];
        if (!is_worker(pin, kind))
            continue;
        dealer->homes[i] = choose_node(dealer, kind, local_nodes(dealer->topology, pin));
        if (dealer->homes[i] == NOWHERE)
            dealer->homes[i] = choose_node(dealer, kind, UINT64_MAX);
        if (dealer->homes[i] == NOWHERE)
            continue;
        struct claim *claim = &dealer->shares[dealer->homes[i]].claims[kind];
        if (pin->group->pinning == FLEET_PINNING_CORE)
            claim->own++;
        else
            claim->together++;
    }
}

/* Half of each node's cores are for GPU workers, and at least one for each of its own cores; all
 * where no CPU worker wants any. */
static void reserve_for_gpus(struct dealer *dealer)
{
    bool has_cpu_workers = false;
    for (size_t i = 0; i < dealer->plan->pin_count; i++)
        has_cpu_workers |= is_worker(&dealer->plan->pins[i], FLEET_GROUP_CPU);
    for (int node = 0; node < dealer->topology->node_count; node++) {
        struct node_share *share = &dealer->shares[node];
        const struct claim *claim = &share->claims[FLEET_GROUP_GPU];
        int wanted = claim->own + (claim->together > 0);
        if (wanted == 0)
            continue;
        int half = share->core_count / 2;
        int cores = half > wanted ? half : wanted;
        share->gpu_cores =
            !has_cpu_workers || cores > share->core_count ? share->core_count : cores;
    }
}

/* Of count cores, those for workers with cores of their own: in proportion, and some for each sort
 * that there is. */
static int divide(int count, const struct claim *claim)
{
    if (claim->own == 0 || claim->together == 0)
        return claim->own == 0 ? 0 : count;
    int cores = count * claim->own / (claim->own + claim->together);
    if (cores == 0)
        return count > 0 ? 1 : 0;
    return cores;
}

static void divide_nodes(struct dealer *dealer)
{
    for (int node = 0; node < dealer->topology->node_count; node++) {
        struct node_share *share = &dealer->shares[node];
        struct claim *gpu = &share->claims[FLEET_GROUP_GPU];
        struct claim *cpu = &share->claims[FLEET_GROUP_CPU];
        gpu->cores = divide(share->gpu_cores, gpu);
        cpu->cores = divide(share->core_count - share->gpu_cores, cpu);
    }
}

/* Who gets what */

/* The next worker's part of the cores; workers beyond the cores double up. */
static void give_part(struct dealer *dealer, struct placement_pin *pin, const int *cores,
                      struct claim *claim)
{
    int nth = claim->given++;
    if (claim->own > claim->cores) {
        give_core(dealer, pin, cores[nth % claim->cores]);
        return;
    }
    for (int i = nth * claim->cores / claim->own; i < (nth + 1) * claim->cores / claim->own; i++)
        give_core(dealer, pin, cores[i]);
}

/* The L3 domain among the cores with most of them for each worker it would then have; of equal ones
 * that with fewer workers. */
static int choose_l3(const struct dealer *dealer, const int *cores, int count)
{
    int best = -1;
    double best_room = 0;
    for (int first = 0, next; first < count; first = next) {
        int l3 = dealer->topology->cores[cores[first]].l3;
        next = first + 1;
        while (next < count && dealer->topology->cores[cores[next]].l3 == l3)
            next++;
        double room = (double)(next - first) / (1 + dealer->l3_users[l3]);
        if (room > best_room ||
            (room == best_room && dealer->l3_users[l3] < dealer->l3_users[best])) {
            best_room = room;
            best = l3;
        }
    }
    return best;
}

/* What workers with cores of their own leave; where that is nothing, all that the engine does. */
static void give_common(struct dealer *dealer, struct placement_pin *pin,
                        const struct node_share *share)
{
    int first = share->claims[FLEET_GROUP_GPU].cores;
    int count = share->core_count - first - share->claims[FLEET_GROUP_CPU].cores;
    if (count == 0) {
        first = 0;
        count = share->core_count;
    }
    int l3 = -1;
    if (pin->group->pinning == FLEET_PINNING_L3) {
        l3 = choose_l3(dealer, share->cores + first, count);
        dealer->l3_users[l3]++;
    }
    for (int i = first; i < first + count; i++) {
        if (l3 < 0 || dealer->topology->cores[share->cores[i]].l3 == l3)
            give_core(dealer, pin, share->cores[i]);
    }
}

static void give_home(struct dealer *dealer, struct placement_pin *pin, int home)
{
    enum fleet_group_kind kind = pin->group->kind;
    /* The GPU workers took all cores: others run on any but the engine's. */
    if (home == NOWHERE) {
        for (int node = 0; node < dealer->topology->node_count; node++) {
            for (int i = 0; i < dealer->shares[node].core_count; i++)
                give_core(dealer, pin, dealer->shares[node].cores[i]);
        }
        return;
    }
    struct node_share *share = &dealer->shares[home];
    struct claim *claim = &share->claims[kind];
    if (pin->group->pinning != FLEET_PINNING_CORE)
        give_common(dealer, pin, share);
    else if (kind == FLEET_GROUP_GPU)
        give_part(dealer, pin, share->cores, claim);
    else
        give_part(dealer, pin, share->cores + share->core_count - claim->cores, claim);
}

/* Binding memory is worth asking for where there is a choice. */
static void bind_memory(const struct topology *topology, struct placement_pin *pin, int home)
{
    int allowed = 0;
    for (int i = 0; i < topology->node_count; i++)
        allowed += topology->nodes[i].is_allowed;
    if (pin->group->kind == FLEET_GROUP_GPU && home != NOWHERE && allowed > 1 &&
        topology->nodes[home].is_allowed)
        pin->memory_node = topology->nodes[home].os_index;
}

static void pin_all(struct dealer *dealer)
{
    share_cores(dealer);
    find_homes(dealer, FLEET_GROUP_GPU);
    reserve_for_gpus(dealer);
    find_homes(dealer, FLEET_GROUP_CPU);
    divide_nodes(dealer);
    for (size_t i = 0; i < dealer->plan->pin_count; i++) {
        struct placement_pin *pin = &dealer->plan->pins[i];
        if (pin->is_pinned)
            continue;
        if (pin->group == NULL || pin->group->pinning == FLEET_PINNING_NONE) {
            give_everything(dealer->topology, pin);
        } else {
            give_home(dealer, pin, dealer->homes[i]);
            bind_memory(dealer->topology, pin, dealer->homes[i]);
        }
    }
}

static void share_everything(struct dealer *dealer)
{
    for (size_t i = 0; i < dealer->plan->pin_count; i++) {
        give_everything(dealer->topology, &dealer->plan->pins[i]);
        dealer->plan->pins[i].is_shared = true;
    }
}

/* What is to be said of the plan */

static bool has_core(const struct placement_pin *pin, const struct topology_core *core)
{
    return CPU_ISSET(core->cpus[0], &pin->cpus) != 0;
}

static void mark_shared(const struct dealer *dealer, struct placement_pin *pin)
{
    const struct topology *topology = dealer->topology;
    for (int core = 0; core < topology->core_count && pin->is_pinned && !pin->is_shared; core++)
        pin->is_shared = dealer->core_users[core] > 1 && has_core(pin, &topology->cores[core]);
}

static void mark_remote(const struct topology *topology, struct placement_pin *pin)
{
    uint64_t local = local_nodes(topology, pin);
    pin->is_remote = local != 0;
    for (int core = 0; core < topology->core_count && pin->is_remote; core++)
        pin->is_remote = (local >> topology->cores[core].node & 1) == 0 ||
                         !has_core(pin, &topology->cores[core]);
}

int planner_deal_cores(const struct planner *planner, struct error *err)
{
    struct dealer dealer = {
        .planner = planner, .topology = planner->topology, .plan = planner->plan};
    size_t nodes = (size_t)dealer.topology->node_count;
    size_t cores = (size_t)dealer.topology->core_count;
    dealer.shares = calloc(nodes, sizeof dealer.shares[0]);
    dealer.core_users = calloc(cores, sizeof dealer.core_users[0]);
    dealer.l3_users = calloc((size_t)dealer.topology->l3_count, sizeof dealer.l3_users[0]);
    dealer.homes = calloc(dealer.plan->pin_count, sizeof dealer.homes[0]);
    int *node_cores = calloc(nodes * cores, sizeof *node_cores);
    int code = 0;
    if (dealer.shares != NULL && dealer.core_users != NULL && dealer.l3_users != NULL &&
        dealer.homes != NULL && node_cores != NULL) {
        for (size_t i = 0; i < nodes; i++)
            dealer.shares[i].cores = node_cores + i * cores;
        if (cores < PLACEMENT_CORES_MIN)
            share_everything(&dealer);
        else
            pin_all(&dealer);
        for (size_t i = 0; i < dealer.plan->pin_count; i++) {
            mark_shared(&dealer, &dealer.plan->pins[i]);
            mark_remote(dealer.topology, &dealer.plan->pins[i]);
        }
    } else {
        code = error_set(err, ERR_MEMORY, "placement: out of memory");
    }
    free(dealer.shares);
    free(dealer.core_users);
    free(dealer.l3_users);
    free(dealer.homes);
    free(node_cores);
    return code;
}
