/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_nvml: stands for libnvidia-ml.so.1 in tests: the functions that supervisor/gpu/nvml.c looks
 * up, driven by the folder that the environment's FAKE_NVML names.
 *
 * <folder>/state is read anew by every call, one word and its numbers a line:
 *   init CODE                        nvmlInit_v2 returns it
 *   hang FUNCTION                    that function never returns; it creates <folder>/hung first
 *   gpu UUID BUS_ID MINOR            a GPU; the lines below are of the last one
 *   fails CODE                       whatever is asked of it: 15 is "GPU is lost"
 *   slice UUID GPU_INSTANCE COMPUTE_INSTANCE
 *   temperature N, slowdown N, power N, throttle N, utilization N
 *   memory USED TOTAL
 *   ecc VOLATILE AGGREGATE
 *   rows CORRECTED UNCORRECTED IS_PENDING HAS_FAILED
 * <folder>/events is a FIFO: a line is an event, "TYPE GPU DATA GPU_INSTANCE COMPUTE_INSTANCE", all
 * numbers (type 8 is an Xid, 2 a double-bit error; GPU is its place in the state).
 *
 * Built with FAKE_NVML_OLD it lacks what an old driver may lack.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GPU_MAX   8
#define SLICE_MAX 7

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TIMEOUT = 10, UNKNOWN = 999 };

/* A slice is a gpu, too: both are what the library calls a device. */
struct device {
    char uuid[64], bus_id[32];
    unsigned minor, gpu_instance, compute_instance;
    int fails;
    bool is_slice;
    struct device *gpu; /* of a slice */
    unsigned temperature, slowdown, power, utilization, rows[4];
    bool has_temperature, has_rows;
    unsigned long long throttle, used, total, ecc[2];
    unsigned slice_count;
};

static struct device gpus[GPU_MAX];
static struct device slices[GPU_MAX][SLICE_MAX];
static unsigned gpu_count;
static int init_code;

static const char *path_of(const char *name)
{
    static char path[512];
    const char *folder = getenv("FAKE_NVML");
    snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "/nonexistent", name);
    return path;
}

static void hang(void)
{
    int fd = open(path_of("hung"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    for (;;)
        pause();
}

static void read_slice(struct device *gpu, const char *line)
{
    if (gpu->slice_count == SLICE_MAX)
        abort();
    struct device *slice = &slices[gpu - gpus][gpu->slice_count++];
    *slice = (struct device){.is_slice = true, .gpu = gpu};
    sscanf(line, "slice %63s %u %u", slice->uuid, &slice->gpu_instance, &slice->compute_instance);
}

static void read_gpu_line(struct device *gpu, const char *line)
{
    if (strncmp(line, "slice ", 6) == 0)
        read_slice(gpu, line);
    gpu->has_temperature |= sscanf(line, "temperature %u", &gpu->temperature) == 1;
    gpu->has_rows |= sscanf(line, "rows %u %u %u %u", &gpu->rows[0], &gpu->rows[1], &gpu->rows[2],
                            &gpu->rows[3]) == 4;
    sscanf(line, "fails %d", &gpu->fails);
    sscanf(line, "slowdown %u", &gpu->slowdown);
    sscanf(line, "power %u", &gpu->power);
    sscanf(line, "throttle %llu", &gpu->throttle);
    sscanf(line, "utilization %u", &gpu->utilization);
    sscanf(line, "memory %llu %llu", &gpu->used, &gpu->total);
    sscanf(line, "ecc %llu %llu", &gpu->ecc[0], &gpu->ecc[1]);
}

/* Reads the state on behalf of a function. */
static void enter(const char *function)
{
    char line[256], name[128];
    gpu_count = 0;
    init_code = SUCCESS;
    FILE *file = fopen(path_of("state"), "re");
    if (file == NULL)
        abort(); /* a test forgot it */
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "hang %127s", name) == 1 && strcmp(name, function) == 0)
            hang();
        sscanf(line, "init %d", &init_code);
        if (strncmp(line, "gpu ", 4) == 0 && gpu_count < GPU_MAX) {
            struct device *gpu = &gpus[gpu_count++];
            *gpu = (struct device){.gpu_instance = UINT32_MAX, .compute_instance = UINT32_MAX};
            sscanf(line, "gpu %63s %31s %u", gpu->uuid, gpu->bus_id, &gpu->minor);
        } else if (gpu_count > 0) {
            read_gpu_line(&gpus[gpu_count - 1], line);
        }
    }
    fclose(file);
}

