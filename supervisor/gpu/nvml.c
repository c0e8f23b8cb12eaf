/* SPDX-License-Identifier: Apache-2.0 */
/* nvml: see nvml.h. */
#include "supervisor/gpu/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

/* NVML's interface, as far as it is used here. */

typedef void *nvml_device;
typedef void *nvml_event_set;

enum {
    NVML_SUCCESS = 0,
    NVML_NOT_FOUND = 6,
    NVML_DRIVER_NOT_LOADED = 9,
    NVML_TIMEOUT = 10,
    NVML_LIBRARY_NOT_FOUND = 12,
    NVML_GPU_IS_LOST = 15,
    NVML_RESET_REQUIRED = 16,
};

#define NVML_EVENT_ECC_SINGLE 0x1ull
#define NVML_EVENT_ECC_DOUBLE 0x2ull
#define NVML_EVENT_XID        0x8ull

enum { NVML_SENSOR_GPU = 0 };
enum { NVML_THRESHOLD_SHUTDOWN = 0, NVML_THRESHOLD_SLOWDOWN = 1 };
enum { NVML_ERROR_UNCORRECTED = 1 };
enum { NVML_COUNTER_VOLATILE = 0, NVML_COUNTER_AGGREGATE = 1 };

struct nvml_pci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

struct nvml_utilization {
    unsigned gpu, memory;
};

struct nvml_memory {
    unsigned long long total, free, used;
};

struct nvml_event_data {
    nvml_device device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};

/* Field, symbol, whether GPUs can be watched without it, parameters; all return a code. */
#define NVML_FUNCTIONS(X)                                                                          \
    X(init, "nvmlInit_v2", true, (void))                                                           \
    X(shutdown, "nvmlShutdown", true, (void))                                                      \
    X(get_count, "nvmlDeviceGetCount_v2", true, (unsigned *))                                      \
    X(get_device, "nvmlDeviceGetHandleByIndex_v2", true, (unsigned, nvml_device *))                \
    X(get_uuid, "nvmlDeviceGetUUID", true, (nvml_device, char *, unsigned))                        \
    X(get_pci, "nvmlDeviceGetPciInfo_v3", false, (nvml_device, struct nvml_pci *))                 \
    X(get_minor, "nvmlDeviceGetMinorNumber", false, (nvml_device, unsigned *))                     \
    X(get_utilization, "nvmlDeviceGetUtilizationRates", false,                                     \
      (nvml_device, struct nvml_utilization *))                                                    \
    X(get_memory, "nvmlDeviceGetMemoryInfo", false, (nvml_device, struct nvml_memory *))           \
    X(get_temperature, "nvmlDeviceGetTemperature", false, (nvml_device, int, unsigned *))          \
    X(get_threshold, "nvmlDeviceGetTemperatureThreshold", false, (nvml_device, int, unsigned *))   \
    X(get_throttle, "nvmlDeviceGetCurrentClocksThrottleReasons", false,                            \
      (nvml_device, unsigned long long *))                                                         \
    X(get_power, "nvmlDeviceGetPowerUsage", false, (nvml_device, unsigned *))                      \
    X(get_ecc, "nvmlDeviceGetTotalEccErrors", false,                                               \
      (nvml_device, int, int, unsigned long long *))                                               \
    X(get_rows, "nvmlDeviceGetRemappedRows", false,                                                \
      (nvml_device, unsigned *, unsigned *, unsigned *, unsigned *))                               \
    X(get_mig_mode, "nvmlDeviceGetMigMode", false, (nvml_device, unsigned *, unsigned *))          \
    X(get_mig_max, "nvmlDeviceGetMaxMigDeviceCount", false, (nvml_device, unsigned *))             \
    X(get_mig, "nvmlDeviceGetMigDeviceHandleByIndex", false,                                       \
      (nvml_device, unsigned, nvml_device *))                                                      \
    X(get_gpu_instance, "nvmlDeviceGetGpuInstanceId", false, (nvml_device, unsigned *))            \
    X(get_compute_instance, "nvmlDeviceGetComputeInstanceId", false, (nvml_device, unsigned *))    \
    X(get_event_types, "nvmlDeviceGetSupportedEventTypes", false,                                  \
      (nvml_device, unsigned long long *))                                                         \
    X(create_set, "nvmlEventSetCreate", false, (nvml_event_set *))                                 \
    X(register_events, "nvmlDeviceRegisterEvents", false,                                          \
      (nvml_device, unsigned long long, nvml_event_set))                                           \
    X(wait, "nvmlEventSetWait_v2", false, (nvml_event_set, struct nvml_event_data *, unsigned))    \
    X(free_set, "nvmlEventSetFree", false, (nvml_event_set))

