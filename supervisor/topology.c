/* SPDX-License-Identifier: Apache-2.0 */
/* topology: see topology.h. */
#include "supervisor/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <hwloc.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PCI_VENDOR_NVIDIA 0x10de
/* Class codes of display controllers: 0x0300 VGA, 0x0302 3D. */
#define PCI_CLASS_DISPLAY 0x03

/* What the reading child sends. */
struct answer {
    int code;
    struct error err;
    struct topology topology;
};

static int open_hwloc(const struct topology_source *source, hwloc_topology_t *ret_hwloc,
                      struct error *err)
{
    hwloc_topology_t hwloc;
    if (hwloc_topology_init(&hwloc) != 0)
        return error_set(err, ERR_MEMORY, "topology: out of memory");
    hwloc_topology_set_io_types_filter(hwloc, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    int code = 0;
    if (source != NULL && source->xml_path != NULL) {
        if (access(source->xml_path, R_OK) != 0)
            code = error_set_errno(err, ERR_NOT_FOUND, errno, "cannot read %s", source->xml_path);
        else if (hwloc_topology_set_xml(hwloc, source->xml_path) != 0)
            code = error_set(err, ERR_INVALID, "%s: not a hwloc topology", source->xml_path);
    } else if (source != NULL && source->synthetic != NULL) {
        if (hwloc_topology_set_synthetic(hwloc, source->synthetic) != 0)
            code = error_set(err, ERR_INVALID, "\"%s\" is no hwloc synthetic topology",
                             source->synthetic);
    } else {
        hwloc_topology_set_flags(hwloc, HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM |
                                            HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING);
    }
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
    for (int i = 0; i < count; i++) {
        hwloc_obj_t node = hwloc_get_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, (unsigned)i);
        topology->nodes[i] = (struct topology_node){
            .os_index = (int)node->os_index, .memory_bytes = node->attr->numanode.local_memory};
    }
    topology->node_count = count;
    return 0;
}

/* The place in nodes of the first NUMA node near object; -1 when there is none. */
static int find_node(const struct topology *topology, hwloc_obj_t object)
{
    while (object != NULL && object->nodeset == NULL)
        object = object->parent;
    int os_index = object != NULL ? hwloc_bitmap_first(object->nodeset) : -1;
    for (int i = 0; i < topology->node_count; i++) {
        if (topology->nodes[i].os_index == os_index)
            return i;
    }
    return -1;
}

static int read_core(hwloc_topology_t hwloc, hwloc_obj_t object, struct topology *topology,
                     struct error *err)
{
    struct topology_core core = {.node = find_node(topology, object)};
    hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_PACKAGE, object);
    core.package = package != NULL ? (int)package->logical_index : 0;
    if (core.node < 0)
        core.node = 0;
    int cpu = -1;
    while ((cpu = hwloc_bitmap_next(object->cpuset, cpu)) >= 0) {
        if (cpu >= TOPOLOGY_CPU_MAX || core.cpu_count == TOPOLOGY_SMT_MAX)
            return error_set(err, ERR_LIMIT,
                             "processor %d is beyond %d processors of at most %d to a core", cpu,
                             TOPOLOGY_CPU_MAX, TOPOLOGY_SMT_MAX);
        core.cpus[core.cpu_count++] = (int16_t)cpu;
    }
    if (core.cpu_count > 0)
        topology->cores[topology->core_count++] = core;
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
    int code = 0;
    for (int i = 0; i < count && code == 0; i++)
        code = read_core(hwloc, hwloc_get_obj_by_type(hwloc, type, (unsigned)i), topology, err);
    if (code == 0 && topology->core_count == 0)
        code = error_set(err, ERR_INVALID, "the topology has no usable processor");
    int packages = hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_PACKAGE);
    topology->package_count = packages > 0 ? packages : 1;
    return code;
}

static void add_gpu(struct topology *topology, const struct hardware_gpu *gpu, hwloc_obj_t device)
{
    hwloc_obj_t near = device;
    while (near != NULL && near->cpuset == NULL)
        near = near->parent;
    /* Attached to the whole machine means that nobody knows where. */
    bool is_located =
        near != NULL && (near->type != HWLOC_OBJ_MACHINE || topology->node_count == 1);
    topology->gpus[topology->gpu_count++] =
        (struct topology_gpu){.gpu = *gpu, .node = is_located ? find_node(topology, near) : -1};
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

/* The GPUs of a machine that is known from a file only. */
static void read_gpus_of_xml(hwloc_topology_t hwloc, struct topology *topology)
{
    hwloc_obj_t device = NULL;
    while ((device = hwloc_get_next_pcidev(hwloc, device)) != NULL &&
           topology->gpu_count < HARDWARE_GPU_MAX) {
        const struct hwloc_pcidev_attr_s *pci = &device->attr->pcidev;
        if (pci->vendor_id != PCI_VENDOR_NVIDIA || pci->class_id >> 8 != PCI_CLASS_DISPLAY)
            continue;
        struct hardware_gpu gpu = {.minor = topology->gpu_count, .ordinal = topology->gpu_count};
        snprintf(gpu.bus_id, sizeof gpu.bus_id, "%04x:%02x:%02x.%01x", (unsigned)pci->domain,
                 pci->bus, pci->dev, pci->func);
        if (device->name != NULL)
            snprintf(gpu.model, sizeof gpu.model, "%s", device->name);
        add_gpu(topology, &gpu, device);
    }
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

void topology_hardware(const struct topology *topology, struct hardware *ret_hardware)
{
    *ret_hardware = (struct hardware){.gpu_count = (size_t)topology->gpu_count};
    for (int i = 0; i < topology->core_count; i++)
        ret_hardware->cpus += topology->cores[i].cpu_count;
    for (int i = 0; i < topology->gpu_count; i++)
        ret_hardware->gpus[i] = topology->gpus[i].gpu;
}
