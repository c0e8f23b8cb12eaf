/* SPDX-License-Identifier: Apache-2.0 */
/* test_hardware: GPUs and quotas as the system's files tell of them, read from a made-up root. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hardware.h"

static char root[] = "/tmp/argosy-hardware-XXXXXX";

static void write_file(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            mkdir(full, 0700);
            *at = '/';
        }
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_root(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void reads_the_driver(void **state)
{
    (void)state;
    write_file("/proc/driver/nvidia/gpus/0000:AF:00.0/information",
               "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 18\nGPU UUID: \t "
               "GPU-11111111-2222-3333-4444-555555555555\nDevice Minor: \t 1\n");
    write_file("/proc/driver/nvidia/gpus/0000:3b:00.0/information",
               "Model: \t\t NVIDIA A100\nGPU UUID: \t GPU-?\?\?-?\?\?-?\?\?\n"
               "Device Minor: \t 0\n");
    /* a third one that this container was not given */
    write_file("/proc/driver/nvidia/gpus/0000:d8:00.0/information",
               "Model: \t\t NVIDIA A100\nDevice Minor: \t 2\n");
    write_file("/dev/nvidia0", "");
    write_file("/dev/nvidia1", "");
    write_file("/dev/nvidiactl", "");
    struct hardware hardware;
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.gpu_count, 2);
    assert_string_equal(hardware.gpus[0].bus_id, "0000:3b:00.0");
    assert_string_equal(hardware.gpus[0].uuid, "");
    assert_int_equal(hardware.gpus[0].minor, 0);
    assert_string_equal(hardware.gpus[1].bus_id, "0000:af:00.0");
    assert_string_equal(hardware.gpus[1].uuid, "GPU-11111111-2222-3333-4444-555555555555");
    assert_string_equal(hardware.gpus[1].model, "NVIDIA H100 80GB HBM3");
}

static void counts_device_files_where_the_driver_is_hidden(void **state)
{
    (void)state;
    write_file("/dev/nvidia3", "");
    struct hardware hardware;
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.gpu_count, 1);
    assert_int_equal(hardware.gpus[0].minor, 3);
    assert_string_equal(hardware.gpus[0].bus_id, "");
}

static size_t count_visible(const char *text, int *ret_first_ordinal)
{
    struct hardware hardware;
    setenv("CUDA_VISIBLE_DEVICES", text, 1);
    hardware_detect(root, &hardware);
    unsetenv("CUDA_VISIBLE_DEVICES");
    *ret_first_ordinal = hardware.gpu_count > 0 ? hardware.gpus[0].ordinal : -1;
    return hardware.gpu_count;
}

static void environment_limits_the_gpus(void **state)
{
    (void)state;
    static const char *const uuids[] = {"GPU-aa11", "GPU-aa22", "GPU-bb33"};
    for (int i = 0; i < 3; i++) {
        char path[128];
        char text[256];
        snprintf(path, sizeof path, "/proc/driver/nvidia/gpus/0000:0%d:00.0/information", i + 1);
        snprintf(text, sizeof text, "GPU UUID: %s\nDevice Minor: %d\n", uuids[i], 2 - i);
        write_file(path, text);
        snprintf(path, sizeof path, "/dev/nvidia%d", i);
        write_file(path, "");
    }
    int first;
    assert_int_equal(count_visible("0,1,2", &first), 3);
    assert_int_equal(count_visible("2,1", &first), 2);
    assert_int_equal(first, 2);
    assert_int_equal(count_visible("GPU-bb", &first), 1);
    assert_int_equal(first, 2);
    assert_int_equal(count_visible("1,7,0", &first), 1); /* what follows the unknown one is cut */
    assert_int_equal(first, 1);
    assert_int_equal(count_visible("", &first), 0);
    assert_int_equal(count_visible("-1", &first), 0);
    assert_int_equal(count_visible("MIG-1,MIG-2", &first), 2);
    assert_int_equal(first, -1);
}

