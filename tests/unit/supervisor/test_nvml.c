/* SPDX-License-Identifier: Apache-2.0 */
/* test_nvml: the adapter over a fake of NVIDIA's library (tests/fake_nvml): GPUs, slices, figures,
 * events, what an old driver lacks, and GPUs that do not answer. */
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/gpu/nvml.h"

static char folder[] = "/tmp/argosy-nvml-XXXXXX";
static int events_fd = -1;

static void path_of(const char *name, char out[64])
{
    snprintf(out, 64, "%s/%s", folder, name);
}

static void write_state(const char *text)
{
    char path[64];
    path_of("state", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int set_up(void **state)
{
    (void)state;
    char path[64];
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    path_of("events", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    events_fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(events_fd >= 0);
    setenv("FAKE_NVML", folder, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    close(events_fd);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct nvml *open_nvml(const char *library)
{
    struct nvml *nvml = NULL;
    struct error err = {0};
    if (nvml_open(library, &nvml, &err) != 0)
        fail_msg("%s", err.text);
    return nvml;
}

static void say_event(const char *line)
{
    assert_int_equal(write(events_fd, line, strlen(line)), strlen(line));
}

static void expect_figure(const struct gpu_record *record, enum gpu_figure figure, uint64_t value)
{
    assert_true((record->known >> figure & 1) != 0);
    assert_int_equal(record->figures[figure], value);
}

#define TWO                                                                                        \
    "gpu GPU-a 00000000:3B:00.0 0\ntemperature 41\nslowdown 90\npower 250000\nthrottle 64\n"       \
    "utilization 77\nmemory 1000 4000\necc 1 2\nrows 3 4 1 0\n"                                    \
    "gpu GPU-b 00000000:AF:00.0 1\ntemperature 42\n"

static void figures_are_read(void **state)
{
    (void)state;
    write_state(TWO);
    struct nvml *nvml = open_nvml(FAKE_NVML);
    assert_int_equal(nvml_unit_count(nvml), 2);
    assert_string_equal(nvml_lacks(nvml), "");
    assert_string_equal(nvml_unit(nvml, 0)->uuid, "GPU-a");
    assert_string_equal(nvml_unit(nvml, 0)->bus_id, "0000:3b:00.0");
    assert_int_equal(nvml_unit(nvml, 1)->minor, 1);
    struct gpu_record record, checked;
    nvml_read(nvml, 0, &record);
    assert_true(gpu_record_read(&record, sizeof record, &checked));
    assert_int_equal(record.kind, GPU_RECORD_FIGURES);
    expect_figure(&record, GPU_FIGURE_TEMPERATURE, 41);
    expect_figure(&record, GPU_FIGURE_SLOWDOWN, 90);
    expect_figure(&record, GPU_FIGURE_POWER, 250000);
    expect_figure(&record, GPU_FIGURE_THROTTLE, GPU_THROTTLE_HARD_HEAT);
    expect_figure(&record, GPU_FIGURE_UTILIZATION, 77);
    expect_figure(&record, GPU_FIGURE_MEMORY_USED, 1000);
    expect_figure(&record, GPU_FIGURE_MEMORY_TOTAL, 4000);
    expect_figure(&record, GPU_FIGURE_ECC_VOLATILE, 1);
    expect_figure(&record, GPU_FIGURE_ECC_AGGREGATE, 2);
    expect_figure(&record, GPU_FIGURE_ROWS_REMAPPED, 7);
    expect_figure(&record, GPU_FIGURE_ROW_PENDING, 1);
    expect_figure(&record, GPU_FIGURE_ROW_FAILURE, 0);
    /* what this one does not support is not known */
    nvml_read(nvml, 1, &record);
    expect_figure(&record, GPU_FIGURE_TEMPERATURE, 42);
    assert_int_equal(record.known >> GPU_FIGURE_MEMORY_TOTAL & 1, 0);
    assert_int_equal(record.known >> GPU_FIGURE_ROW_FAILURE & 1, 0);
    nvml_close(nvml);
}

static void events_name_the_gpu(void **state)
{
    (void)state;
    struct gpu_record record;
    write_state(TWO);
    struct nvml *nvml = open_nvml(FAKE_NVML);
    assert_true(nvml_has_events(nvml));
    assert_int_equal(nvml_wait(nvml, 0, &record, NULL), 0);
    say_event("8 1 79\n");
    assert_int_equal(nvml_wait(nvml, 20000, &record, NULL), 1);
    assert_int_equal(record.event, GPU_EVENT_XID);
    assert_int_equal(record.xid, 79);
    assert_string_equal(record.identity.uuid, "GPU-b");
    assert_int_equal(record.identity.gpu_instance, GPU_INSTANCE_NONE);
    say_event("2 0 0\n");
    assert_int_equal(nvml_wait(nvml, 20000, &record, NULL), 1);
    assert_int_equal(record.event, GPU_EVENT_ECC_DOUBLE);
    assert_string_equal(record.identity.bus_id, "0000:3b:00.0");
    say_event("1 0 0\n");
    assert_int_equal(nvml_wait(nvml, 20000, &record, NULL), 1);
    assert_int_equal(record.event, GPU_EVENT_ECC_SINGLE);
    say_event("4 0 0\n"); /* another clock: nothing of ours */
    assert_int_equal(nvml_wait(nvml, 20000, &record, NULL), 0);
    nvml_close(nvml);
}

static void slices_are_units(void **state)
{
    (void)state;
    struct gpu_record record;
    write_state("gpu GPU-a 00000000:3B:00.0 0\ntemperature 41\nmemory 10 40\n"
                "slice MIG-1 7 0\nslice MIG-2 8 0\n");
    struct nvml *nvml = open_nvml(FAKE_NVML);
    assert_int_equal(nvml_unit_count(nvml), 3);
    assert_string_equal(nvml_unit(nvml, 2)->uuid, "MIG-2");
    assert_string_equal(nvml_unit(nvml, 2)->bus_id, "0000:3b:00.0");
    assert_int_equal(nvml_unit(nvml, 2)->gpu_instance, 8);
    assert_int_equal(nvml_unit(nvml, 2)->compute_instance, 0);
    nvml_read(nvml, 2, &record);
    assert_string_equal(record.identity.uuid, "MIG-2");
    expect_figure(&record, GPU_FIGURE_TEMPERATURE, 41); /* its GPU's */
    expect_figure(&record, GPU_FIGURE_MEMORY_USED, 10);
    say_event("8 0 94 8 0\n");
    assert_int_equal(nvml_wait(nvml, 20000, &record, NULL), 1);
    assert_string_equal(record.identity.uuid, "GPU-a");
    assert_int_equal(record.identity.gpu_instance, 8);
    nvml_close(nvml);
}

static void lost_gpu_is_told_by_its_figures(void **state)
{
    (void)state;
    struct gpu_record record;
    write_state(TWO);
    struct nvml *nvml = open_nvml(FAKE_NVML);
    write_state(TWO "fails 15\n");
    assert_int_equal(nvml_wait(nvml, 20000, &record, NULL), 0);
    nvml_read(nvml, 1, &record);
    assert_int_equal(record.kind, GPU_RECORD_EVENT);
    assert_int_equal(record.event, GPU_EVENT_LOST);
    assert_string_equal(record.identity.uuid, "GPU-b");
    nvml_read(nvml, 0, &record);
    assert_int_equal(record.kind, GPU_RECORD_FIGURES);
    write_state(TWO "fails 16\n");
    assert_int_equal(nvml_wait(nvml, 20000, &record, NULL), 0);
    nvml_read(nvml, 1, &record);
    assert_int_equal(record.event, GPU_EVENT_RESET);
    /* one that was lost before: the other one is watched */
    nvml_close(nvml);
    nvml = open_nvml(FAKE_NVML);
    assert_int_equal(nvml_unit_count(nvml), 1);
    nvml_close(nvml);
}

static void waiting_may_fail(void **state)
{
    (void)state;
    struct gpu_record record;
    struct error err = {0};
    write_state(TWO);
    struct nvml *nvml = open_nvml(FAKE_NVML);
    write_state(TWO "fails 999\n");
    assert_int_equal(nvml_wait(nvml, 20000, &record, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.text, "could not wait for events: Unknown Error");
    nvml_close(nvml);
}

static void old_driver_tells_less(void **state)
{
    (void)state;
    struct gpu_record record;
    write_state(TWO);
    struct nvml *nvml = open_nvml(FAKE_NVML_OLD);
    assert_int_equal(nvml_unit_count(nvml), 2);
    assert_false(nvml_has_events(nvml));
    assert_non_null(strstr(nvml_lacks(nvml), "nvmlEventSetWait_v2"));
    nvml_read(nvml, 0, &record);
    expect_figure(&record, GPU_FIGURE_TEMPERATURE, 41);
    expect_figure(&record, GPU_FIGURE_MEMORY_TOTAL, 4000);
    assert_int_equal(record.known >> GPU_FIGURE_ROW_FAILURE & 1, 0);
    assert_int_equal(record.identity.minor, -1);
    nvml_close(nvml);
}

static void absent_is_not_broken(void **state)
{
    (void)state;
    struct nvml *nvml = NULL;
    struct error err = {0};
    assert_int_equal(nvml_open("libargosy-no-such.so.1", &nvml, &err), ERR_NOT_FOUND);
    write_state("init 9\n"); /* no driver */
    assert_int_equal(nvml_open(FAKE_NVML, &nvml, &err), ERR_NOT_FOUND);
    write_state("init 999\n");
    assert_int_equal(nvml_open(FAKE_NVML, &nvml, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.text, "NVML: Unknown Error");
    assert_int_equal(nvml_open("libm.so.6", &nvml, &err), ERR_INVALID);
    assert_null(nvml);
    nvml_close(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(figures_are_read),     TEST(events_name_the_gpu),
        TEST(slices_are_units),     TEST(lost_gpu_is_told_by_its_figures),
        TEST(waiting_may_fail),     TEST(old_driver_tells_less),
        TEST(absent_is_not_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
