/* SPDX-License-Identifier: Apache-2.0 */
/* test_fleet_examples: the configurations in examples/fleet load, and mean what they say. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fleet_config.h"

static struct fleet_config *load(const char *name, const struct hardware *hardware)
{
    char path[512];
    struct fleet_config *config = NULL;
    struct error err = {0};
    snprintf(path, sizeof path, "%s/examples/fleet/%s.yaml", getenv("ARGOSY_SOURCE_DIR"), name);
    if (fleet_config_load_for(path, hardware, &config, &err) != 0)
        fail_msg("%s", err.text);
    return config;
}

static void laptop(void **state)
{
    (void)state;
    struct hardware hardware = {.cpus = 8};
    struct fleet_config *config = load("laptop", &hardware);
    const char *end = strrchr(config->data_dir, '/');
    assert_string_equal(end, "/.argosy");
    assert_int_equal(fleet_config_group(config, "cpu")->processes, 2);
    assert_int_equal(fleet_config_group(config, "gpu")->processes, 1);
    fleet_config_destroy(config);
}

static void gpu_node(void **state)
{
    (void)state;
    struct hardware hardware = {.cpus = 192, .gpu_count = 8};
    struct fleet_config *config = load("gpu-node", &hardware);
    const struct fleet_group *embed = fleet_config_group(config, "embed");
    assert_int_equal(embed->processes, 8);
    assert_int_equal(embed->device, FLEET_DEVICE_CUDA);
    assert_int_equal(embed->max_unavailable, 2);
    assert_int_equal(fleet_config_group(config, "cpu")->memory_mb, 4096);
    assert_int_equal(config->storage.listen_count, 2);
    assert_int_equal(fleet_config_queue(config, "gpu-queue")->max_in_flight, 2048);
    assert_int_equal(config->engine.listen_count, 2);
    struct fleet_endpoint endpoint;
    assert_int_equal(fleet_config_endpoint(config, &endpoint, NULL), 0);
    assert_string_equal(endpoint.address, "ipc:///var/lib/argosy/engine.sock");
    fleet_config_destroy(config);
}

static void cpu_only(void **state)
{
    (void)state;
    struct hardware hardware = {.cpus = 16, .gpu_count = 0};
    struct fleet_config *config = load("cpu-only", &hardware);
    assert_int_equal(fleet_config_group(config, "cpu")->processes, 8);
    assert_int_equal(fleet_config_group(config, "gpu")->device, FLEET_DEVICE_CPU);
    assert_int_equal(fleet_config_group(config, "gpu")->label_count, 3);
    fleet_config_destroy(config);
}

static void remote_engine(void **state)
{
    (void)state;
    struct hardware hardware = {.cpus = 4};
    struct fleet_config *config = load("remote-engine", &hardware);
    struct fleet_endpoint endpoint;
    assert_int_equal(fleet_config_endpoint(config, &endpoint, NULL), 0);
    assert_string_equal(endpoint.address, "tcp://engine.internal:7233");
    assert_string_equal(endpoint.client_key_file, "/etc/argosy/client.key");
    assert_int_equal(fleet_config_storage_endpoint(config, &endpoint, NULL), 0);
    assert_string_equal(endpoint.address, "tcp://engine.internal:7234");
    assert_false(config->storage.enabled);
    assert_false(fleet_config_group(config, "workflows")->activities);
    assert_false(fleet_config_group(config, "activities")->workflows);
    fleet_config_destroy(config);
}

static void several_files(void **state)
{
    (void)state;
    struct hardware hardware = {.cpus = 8, .gpu_count = 2};
    struct fleet_config *config = load("several-files/fleet", &hardware);
    assert_int_equal(config->file_count, 3);
    assert_int_equal(config->group_count, 2);
    assert_int_equal(fleet_config_group(config, "embed")->device, FLEET_DEVICE_CPU);
    assert_int_equal(fleet_config_group(config, "embed")->batch_tokens, 32768);
    assert_int_equal(fleet_config_group(config, "work")->grace_ms, 60000);
    fleet_config_destroy(config);
}

int main(void)
{
    unsetenv("ARGOSY_DATA_DIR");
    unsetenv("ARGOSY_ENGINE");
    unsetenv("ARGOSY_MODEL_DIR");
    unsetenv("NODE_NAME");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laptop),        cmocka_unit_test(gpu_node),
        cmocka_unit_test(cpu_only),      cmocka_unit_test(remote_engine),
        cmocka_unit_test(several_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
