/* SPDX-License-Identifier: Apache-2.0 */
/* topology_read: the machine through hwloc, in a child (topology.h). */
#include "supervisor/placement/topology.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <hwloc.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/limits.h"

#define PCI_VENDOR_NVIDIA 0x10de
/* Class codes of display controllers: 0x0300 VGA, 0x0302 3D. */
#define PCI_CLASS_DISPLAY 0x03

/* The system's numbers of NUMA nodes: as bits of a memory policy. */
#define NODE_INDEX_MAX 1024

/* Large machines take hwloc a second or two. */
#define READ_S_MAX 20
/* A machine of 1024 cores with all its devices takes 2 MB. */
#define XML_SIZE_MAX (16 * LIMIT_MIB)

/* What the reading child sends. */
struct answer {
    int code;
    struct error err;
    struct topology topology;
};

/* What hwloc would not say: that there is no such file, or one that is too large. */
static int check_file(const char *path, struct error *err)
{
    struct stat about;
    if (access(path, R_OK) != 0 || stat(path, &about) != 0)
        return error_set_errno(err, ERR_NOT_FOUND, errno, "cannot read %s", path);
    if (about.st_size > (off_t)XML_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "%s: larger than %d MiB", path,
                         (int)(XML_SIZE_MAX / LIMIT_MIB));
    return 0;
}

static int set_source(hwloc_topology_t hwloc, const struct topology_source *source,
                      struct error *err)
{
    if (source != NULL && source->xml_path != NULL) {
        int code = check_file(source->xml_path, err);
        if (code == 0 && hwloc_topology_set_xml(hwloc, source->xml_path) != 0)
            code = error_set(err, ERR_INVALID, "%s: not a hwloc topology", source->xml_path);
        return code;
    }
    if (source != NULL && source->synthetic != NULL &&
        hwloc_topology_set_synthetic(hwloc, source->synthetic) != 0)
        return error_set(err, ERR_INVALID, "\"%s\" is no hwloc synthetic topology",
                         source->synthetic);
    return 0;
}

static int open_hwloc(const struct topology_source *source, hwloc_topology_t *ret_hwloc,
                      struct error *err)
{
    hwloc_topology_t hwloc;
    if (hwloc_topology_init(&hwloc) != 0)
        return error_set(err, ERR_MEMORY, "topology: out of memory");
    hwloc_topology_set_io_types_filter(hwloc, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    /* All of the machine: what of it we may use is set, and changes, without hwloc. */
    hwloc_topology_set_flags(hwloc, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    int code = set_source(hwloc, source, err);
    if (code == 0 && hwloc_topology_load(hwloc) != 0)
        code = error_set_errno(err, ERR_INVALID, errno, "cannot read the machine's topology");
    if (code != 0)
        hwloc_topology_destroy(hwloc);
    else
        *ret_hwloc = hwloc;
    return code;
}

static int read_nodes(hwloc_topology_t hwloc, struct topology *topology, struct error *err)
{
    int count = hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_NUMANODE);
    if (count > TOPOLOGY_NODE_MAX)
        return error_set(err, ERR_LIMIT, "%d NUMA nodes are more than %d", count,
                         TOPOLOGY_NODE_MAX);
    if (count <= 0)
        return error_set(err, ERR_INVALID, "the topology has no memory");
    hwloc_const_nodeset_t allowed = hwloc_topology_get_allowed_nodeset(hwloc);
    for (int i = 0; i < count; i++) {
        hwloc_obj_t node = hwloc_get_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, (unsigned)i);
        if (node->os_index >= NODE_INDEX_MAX)
            return error_set(err, ERR_LIMIT, "NUMA node %u is beyond %d", node->os_index,
                             NODE_INDEX_MAX);
        topology->nodes[i] =
            (struct topology_node){.os_index = (int)node->os_index,
                                   .is_allowed = hwloc_bitmap_isset(allowed, node->os_index) != 0,
                                   .memory_bytes = node->attr->numanode.local_memory};
    }
    topology->node_count = count;
    return 0;
}

/* The places in nodes of those near object, as bits. */
static uint64_t find_nodes(const struct topology *topology, hwloc_obj_t object)
{
    while (object != NULL && object->nodeset == NULL)
        object = object->parent;
    uint64_t nodes = 0;
    for (int i = 0; object != NULL && i < topology->node_count; i++) {
        if (hwloc_bitmap_isset(object->nodeset, (unsigned)topology->nodes[i].os_index))
            nodes |= UINT64_C(1) << i;
    }
    return nodes;
}

/* The L3 domain of the core: its cache, where it has one, within its node. last is the core before
 * it, NULL for the first one; cores of a domain stand together. */
static int16_t find_l3(struct topology *topology, hwloc_obj_t cache, hwloc_obj_t last_cache,
                       const struct topology_core *last, int node)
{
    if (last == NULL || cache != last_cache || node != last->node)
        topology->l3_count++;
    return (int16_t)(topology->l3_count - 1);
}