/* What a device answers to everything. */
static int check(void *handle, const char *function)
{
    struct device *device = handle;
    enter(function);
    return device == NULL ? INVALID : device->is_slice ? device->gpu->fails : device->fails;
}

/* A function of the library; all are declared before they are defined. */
#define EXPORT(name, ...)                                                                          \
    __attribute__((visibility("default"))) int name(__VA_ARGS__);                                  \
    int name(__VA_ARGS__)

/* Returns out of the caller when the device does not answer. */
#define CHECK(handle)                                                                              \
    do {                                                                                           \
        int check_code = check(handle, __func__);                                                  \
        if (check_code != SUCCESS)                                                                 \
            return check_code;                                                                     \
    } while (0)

EXPORT(nvmlInit_v2, void)
{
    enter(__func__);
    return init_code;
}

EXPORT(nvmlShutdown, void)
{
    return SUCCESS;
}

EXPORT(nvmlDeviceGetCount_v2, unsigned *count)
{
    enter(__func__);
    *count = gpu_count;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetHandleByIndex_v2, unsigned place, void **device)
{
    enter(__func__);
    if (place >= gpu_count)
        return INVALID;
    *device = &gpus[place];
    return gpus[place].fails;
}

EXPORT(nvmlDeviceGetUUID, void *handle, char *out, unsigned size)
{
    CHECK(handle);
    snprintf(out, size, "%s", ((struct device *)handle)->uuid);
    return SUCCESS;
}

EXPORT(nvmlDeviceGetTemperature, void *handle, int sensor, unsigned *celsius)
{
    struct device *device = handle;
    CHECK(handle);
    *celsius = device->temperature;
    return sensor != 0 ? INVALID : device->has_temperature ? SUCCESS : NOT_SUPPORTED;
}

EXPORT(nvmlDeviceGetMemoryInfo, void *handle, unsigned long long *memory)
{
    struct device *device = handle;
    CHECK(handle);
    if (device->is_slice)
        device = device->gpu;
    memory[0] = device->total;
    memory[1] = device->total - device->used;
    memory[2] = device->used;
    return device->total > 0 ? SUCCESS : NOT_SUPPORTED;
}

#ifndef FAKE_NVML_OLD

__attribute__((visibility("default"))) const char *nvmlErrorString(int code);

const char *nvmlErrorString(int code)
{
    return code == UNKNOWN ? "Unknown Error" : "an error of the fake";
}

EXPORT(nvmlDeviceGetPciInfo_v3, void *handle, char *pci)
{
    CHECK(handle);
    memset(pci, 0, 16 + 5 * 4 + 32);
    memcpy(pci + 16 + 5 * 4, ((struct device *)handle)->bus_id, 32);
    return SUCCESS;
}

EXPORT(nvmlDeviceGetMinorNumber, void *handle, unsigned *minor)
{
    CHECK(handle);
    *minor = ((struct device *)handle)->minor;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetUtilizationRates, void *handle, unsigned *rates)
{
    struct device *device = handle;
    CHECK(handle);
    rates[0] = rates[1] = device->utilization;
    return device->is_slice ? NOT_SUPPORTED : SUCCESS;
}

EXPORT(nvmlDeviceGetTemperatureThreshold, void *handle, int kind, unsigned *celsius)
{
    struct device *device = handle;
    CHECK(handle);
    *celsius = device->slowdown;
    return kind == 1 && device->slowdown > 0 ? SUCCESS : NOT_SUPPORTED;
}