/* One GPU: its slices are where it is, however they are named. */
static void slices_are_where_their_gpu_is(void **state)
{
    (void)state;
    write_file("/proc/driver/nvidia/gpus/0000:3b:00.0/information",
               "Model: NVIDIA A100\nGPU UUID: GPU-aa11\nDevice Minor: 0\n");
    write_file("/dev/nvidia0", "");
    struct hardware hardware;
    setenv("NVIDIA_VISIBLE_DEVICES", "MIG-5,MIG-6", 1);
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.gpu_count, 2);
    assert_string_equal(hardware.gpus[1].uuid, "MIG-6");
    assert_string_equal(hardware.gpus[1].bus_id, "0000:3b:00.0");
    assert_string_equal(hardware.gpus[1].model, "NVIDIA A100");
    assert_int_equal(hardware.gpus[1].ordinal, -1);
    setenv("NVIDIA_VISIBLE_DEVICES", "all", 1);
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.gpu_count, 1);
    assert_string_equal(hardware.gpus[0].uuid, "GPU-aa11");
    unsetenv("NVIDIA_VISIBLE_DEVICES");

    write_file("/proc/driver/nvidia/gpus/0000:af:00.0/information",
               "Model: NVIDIA A100\nGPU UUID: GPU-bb22\nDevice Minor: 1\n");
    write_file("/dev/nvidia1", "");
    write_file("/proc/driver/nvidia/capabilities/gpu1/mig/gi3/ci0/access", "");
    write_file("/proc/driver/nvidia/capabilities/gpu0/mig/config", "");
    hardware_detect(root, &hardware);
    assert_false(hardware.gpus[0].is_divided);
    assert_true(hardware.gpus[1].is_divided);
    setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-bb22/1/0,MIG-7", 1);
    hardware_detect(root, &hardware);
    unsetenv("CUDA_VISIBLE_DEVICES");
    assert_int_equal(hardware.gpu_count, 2);
    assert_string_equal(hardware.gpus[0].uuid, "MIG-GPU-bb22/1/0");
    assert_string_equal(hardware.gpus[0].bus_id, "0000:af:00.0");
    assert_string_equal(hardware.gpus[1].bus_id, ""); /* on either */
}

static void quota_lowers_the_processors(void **state)
{
    (void)state;
    struct hardware hardware;
    hardware_detect(root, &hardware);
    int all = hardware.cpus;
    assert_true(all >= 1);
    assert_int_equal(hardware.gpu_count, 0);
    write_file("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.cpus, 1);
    write_file("/sys/fs/cgroup/cpu.max", "max 100000\n");
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.cpus, all);

    /* A service's own cgroup, and one around it. */
    write_file("/proc/self/cgroup", "1:name=systemd:/\n0::/system.slice/argosy.service\n");
    write_file("/sys/fs/cgroup/system.slice/argosy.service/cpu.max", "100000 100000\n");
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.cpus, 1);
    write_file("/sys/fs/cgroup/system.slice/argosy.service/cpu.max", "max 100000\n");
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.cpus, all);
    write_file("/sys/fs/cgroup/system.slice/cpu.max", "80000 100000\n");
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.cpus, 1);
    /* One that is not below the mount cannot be read. */
    write_file("/proc/self/cgroup", "0::/../system.slice/argosy.service\n");
    hardware_detect(root, &hardware);
    assert_int_equal(hardware.cpus, all);
}

static void worker_count_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(hardware_cpu_workers(&(struct hardware){.cpus = 1}), 2);
    assert_int_equal(hardware_cpu_workers(&(struct hardware){.cpus = 10}), 5);
    assert_int_equal(hardware_cpu_workers(&(struct hardware){.cpus = 256}), 16);
}

int main(void)
{
    unsetenv("CUDA_VISIBLE_DEVICES");
    unsetenv("NVIDIA_VISIBLE_DEVICES");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_the_driver, make_root, remove_root),
        cmocka_unit_test_setup_teardown(counts_device_files_where_the_driver_is_hidden, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(environment_limits_the_gpus, make_root, remove_root),
        cmocka_unit_test_setup_teardown(slices_are_where_their_gpu_is, make_root, remove_root),
        cmocka_unit_test_setup_teardown(quota_lowers_the_processors, make_root, remove_root),
        cmocka_unit_test(worker_count_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