static int read_core(hwloc_obj_t object, struct topology_core *core, struct error *err)
{
    int cpu = -1;
    while ((cpu = hwloc_bitmap_next(object->cpuset, cpu)) >= 0) {
        if (cpu >= TOPOLOGY_CPU_MAX || core->cpu_total == TOPOLOGY_SMT_MAX)
            return error_set(err, ERR_LIMIT,
                             "processor %d is beyond %d processors of at most %d to a core", cpu,
                             TOPOLOGY_CPU_MAX, TOPOLOGY_SMT_MAX);
        core->cpus[core->cpu_total++] = (int16_t)cpu;
    }
    return 0;
}

static int read_cores(hwloc_topology_t hwloc, struct topology *topology, struct error *err)
{
    /* Virtual machines may show processors without cores. */
    hwloc_obj_type_t type =
        hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    int count = hwloc_get_nbobjs_by_type(hwloc, type);
    if (count > TOPOLOGY_CORE_MAX)
        return error_set(err, ERR_LIMIT, "%d cores are more than %d", count, TOPOLOGY_CORE_MAX);
    hwloc_obj_t last_cache = NULL;
    for (int i = 0; i < count; i++) {
        hwloc_obj_t object = hwloc_get_obj_by_type(hwloc, type, (unsigned)i);
        hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_PACKAGE, object);
        hwloc_obj_t cache = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_L3CACHE, object);
        uint64_t nodes = find_nodes(topology, object);
        struct topology_core core = {.number = (int16_t)i,
                                     .node = (int16_t)(nodes != 0 ? __builtin_ctzll(nodes) : 0),
                                     .package =
                                         (int16_t)(package != NULL ? package->logical_index : 0)};
        const struct topology_core *last = i > 0 ? &topology->cores[i - 1] : NULL;
        core.l3 = find_l3(topology, cache, last_cache, last, core.node);
        int code = read_core(object, &core, err);
        if (code != 0)
            return code;
        topology->cores[topology->core_total++] = core;
        last_cache = cache;
    }
    int packages = hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_PACKAGE);
    topology->package_count = packages > 0 ? packages : 1;
    return 0;
}

/* Which processors may be used: here those of the affinity mask, which a cpuset or cgroup limits;
 * elsewhere what the file says. */
static int read_allowed(hwloc_topology_t hwloc, bool is_other, struct topology *topology,
                        struct error *err)
{
    cpu_set_t allowed;
    if (!is_other) {
        topology_get_allowed(&allowed);
        return topology_set_allowed(topology, &allowed, err);
    }
    hwloc_const_cpuset_t set = hwloc_topology_get_allowed_cpuset(hwloc);
    CPU_ZERO(&allowed);
    for (int cpu = 0; cpu < TOPOLOGY_CPU_MAX; cpu++) {
        if (hwloc_bitmap_isset(set, (unsigned)cpu))
            CPU_SET(cpu, &allowed);
    }
    return topology_set_allowed(topology, &allowed, err);
}

/* GPUs */

static void add_gpu(struct topology *topology, const struct hardware_gpu *gpu, hwloc_obj_t device)
{
    hwloc_obj_t near = device;
    while (near != NULL && near->cpuset == NULL)
        near = near->parent;
    /* Attached to the whole machine means that nobody knows where. */
    bool is_located =
        near != NULL && (near->type != HWLOC_OBJ_MACHINE || topology->node_count == 1);
    topology->gpus[topology->gpu_count++] =
        (struct topology_gpu){.gpu = *gpu, .nodes = is_located ? find_nodes(topology, near) : 0};
}

static void read_gpus(hwloc_topology_t hwloc, const struct hardware *hardware,
                      struct topology *topology)
{
    for (size_t i = 0; i < hardware->gpu_count; i++) {
        const struct hardware_gpu *gpu = &hardware->gpus[i];
        hwloc_obj_t device =
            gpu->bus_id[0] != '\0' ? hwloc_get_pcidev_by_busidstring(hwloc, gpu->bus_id) : NULL;
        add_gpu(topology, gpu, device);
    }
}

/* Copies a text of the file, which is shown to people later: anything but plain ASCII is a question
 * mark. */
static void copy_text(const char *text, char *out, size_t size)
{
    size_t length = 0;
    for (; text != NULL && text[length] != '\0' && length < size - 1; length++)
        out[length] = (char)(isprint((unsigned char)text[length]) ? text[length] : '?');
    out[length] = '\0';
}

/* The UUID that hwloc's NVML component notes with a GPU where the file was made. */
static const char *find_uuid(hwloc_topology_t hwloc, hwloc_obj_t device)
{
    for (hwloc_obj_t child = hwloc_get_next_child(hwloc, device, NULL); child != NULL;
         child = hwloc_get_next_child(hwloc, device, child)) {
        const char *uuid = hwloc_obj_get_info_by_name(child, "NVIDIAUUID");
        if (uuid != NULL)
            return uuid;
    }
    return NULL;
}