EXPORT(nvmlDeviceGetCurrentClocksThrottleReasons, void *handle, unsigned long long *reasons)
{
    CHECK(handle);
    *reasons = ((struct device *)handle)->throttle;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetPowerUsage, void *handle, unsigned *milliwatts)
{
    CHECK(handle);
    *milliwatts = ((struct device *)handle)->power;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetTotalEccErrors, void *handle, int type, int counter, unsigned long long *count)
{
    CHECK(handle);
    if (type != 1 || counter < 0 || counter > 1)
        return INVALID;
    *count = ((struct device *)handle)->ecc[counter];
    return SUCCESS;
}

EXPORT(nvmlDeviceGetRemappedRows, void *handle, unsigned *corrected, unsigned *uncorrected,
       unsigned *is_pending, unsigned *has_failed)
{
    struct device *device = handle;
    CHECK(handle);
    *corrected = device->rows[0];
    *uncorrected = device->rows[1];
    *is_pending = device->rows[2];
    *has_failed = device->rows[3];
    return device->has_rows ? SUCCESS : NOT_SUPPORTED;
}

EXPORT(nvmlDeviceGetMigMode, void *handle, unsigned *current, unsigned *pending)
{
    CHECK(handle);
    *current = *pending = ((struct device *)handle)->slice_count > 0;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetMaxMigDeviceCount, void *handle, unsigned *count)
{
    CHECK(handle);
    *count = SLICE_MAX;
    return SUCCESS;
}

/* Places 0, 2, 4 ... have a slice: there are gaps in real ones, too. */
EXPORT(nvmlDeviceGetMigDeviceHandleByIndex, void *handle, unsigned place, void **slice)
{
    struct device *gpu = handle;
    CHECK(handle);
    if (place % 2 != 0 || place / 2 >= gpu->slice_count)
        return NOT_FOUND;
    *slice = &slices[gpu - gpus][place / 2];
    return SUCCESS;
}

EXPORT(nvmlDeviceGetGpuInstanceId, void *handle, unsigned *instance)
{
    CHECK(handle);
    *instance = ((struct device *)handle)->gpu_instance;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetComputeInstanceId, void *handle, unsigned *instance)
{
    CHECK(handle);
    *instance = ((struct device *)handle)->compute_instance;
    return SUCCESS;
}

EXPORT(nvmlDeviceGetSupportedEventTypes, void *handle, unsigned long long *types)
{
    CHECK(handle);
    *types = 0xf;
    return SUCCESS;
}

/* The one set there is. */
static int events_fd = -1;

EXPORT(nvmlEventSetCreate, void **set)
{
    enter(__func__);
    events_fd = open(path_of("events"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    *set = &events_fd;
    return events_fd >= 0 ? SUCCESS : UNKNOWN;
}

EXPORT(nvmlDeviceRegisterEvents, void *handle, unsigned long long types, void *set)
{
    CHECK(handle);
    return set == &events_fd && (types & ~0xfull) == 0 ? SUCCESS : INVALID;
}

EXPORT(nvmlEventSetFree, void *set)
{
    if (set != &events_fd)
        return INVALID;
    close(events_fd);
    return SUCCESS;
}

struct event {
    void *device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};

EXPORT(nvmlEventSetWait_v2, void *set, struct event *event, unsigned timeout_ms)
{
    char line[128];
    size_t length = 0;
    unsigned place;
    enter(__func__);
    if (set != &events_fd)
        return INVALID;
    for (unsigned i = 0; i < gpu_count; i++) {
        if (gpus[i].fails != SUCCESS)
            return gpus[i].fails; /* at once, as the real one */
    }
    struct pollfd poll_fd = {.fd = events_fd, .events = POLLIN};
    if (poll(&poll_fd, 1, (int)timeout_ms) != 1)
        return TIMEOUT;
    while (length + 1 < sizeof line && read(events_fd, &line[length], 1) == 1 &&
           line[length] != '\n')
        length++;
    line[length] = '\0';
    int fields = sscanf(line, "%llu %u %llu %u %u", &event->type, &place, &event->data,
                        &event->gpu_instance, &event->compute_instance);
    if (fields < 3 || place >= gpu_count)
        return UNKNOWN;
    if (fields < 5)
        event->gpu_instance = event->compute_instance = UINT32_MAX;
    event->device = &gpus[place];
    return SUCCESS;
}

#endif
