/* SPDX-License-Identifier: Apache-2.0 */
/* hardware: see hardware.h. */
#include "common/hardware.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRIVER_FOLDER "/proc/driver/nvidia/gpus"
#define CAPABILITIES  "/proc/driver/nvidia/capabilities"
#define CGROUP        "/sys/fs/cgroup"
#define MIG_PREFIX    "MIG-"

/* Whole processors that the quota of a cgroup v2 allows ("max 100000" or "150000 100000"), rounded
 * up; 0 when there is no quota. */
static int read_quota(const char *root, const char *cgroup)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s" CGROUP "%s/cpu.max", root, cgroup);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    long quota = 0;
    long period = 0;
    int fields = fscanf(file, "%ld %ld", &quota, &period);
    fclose(file);
    if (fields != 2 || quota <= 0 || period <= 0)
        return 0;
    return (int)((quota + period - 1) / period);
}

/* The cgroup v2 of this process below the mount: a container's is the mount itself (""), a service
 * of systemd has one of its own. */
static void find_cgroup(const char *root, char out[PATH_MAX])
{
    char path[PATH_MAX];
    char line[PATH_MAX];
    out[0] = '\0';
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::/", 4) == 0 && strstr(line, "/..") == NULL)
            strcpy(out, line + 3);
    }
    if (file != NULL)
        fclose(file);
}

/* The lowest quota of the cgroup and of those around it, each of which holds; 0 when there is
 * none. */
static int find_quota(const char *root)
{
    char cgroup[PATH_MAX];
    find_cgroup(root, cgroup);
    int lowest = read_quota(root, "");
    for (char *slash; (slash = strrchr(cgroup, '/')) != NULL; *slash = '\0') {
        int quota = read_quota(root, cgroup);
        if (quota > 0 && (lowest == 0 || quota < lowest))
            lowest = quota;
    }
    return lowest;
}

static int count_cpus(const char *root)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    int cpus = sched_getaffinity(0, sizeof allowed, &allowed) == 0
                   ? CPU_COUNT(&allowed)
                   : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = find_quota(root);
    if (quota > 0 && quota < cpus)
        cpus = quota;
    return cpus > 0 ? cpus : 1;
}

/* The value of a "Key:   value" line, copied without trailing blanks; cut to size. */
static void copy_value(const char *line, char *out, size_t size)
{
    const char *value = strchr(line, ':') + 1;
    while (isspace((unsigned char)*value))
        value++;
    size_t length = strlen(value);
    while (length > 0 && isspace((unsigned char)value[length - 1]))
        length--;
    snprintf(out, size, "%.*s", (int)length, value);
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_device_file(const char *root, int minor)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/dev/nvidia%d", root, minor);
    return access(path, F_OK) == 0;
}

/* One GPU as the driver tells of it; false when it is not given to this container. */
static bool read_gpu(const char *root, const char *entry, struct hardware_gpu *ret_gpu)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s" DRIVER_FOLDER "/%s/information", root, entry);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    struct hardware_gpu gpu = {.minor = -1};
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        char value[64];
        if (has_prefix(line, "Model:")) {
            copy_value(line, gpu.model, sizeof gpu.model);
        } else if (has_prefix(line, "GPU UUID:")) {
            copy_value(line, gpu.uuid, sizeof gpu.uuid);
        } else if (has_prefix(line, "Device Minor:")) {
            copy_value(line, value, sizeof value);
            gpu.minor = atoi(value);
        }
    }
    fclose(file);
    /* A driver that has not woken the GPU yet prints question marks. */
    if (!has_prefix(gpu.uuid, "GPU-") || strchr(gpu.uuid, '?') != NULL)
        gpu.uuid[0] = '\0';
    snprintf(gpu.bus_id, sizeof gpu.bus_id, "%.*s", (int)sizeof gpu.bus_id - 1, entry);
    for (char *at = gpu.bus_id; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    if (gpu.minor < 0 || !has_device_file(root, gpu.minor))
        return false;
    *ret_gpu = gpu;
    return true;
}

/* Whether it has MIG slices: the driver has a folder for each GPU instance. */
static bool is_divided(const char *root, int minor)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s" CAPABILITIES "/gpu%d/mig", root, minor);
    DIR *folder = opendir(path);
    bool is_found = false;
    struct dirent *entry;
    while (folder != NULL && !is_found && (entry = readdir(folder)) != NULL)
        is_found = has_prefix(entry->d_name, "gi");
    if (folder != NULL)
        closedir(folder);
    return is_found;
}

static int compare_gpus(const void *left, const void *right)
{
    const struct hardware_gpu *a = left;
    const struct hardware_gpu *b = right;
    int order = strcmp(a->bus_id, b->bus_id);
    return order != 0 ? order : (a->minor > b->minor) - (a->minor < b->minor);
}