static int compare_bus_ids(const void *left, const void *right)
{
    const struct topology_gpu *a = left;
    const struct topology_gpu *b = right;
    return strcmp(a->gpu.bus_id, b->gpu.bus_id);
}

/* The GPUs of a machine that is known from a file only. */
static void read_gpus_of_xml(hwloc_topology_t hwloc, struct topology *topology)
{
    hwloc_obj_t device = NULL;
    while ((device = hwloc_get_next_pcidev(hwloc, device)) != NULL &&
           topology->gpu_count < HARDWARE_GPU_MAX) {
        const struct hwloc_pcidev_attr_s *pci = &device->attr->pcidev;
        if (pci->vendor_id != PCI_VENDOR_NVIDIA || pci->class_id >> 8 != PCI_CLASS_DISPLAY)
            continue;
        struct hardware_gpu gpu = {0};
        snprintf(gpu.bus_id, sizeof gpu.bus_id, "%04x:%02x:%02x.%01x", (unsigned)pci->domain,
                 pci->bus, pci->dev, pci->func);
        copy_text(device->name, gpu.model, sizeof gpu.model);
        copy_text(find_uuid(hwloc, device), gpu.uuid, sizeof gpu.uuid);
        add_gpu(topology, &gpu, device);
    }
    qsort(topology->gpus, (size_t)topology->gpu_count, sizeof topology->gpus[0], compare_bus_ids);
    for (int i = 0; i < topology->gpu_count; i++)
        topology->gpus[i].gpu.minor = topology->gpus[i].gpu.ordinal = i;
}

static int load(const struct topology_source *source, const struct hardware *hardware,
                struct topology *topology, struct error *err)
{
    hwloc_topology_t hwloc;
    int code = open_hwloc(source, &hwloc, err);
    if (code != 0)
        return code;
    code = read_nodes(hwloc, topology, err);
    if (code == 0)
        code = read_cores(hwloc, topology, err);
    if (code == 0)
        code = read_allowed(hwloc, source != NULL, topology, err);
    if (code == 0 && source != NULL && source->xml_path != NULL)
        read_gpus_of_xml(hwloc, topology);
    else if (code == 0)
        read_gpus(hwloc, hardware, topology);
    hwloc_topology_destroy(hwloc);
    return code;
}

static void send_answer(int fd, const struct answer *answer)
{
    const char *data = (const char *)answer;
    for (size_t sent = 0; sent < sizeof *answer;) {
        ssize_t count = write(fd, data + sent, sizeof *answer - sent);
        if (count < 0 && errno != EINTR)
            _exit(EXIT_FAILURE);
        sent += count > 0 ? (size_t)count : 0;
    }
}

static bool receive_answer(int fd, struct answer *answer)
{
    char *data = (char *)answer;
    size_t received = 0;
    while (received < sizeof *answer) {
        ssize_t count = read(fd, data + received, sizeof *answer - received);
        if (count == 0 || (count < 0 && errno != EINTR))
            return false;
        received += count > 0 ? (size_t)count : 0;
    }
    return true;
}

/* In the child: hwloc crashes on some files, and may take for ever on others. That is the child's
 * death and nothing else: no handler of the caller runs, no core is left. */
static void isolate(bool is_other)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM};
    const struct rlimit no_core = {0};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_DFL);
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(READ_S_MAX);
    /* What hwloc says of a wrong file, at length, is in our error. */
    if (is_other)
        setenv("HWLOC_HIDE_ERRORS", "2", 1);
}

/* Runs load in a child and receives what it found. */
static int load_in_child(const struct topology_source *source, const struct hardware *hardware,
                         struct answer *answer, struct error *err)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot read the machine's topology");
    pid_t pid = fork();
    if (pid == 0) {
        close(pipe_fds[0]);
        isolate(source != NULL);
        answer->code = load(source, hardware, &answer->topology, &answer->err);
        send_answer(pipe_fds[1], answer);
        _exit(EXIT_SUCCESS);
    }
    close(pipe_fds[1]);
    bool is_received = pid > 0 && receive_answer(pipe_fds[0], answer);
    close(pipe_fds[0]);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (is_received)
        return 0;
    if (pid > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return error_set(err, ERR_TIMEOUT, "the topology could not be read in %d s", READ_S_MAX);
    if (pid > 0 && source != NULL && source->xml_path != NULL)
        return error_set(err, ERR_INVALID,
                         "%s: not a hwloc topology: reading it failed (status %d)",
                         source->xml_path, status);
    return error_set(err, ERR_IO, "reading the machine's topology failed (status %d)", status);
}

int topology_read(const struct topology_source *source, const struct hardware *hardware,
                  struct topology *ret_topology, struct error *err)
{
    struct answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        return error_set(err, ERR_MEMORY, "topology: out of memory");
    int code = load_in_child(source, hardware, answer, err);
    if (code == 0 && answer->code != 0)
        code = error_set(err, answer->code, "%s", answer->err.text);
    if (code == 0)
        *ret_topology = answer->topology;
    free(answer);
    return code;
}
