/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the device to be tested (subject.h). */
#include "kernels/tests/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

#define EXIT_SKIPPED 77

static int cpu_open(const char *name, struct device **ret_device, char *message, size_t size)
{
    const struct cpu_isa *isas[CPU_ISAS_MAX];
    uint32_t count = cpu_isas(isas);

    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(isas[i]->name);
        if (strncmp(name, isas[i]->name, length) != 0 ||
            (name[length] != '\0' && name[length] != '_'))
            continue;
        struct device_options options = {.kind = DEVICE_CPU, .threads = 1};
        if (name[length] == '_')
            options.threads = (uint32_t)strtoul(name + length + 1, NULL, 10);
        return cpu_device_open_isa(&options, isas[i], ret_device, message, size);
    }
    snprintf(message, size, "this processor or build does not have %s", name);
    return KERNEL_UNSUPPORTED;
}

static enum device_precision cuda_precision(const char *name)
{
    if (strstr(name, "bf16"))
        return DEVICE_BF16;
    return strstr(name, "fp16") ? DEVICE_FP16 : DEVICE_FP32;
}

static int named_open(const char *name, struct device **ret_device, char *message, size_t size)
{
    struct device_options options = {.kind = DEVICE_REFERENCE};

    if (strncmp(name, "cpu_", 4) == 0)
        return cpu_open(name + 4, ret_device, message, size);
    if (strncmp(name, "cuda_", 5) == 0) {
        options.kind = DEVICE_CUDA;
        options.precision = cuda_precision(name);
        options.gemm = strstr(name, "own") ? DEVICE_GEMM_OWN : DEVICE_GEMM_CUBLASLT;
    }
    return device_open(&options, ret_device, message, size);
}

struct bench subject_open(const char *name)
{
    struct bench bench;
    char message[256] = "";
    int r = named_open(name, &bench.device, message, sizeof(message));

    switch (r) {
    case KERNEL_OK:
        break;
    case KERNEL_UNSUPPORTED:
    case KERNEL_NOT_BUILT:
    case KERNEL_NO_DRIVER:
    case KERNEL_DRIVER_TOO_OLD:
    case KERNEL_NO_DEVICE:
    case KERNEL_NO_LIBRARY:
        printf("%s: not supported: %s\n", name, message);
        exit(EXIT_SKIPPED);
    default:
        printf("%s: %s: %s\n", name, kernel_status_text(r), message);
        exit(1);
    }
    if (device_stream_create(bench.device, &bench.stream) < 0)
        exit(1);
    const struct device_info *info = device_info(bench.device);
    printf("%s: %s, products: %s\n", name, info->name, info->gemm);
    return bench;
}

bool subject_is_slow(const struct bench *bench)
{
    return strcmp(device_info(bench->device)->name, "emulator") == 0;
}

struct bench reference_open(void)
{
    return subject_open("reference");
}

void bench_close(struct bench *bench)
{
    device_stream_destroy(bench->stream);
    device_close(bench->device);
}