static void read_driver(const char *root, struct hardware *hardware)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s" DRIVER_FOLDER, root);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL && hardware->gpu_count < HARDWARE_GPU_MAX) {
        if (entry->d_name[0] != '.' &&
            read_gpu(root, entry->d_name, &hardware->gpus[hardware->gpu_count]))
            hardware->gpu_count++;
    }
    closedir(folder);
}

/* Containers that mask the driver's folder still have the device files. */
static void read_device_files(const char *root, struct hardware *hardware)
{
    for (int minor = 0; minor < HARDWARE_GPU_MAX; minor++) {
        if (has_device_file(root, minor))
            hardware->gpus[hardware->gpu_count++] = (struct hardware_gpu){.minor = minor};
    }
}

/* The GPU that an entry of CUDA_VISIBLE_DEVICES names; -1 when there is none. */
static int find_gpu(const struct hardware *hardware, const char *entry)
{
    char *end;
    long ordinal = strtol(entry, &end, 10);
    bool is_number = end != entry && *end == '\0';
    for (size_t i = 0; i < hardware->gpu_count; i++) {
        const struct hardware_gpu *gpu = &hardware->gpus[i];
        if (is_number ? gpu->ordinal == ordinal
                      : has_prefix(entry, "GPU-") && has_prefix(gpu->uuid, entry))
            return (int)i;
    }
    return -1;
}

/* The GPU that a MIG slice is part of, as far as that can be told without NVML: old names have its
 * UUID, and where there is one GPU it is that. NULL when unknown. */
static const struct hardware_gpu *find_parent(const struct hardware *hardware, const char *slice)
{
    for (size_t i = 0; i < hardware->gpu_count; i++) {
        const char *uuid = hardware->gpus[i].uuid;
        if (uuid[0] != '\0' && has_prefix(slice + strlen(MIG_PREFIX), uuid))
            return &hardware->gpus[i];
    }
    return hardware->gpu_count == 1 ? &hardware->gpus[0] : NULL;
}

static struct hardware_gpu make_slice(const struct hardware *hardware, const char *name)
{
    struct hardware_gpu slice = {.minor = -1, .ordinal = -1};
    const struct hardware_gpu *parent = find_parent(hardware, name);
    if (parent != NULL) {
        memcpy(slice.bus_id, parent->bus_id, sizeof slice.bus_id);
        memcpy(slice.model, parent->model, sizeof slice.model);
    }
    snprintf(slice.uuid, sizeof slice.uuid, "%s", name);
    return slice;
}

/* The environment's list of GPUs; NULL when there is none. */
static const char *find_list(void)
{
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    if (list != NULL)
        return list;
    list = getenv("NVIDIA_VISIBLE_DEVICES");
    return list != NULL && has_prefix(list, MIG_PREFIX) ? list : NULL;
}

/* Keeps what the environment names, in its order. */
static void keep_visible(struct hardware *hardware)
{
    const char *text = find_list();
    if (text == NULL)
        return;
    char entries[4096];
    char *rest = entries;
    const char *entry;
    struct hardware_gpu kept[HARDWARE_GPU_MAX];
    size_t count = 0;
    snprintf(entries, sizeof entries, "%s", text);
    while ((entry = strsep(&rest, ",")) != NULL && count < HARDWARE_GPU_MAX) {
        int gpu = find_gpu(hardware, entry);
        if (gpu >= 0) {
            kept[count++] = hardware->gpus[gpu];
        } else if (has_prefix(entry, MIG_PREFIX) && strlen(entry) < sizeof kept[0].uuid) {
            kept[count++] = make_slice(hardware, entry);
        } else {
            break;
        }
    }
    memcpy(hardware->gpus, kept, count * sizeof kept[0]);
    hardware->gpu_count = count;
}

void hardware_detect(const char *root, struct hardware *ret_hardware)
{
    memset(ret_hardware, 0, sizeof *ret_hardware);
    ret_hardware->cpus = count_cpus(root);
    read_driver(root, ret_hardware);
    if (ret_hardware->gpu_count == 0)
        read_device_files(root, ret_hardware);
    qsort(ret_hardware->gpus, ret_hardware->gpu_count, sizeof ret_hardware->gpus[0], compare_gpus);
    for (size_t i = 0; i < ret_hardware->gpu_count; i++) {
        struct hardware_gpu *gpu = &ret_hardware->gpus[i];
        gpu->ordinal = (int)i;
        gpu->is_divided = is_divided(root, gpu->minor);
    }
    keep_visible(ret_hardware);
}

int hardware_cpu_workers(const struct hardware *hardware)
{
    int workers = hardware->cpus / 2;
    if (workers < 2)
        return 2;
    return workers > 16 ? 16 : workers;
}