struct functions {
#define DECLARE(field, symbol, is_required, parameters) int(*field) parameters;
    NVML_FUNCTIONS(DECLARE)
#undef DECLARE
    const char *(*error_text)(int code);
};

struct unit {
    struct gpu_identity identity;
    nvml_device device; /* of the GPU */
    nvml_device slice;  /* of the slice; the GPU's own when it is none */
};

struct nvml {
    void *library;
    struct functions functions;
    bool is_initialised;
    char lacks[1024];
    struct unit *units;
    size_t unit_count;
    nvml_event_set events;
    bool has_events;
};

#define HAS(nvml, field) ((nvml)->functions.field != NULL)
/* Whether a function is there and succeeds. */
#define GOT(nvml, field, ...)                                                                      \
    (HAS(nvml, field) && (nvml)->functions.field(__VA_ARGS__) == NVML_SUCCESS)

static const char *result_text(const struct nvml *nvml, int result)
{
    return HAS(nvml, error_text) ? nvml->functions.error_text(result) : "unknown error";
}

/* The library */

/* Looks up a symbol; POSIX lets an object pointer be copied into a function pointer. */
static bool find_function(struct nvml *nvml, const char *symbol, void *function)
{
    void *found = dlsym(nvml->library, symbol);
    memcpy(function, &found, sizeof found);
    if (found != NULL)
        return true;
    size_t length = strlen(nvml->lacks);
    snprintf(nvml->lacks + length, sizeof nvml->lacks - length, "%s%s", length > 0 ? "," : "",
             symbol);
    return false;
}

static int find_functions(struct nvml *nvml, struct error *err)
{
    const char *missing = NULL;
#define FIND(field, symbol, is_required, parameters)                                               \
    if (!find_function(nvml, symbol, &nvml->functions.field) && is_required)                       \
        missing = symbol;
    NVML_FUNCTIONS(FIND)
#undef FIND
    find_function(nvml, "nvmlErrorString", &nvml->functions.error_text);
    /* Newer drivers call it by another name. */
    if (nvml->functions.get_throttle == NULL)
        find_function(nvml, "nvmlDeviceGetCurrentClocksEventReasons",
                      &nvml->functions.get_throttle);
    return missing == NULL ? 0 : error_set(err, ERR_INVALID, "the library has no %s", missing);
}

static int start_library(struct nvml *nvml, const char *library, struct error *err)
{
    nvml->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (nvml->library == NULL)
        return error_set(err, ERR_NOT_FOUND, "%s", dlerror());
    int code = find_functions(nvml, err);
    if (code != 0)
        return code;
    int result = nvml->functions.init();
    bool is_absent = result == NVML_DRIVER_NOT_LOADED || result == NVML_LIBRARY_NOT_FOUND;
    if (result != NVML_SUCCESS)
        return error_set(err, is_absent ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "NVML: %s",
                         result_text(nvml, result));
    nvml->is_initialised = true;
    return 0;
}

/* GPUs and slices */

static void identify(const struct nvml *nvml, nvml_device device, struct gpu_identity *identity)
{
    struct nvml_pci pci;
    unsigned minor;
    if (!GOT(nvml, get_uuid, device, identity->uuid, sizeof identity->uuid))
        identity->uuid[0] = '\0';
    if (GOT(nvml, get_pci, device, &pci)) {
        pci.bus_id[sizeof pci.bus_id - 1] = '\0';
        gpu_bus_id_copy(pci.bus_id, identity->bus_id, sizeof identity->bus_id);
    }
    identity->minor = GOT(nvml, get_minor, device, &minor) ? (int32_t)minor : -1;
    identity->gpu_instance = identity->compute_instance = GPU_INSTANCE_NONE;
}

/* Adds the slices of the GPU that was added last. */
static void add_slices(struct nvml *nvml)
{
    const struct unit whole = nvml->units[nvml->unit_count - 1];
    unsigned is_cut = 0, pending = 0, most = 0;
    if (!GOT(nvml, get_mig_mode, whole.device, &is_cut, &pending) || is_cut == 0 ||
        !GOT(nvml, get_mig_max, whole.device, &most))
        return;
    for (unsigned i = 0; i < most && nvml->unit_count < HARDWARE_GPU_MAX; i++) {
        struct unit unit = whole;
        struct gpu_identity *identity = &unit.identity;
        /* Places are not filled in order: a gap is not the end. */
        if (!GOT(nvml, get_mig, whole.device, i, &unit.slice) ||
            !GOT(nvml, get_uuid, unit.slice, identity->uuid, sizeof identity->uuid) ||
            !GOT(nvml, get_gpu_instance, unit.slice, &identity->gpu_instance) ||
            !GOT(nvml, get_compute_instance, unit.slice, &identity->compute_instance))
            continue;
        nvml->units[nvml->unit_count++] = unit;
    }
}

static int find_units(struct nvml *nvml, struct error *err)
{
    unsigned count = 0;
    int result = nvml->functions.get_count(&count);
    if (result != NVML_SUCCESS)
        return error_set(err, ERR_UNAVAILABLE, "NVML: %s", result_text(nvml, result));
    nvml->units = calloc(HARDWARE_GPU_MAX, sizeof nvml->units[0]);
    if (nvml->units == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (unsigned i = 0; i < count && nvml->unit_count < HARDWARE_GPU_MAX; i++) {
        struct unit unit = {0};
        /* One that is lost already has no handle; the others are watched all the same. */
        if (nvml->functions.get_device(i, &unit.device) != NVML_SUCCESS)
            continue;
        unit.slice = unit.device;
        identify(nvml, unit.device, &unit.identity);
        nvml->units[nvml->unit_count++] = unit;
        add_slices(nvml);
    }
    return 0;
}

/* Events */

static bool is_whole(const struct unit *unit)
{
    return unit->slice == unit->device;
}

static void register_unit(struct nvml *nvml, const struct unit *unit)
{
    unsigned long long wanted = NVML_EVENT_XID | NVML_EVENT_ECC_DOUBLE | NVML_EVENT_ECC_SINGLE;
    unsigned long long supported = 0;
    if (GOT(nvml, get_event_types, unit->device, &supported) && (wanted & supported) != 0 &&
        GOT(nvml, register_events, unit->device, wanted & supported, nvml->events))
        nvml->has_events = true;
}

static void register_events(struct nvml *nvml)
{
    if (!HAS(nvml, wait) || !HAS(nvml, free_set) || !GOT(nvml, create_set, &nvml->events))
        return;
    for (size_t i = 0; i < nvml->unit_count; i++) {
        if (is_whole(&nvml->units[i]))
            register_unit(nvml, &nvml->units[i]);
    }
}

int nvml_open(const char *library, struct nvml **ret_nvml, struct error *err)
{
    struct nvml *nvml = calloc(1, sizeof *nvml);
    if (nvml == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = start_library(nvml, library, err);
    if (code == 0)
        code = find_units(nvml, err);
    if (code != 0) {
        nvml_close(nvml);
        return code;
    }
    register_events(nvml);
    *ret_nvml = nvml;
    return 0;
}

void nvml_close(struct nvml *nvml)
{
    if (nvml == NULL)
        return;
    if (nvml->events != NULL)
        nvml->functions.free_set(nvml->events);
    if (nvml->is_initialised)
        nvml->functions.shutdown();
    if (nvml->library != NULL)
        dlclose(nvml->library);
    free(nvml->units);
    free(nvml);
}

size_t nvml_unit_count(const struct nvml *nvml)
{
    return nvml->unit_count;
}

const struct gpu_identity *nvml_unit(const struct nvml *nvml, size_t unit)
{
    ASSERT(unit < nvml->unit_count);
    return &nvml->units[unit].identity;
}

bool nvml_has_events(const struct nvml *nvml)
{
    return nvml->has_events;
}

const char *nvml_lacks(const struct nvml *nvml)
{
    return nvml->lacks;
}

/* Figures */

static void read_memory(const struct nvml *nvml, const struct unit *unit, struct gpu_record *record)
{
    struct nvml_utilization utilization;
    struct nvml_memory memory;
    if (GOT(nvml, get_utilization, unit->slice, &utilization))
        gpu_record_set(record, GPU_FIGURE_UTILIZATION, utilization.gpu);
    if (GOT(nvml, get_memory, unit->slice, &memory)) {
        gpu_record_set(record, GPU_FIGURE_MEMORY_USED, memory.used);
        gpu_record_set(record, GPU_FIGURE_MEMORY_TOTAL, memory.total);
    }
}

static void read_heat(const struct nvml *nvml, nvml_device device, struct gpu_record *record)
{
    unsigned value;
    unsigned long long bits;
    if (GOT(nvml, get_threshold, device, NVML_THRESHOLD_SLOWDOWN, &value))
        gpu_record_set(record, GPU_FIGURE_SLOWDOWN, value);
    if (GOT(nvml, get_threshold, device, NVML_THRESHOLD_SHUTDOWN, &value))
        gpu_record_set(record, GPU_FIGURE_SHUTDOWN, value);
    if (GOT(nvml, get_power, device, &value))
        gpu_record_set(record, GPU_FIGURE_POWER, value);
    if (GOT(nvml, get_throttle, device, &bits))
        gpu_record_set(record, GPU_FIGURE_THROTTLE, bits);
}

static void read_errors(const struct nvml *nvml, nvml_device device, struct gpu_record *record)
{
    unsigned long long errors;
    unsigned corrected, uncorrected, is_pending, has_failed;
    if (GOT(nvml, get_ecc, device, NVML_ERROR_UNCORRECTED, NVML_COUNTER_VOLATILE, &errors))
        gpu_record_set(record, GPU_FIGURE_ECC_VOLATILE, errors);
    if (GOT(nvml, get_ecc, device, NVML_ERROR_UNCORRECTED, NVML_COUNTER_AGGREGATE, &errors))
        gpu_record_set(record, GPU_FIGURE_ECC_AGGREGATE, errors);
    if (GOT(nvml, get_rows, device, &corrected, &uncorrected, &is_pending, &has_failed)) {
        gpu_record_set(record, GPU_FIGURE_ROWS_REMAPPED, (uint64_t)corrected + uncorrected);
        gpu_record_set(record, GPU_FIGURE_ROW_PENDING, is_pending != 0);
        gpu_record_set(record, GPU_FIGURE_ROW_FAILURE, has_failed != 0);
    }
}

void nvml_read(const struct nvml *nvml, size_t unit, struct gpu_record *ret_record)
{
    ASSERT(unit < nvml->unit_count);
    const struct unit *at = &nvml->units[unit];
    *ret_record = (struct gpu_record){.kind = GPU_RECORD_FIGURES, .identity = at->identity};
    /* Every GPU has a temperature: whoever does not answer this does not answer anything. */
    unsigned value = 0;
    int result = HAS(nvml, get_temperature)
                     ? nvml->functions.get_temperature(at->device, NVML_SENSOR_GPU, &value)
                     : NVML_NOT_FOUND;
    if (result == NVML_GPU_IS_LOST || result == NVML_RESET_REQUIRED) {
        ret_record->kind = GPU_RECORD_EVENT;
        ret_record->event = result == NVML_GPU_IS_LOST ? GPU_EVENT_LOST : GPU_EVENT_RESET;
        return;
    }
    if (result == NVML_SUCCESS)
        gpu_record_set(ret_record, GPU_FIGURE_TEMPERATURE, value);
    read_memory(nvml, at, ret_record);
    read_heat(nvml, at->device, ret_record);
    read_errors(nvml, at->device, ret_record);
}

/* Waiting */

/* What was found at the start: a GPU in trouble may not tell its own name any more. */
static void name_device(const struct nvml *nvml, nvml_device device, struct gpu_identity *identity)
{
    for (size_t i = 0; i < nvml->unit_count; i++) {
        if (is_whole(&nvml->units[i]) && nvml->units[i].device == device) {
            *identity = nvml->units[i].identity;
            return;
        }
    }
    identify(nvml, device, identity);
}

static bool translate_event(const struct nvml *nvml, const struct nvml_event_data *data,
                            struct gpu_record *ret_record)
{
    struct gpu_record record = {.kind = GPU_RECORD_EVENT};
    if (data->type == NVML_EVENT_XID) {
        record.event = GPU_EVENT_XID;
        record.xid = data->data;
    } else if (data->type == NVML_EVENT_ECC_DOUBLE) {
        record.event = GPU_EVENT_ECC_DOUBLE;
    } else if (data->type == NVML_EVENT_ECC_SINGLE) {
        record.event = GPU_EVENT_ECC_SINGLE;
    } else {
        return false;
    }
    name_device(nvml, data->device, &record.identity);
    record.identity.gpu_instance = data->gpu_instance;
    record.identity.compute_instance = data->compute_instance;
    *ret_record = record;
    return true;
}

int nvml_wait(struct nvml *nvml, unsigned timeout_ms, struct gpu_record *ret_record,
              struct error *err)
{
    ASSERT(nvml->has_events);
    struct nvml_event_data data = {0};
    int result = nvml->functions.wait(nvml->events, &data, timeout_ms);
    if (result == NVML_SUCCESS)
        return translate_event(nvml, &data, ret_record) ? 1 : 0;
    if (result == NVML_TIMEOUT || result == NVML_GPU_IS_LOST || result == NVML_RESET_REQUIRED)
        return 0;
    return error_set(err, ERR_UNAVAILABLE, "could not wait for events: %s",
                     result_text(nvml, result));
}
