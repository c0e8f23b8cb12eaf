/* SPDX-License-Identifier: Apache-2.0 */
/* test_fleet_config: what the configuration file accepts, what it fills in, and the exact words
 * with which it refuses. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fleet_config.h"
#include "common/fleet_schema.h"

static const struct hardware two_cpus = {.cpus = 2};
static const struct hardware eight_gpus = {.cpus = 128, .gpu_count = 8};

static struct fleet_config *parse(const char *text, const struct hardware *hardware)
{
    struct fleet_config *config = NULL;
    struct error err = {0};
    if (fleet_config_parse(text, strlen(text), "f.yaml", "/etc/fleet", hardware, &config, &err) !=
        0)
        fail_msg("%s", err.text);
    return config;
}

static void expect_error(const char *text, const char *expected)
{
    struct fleet_config *config = NULL;
    struct error err = {0};
    int code =
        fleet_config_parse(text, strlen(text), "f.yaml", "/etc/fleet", &two_cpus, &config, &err);
    if (code == 0)
        fail_msg("accepted: %s", text);
    assert_null(config);
    assert_string_equal(err.text, expected);
    assert_int_equal(code, ERR_CONFIG);
}

static void empty_file_gives_defaults(void **state)
{
    (void)state;
    struct fleet_config *config = parse("", &two_cpus);
    assert_string_equal(config->data_dir, "/etc/fleet/.argosy");
    assert_string_equal(config->models_dir, "/etc/fleet/.argosy/models");
    assert_int_equal(config->engine.store, FLEET_STORE_SQLITE);
    assert_int_equal(config->engine.listen_count, 1);
    assert_string_equal(config->engine.listen[0], "ipc:///etc/fleet/.argosy/engine.sock");
    assert_int_equal(config->group_count, 2);
    const struct fleet_group *cpu = fleet_config_group(config, "cpu");
    assert_int_equal(cpu->processes, 2);
    assert_string_equal(cpu->queues[0].name, "cpu-queue");
    assert_int_equal(cpu->queues[0].slots, 16);
    assert_int_equal(cpu->queue_count, 2);
    assert_string_equal(cpu->queues[1].name, "storage-queue");
    assert_int_equal(cpu->queues[1].slots, 8);
    assert_true(cpu->workflows && cpu->activities);
    const struct fleet_group *gpu = fleet_config_group(config, "gpu");
    assert_int_equal(gpu->processes, 1);
    assert_int_equal(gpu->device, FLEET_DEVICE_AUTO);
    assert_string_equal(gpu->model, "all-MiniLM-L6-v2");
    assert_int_equal(gpu->queues[0].slots, 64);
    assert_int_equal(gpu->label_count, 3);
    assert_false(gpu->workflows);
    assert_null(fleet_config_group(config, "none"));
    assert_null(fleet_config_queue(config, "cpu-queue"));
    fleet_config_destroy(config);
}

static void storage_runs_where_the_engine_does(void **state)
{
    (void)state;
    struct fleet_config *config = parse("", &two_cpus);
    const struct fleet_storage *storage = &config->storage;
    assert_true(storage->enabled);
    assert_string_equal(storage->address, "ipc:///etc/fleet/.argosy/storage.sock");
    assert_string_equal(storage->vectors, "sqlite");
    assert_int_equal(storage->artifact_keep_hours, 24);
    assert_int_equal(config->supervisor.log_keep_mb, 16);
    assert_int_equal(config->supervisor.core_keep_mb, 0); /* they hold models and payloads */
    fleet_config_destroy(config);

    config = parse("engine: {endpoint: \"ipc:///run/engine.sock\"}\n"
                   "groups: [{name: work, kind: cpu}]",
                   &two_cpus);
    assert_false(config->storage.enabled);
    assert_null(config->storage.address);
    assert_int_equal(config->groups[0].queue_count, 1);
    struct fleet_endpoint endpoint;
    assert_int_equal(fleet_config_storage_endpoint(config, &endpoint, NULL), ERR_CONFIG);
    fleet_config_destroy(config);

    config = parse("engine: {endpoint: \"ipc:///run/engine.sock\"}\n"
                   "storage: {endpoint: \"tcp://10.0.0.1:7235\", server_public_key_file: s.pub,"
                   " client_key_file: c}\n"
                   "groups: [{name: work, kind: cpu}]",
                   &two_cpus);
    assert_false(config->storage.enabled);
    assert_int_equal(config->groups[0].queue_count, 2);
    assert_int_equal(fleet_config_storage_endpoint(config, &endpoint, NULL), 0);
    assert_string_equal(endpoint.address, "tcp://10.0.0.1:7235");
    assert_string_equal(endpoint.client_key_file, "/etc/fleet/c");
    fleet_config_destroy(config);

    config = parse("storage: {enabled: false}", &two_cpus);
    assert_false(config->storage.enabled);
    fleet_config_destroy(config);
}

static void gpu_health_has_its_keys(void **state)
{
    (void)state;
    struct fleet_config *config = parse("", &two_cpus);
    const struct fleet_gpu_health *health = &config->supervisor.gpu_health;
    assert_true(health->enabled);
    assert_string_equal(health->library, "libnvidia-ml.so.1");
    assert_int_equal(health->interval_ms, 5000);
    assert_int_equal(health->hang_ms, 30000);
    assert_int_equal(health->ignore_xid_count + health->fatal_xid_count, 0);
    fleet_config_destroy(config);

    config = parse("supervisor: {gpu_health: {ignore_xids: [63, 92], fatal_xids: [13],"
                   " temperature_max: 88}}",
                   &two_cpus);
    health = &config->supervisor.gpu_health;
    assert_int_equal(health->ignore_xid_count, 2);
    assert_string_equal(health->ignore_xids[1], "92");
    assert_string_equal(health->fatal_xids[0], "13");
    assert_int_equal(health->temperature_max, 88);
    fleet_config_destroy(config);
}

static void counts_follow_the_hardware(void **state)
{
    (void)state;
    struct fleet_config *config = parse("groups: [{name: a, kind: cpu}, {name: b, kind: gpu},"
                                        " {name: c, kind: gpu, device: cpu}]",
                                        &eight_gpus);
    assert_int_equal(config->groups[0].processes, 16);
    assert_int_equal(config->groups[1].processes, 8);
    assert_int_equal(config->groups[2].processes, 1);
    fleet_config_destroy(config);
}

static const char full[] = "node: n1\n"
                           "data_dir: ./data\n"
                           "log_level: debug\n"
                           "log_format: json\n"
                           "engine:\n"
                           "  store: memory\n"
                           "  listen: [ipc, \"tcp://127.0.0.1:7233\"]\n"
                           "  insecure: true\n"
                           "  lease_ms: 2000\n"
                           "storage:\n"
                           "  listen: [\"tcp://127.0.0.1:7235\"]\n"
                           "  insecure: true\n"
                           "  vectors: postgres://me@db:5432/argosy\n"
                           "  vectors_password_file: secrets/postgres\n"
                           "  memory_mb: 64\n"
                           "  cache_mb: 0\n"
                           "  artifact_keep_hours: 0\n"
                           "queues:\n"
                           "  - {name: gpu-queue, max_in_flight: 9}\n"
                           "groups:\n"
                           "  - name: work\n"
                           "    kind: cpu\n"
                           "    processes: 0\n"
                           "    queues: [{name: a}, {name: b, slots: 3}]\n"
                           "    activities: false\n"
                           "    plugins: [lib/one.so, /opt/two.so]\n"
                           "    environment: [{name: A, value: \"1 $$ \\u00e4\\u2028\\n\"},"
                           " {name: B, value: \"\"}]\n"
                           "    pinning: none\n"
                           "    grace_ms: 1\n"
                           "    memory_mb: 1536\n"
                           "  - name: gpus\n"
                           "    kind: gpu\n"
                           "    device: cuda\n"
                           "    precision: bf16\n"
                           "    tuning_file: tuning\n"
                           "    gpus: [GPU-11-aa, \"3b:00.0\", 2]\n"
                           "    processes_per_gpu: 3\n"
                           "    smt: avoid\n"
                           "    labels: [{name: x, prompt: is x}, {name: y, prompt: \"null\"}]\n"
                           "    temperature: 0.125\n";

static void reads_every_kind_of_value(void **state)
{
    (void)state;
    struct fleet_config *config = parse(full, &two_cpus);
    assert_string_equal(config->node, "n1");
    assert_string_equal(config->data_dir, "/etc/fleet/data");
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->log_format, LOG_FORMAT_JSON);
    assert_int_equal(config->engine.lease_ms, 2000);
    assert_int_equal(fleet_config_queue(config, "gpu-queue")->max_in_flight, 9);
    const struct fleet_group *work = fleet_config_group(config, "work");
    assert_int_equal(work->processes, 0);
    assert_int_equal(work->queues[0].slots, 16);
    assert_int_equal(work->queues[1].slots, 3);
    assert_true(work->workflows && !work->activities);
    assert_string_equal(work->plugins[0], "/etc/fleet/lib/one.so");
    assert_string_equal(work->plugins[1], "/opt/two.so");
    assert_string_equal(work->environment[0].value, "1 $ \xc3\xa4\xe2\x80\xa8\n");
    assert_string_equal(work->environment[1].value, "");
    assert_int_equal(work->pinning, FLEET_PINNING_NONE);
    assert_int_equal(work->memory_mb, 1536);
    const struct fleet_group *gpus = fleet_config_group(config, "gpus");
    assert_int_equal(gpus->device, FLEET_DEVICE_CUDA);
    assert_int_equal(gpus->precision, FLEET_PRECISION_BF16);
    assert_string_equal(gpus->tuning_file, "/etc/fleet/tuning");
    assert_int_equal(gpus->gpu_count, 3);
    assert_string_equal(gpus->gpus[1], "3b:00.0");
    assert_string_equal(gpus->gpus[2], "2");
    assert_int_equal(gpus->processes, 9);
    assert_int_equal(gpus->mps_percentage, 33);
    assert_int_equal(gpus->smt, FLEET_SMT_AVOID);
    assert_int_equal(gpus->pinning, FLEET_PINNING_CORE);
    assert_string_equal(gpus->labels[1].prompt, "null");
    assert_int_equal(gpus->memory_mb, 0);
    assert_true(gpus->temperature == 0.125);
    fleet_config_destroy(config);
}

static void printed_config_loads_to_the_same(void **state)
{
    (void)state;
    struct fleet_config *config = parse(full, &two_cpus);
    struct buffer first = {0};
    fleet_config_print(config, &first);
    struct fleet_config *again = parse(buffer_text(&first), &eight_gpus);
    struct buffer second = {0};
    fleet_config_print(again, &second);
    assert_string_equal(buffer_text(&second), buffer_text(&first));
    assert_string_equal(again->groups[0].environment[0].value, "1 $ \xc3\xa4\xe2\x80\xa8\n");
    buffer_fini(&first);
    buffer_fini(&second);
    fleet_config_destroy(config);
    fleet_config_destroy(again);
}

static void environment_is_substituted(void **state)
{
    (void)state;
    setenv("T_NODE", "n: {7", 1);
    setenv("T_EMPTY", "", 1);
    unsetenv("T_NONE");
    struct fleet_config *config = parse("engine: {lease_ms: \"${T_NONE:-500}\"}\n"
                                        "groups:\n"
                                        "  - name: g${T_EMPTY:-1}x\n"
                                        "    kind: cpu\n"
                                        "    environment:\n"
                                        "      - name: A\n"
                                        "        value: a${T_NODE}b$$${T_EMPTY}\n",
                                        &two_cpus);
    assert_int_equal(config->engine.lease_ms, 500);
    assert_string_equal(config->groups[0].name, "g1x");
    assert_string_equal(config->groups[0].environment[0].value, "an: {7b$");
    fleet_config_destroy(config);
    expect_error("node: ${T_NONE}\n", "f.yaml:1: node: environment variable T_NONE is not set");
    expect_error("node: a$b\n", "f.yaml:1: node: \"$\" must begin ${NAME}, ${NAME:-default} or $$ "
                                "(a dollar sign)");
    expect_error("node: ${T_NODE\n", "f.yaml:1: node: \"$\" must begin ${NAME}, ${NAME:-default} "
                                     "or $$ (a dollar sign)");
    setenv("T_BAD", "\xff", 1);
    expect_error("node: ${T_BAD}\n", "f.yaml:1: node: environment variable T_BAD is not UTF-8");
}

struct error_case {
    const char *text;
    const char *expected;
};

#define GROUP "groups:\n- name: a\n  kind: cpu\n"
#define GPU   "groups:\n- name: a\n  kind: gpu\n"

static const struct error_case error_cases[] = {
    /* unknown and misplaced keys */
    {"nod: x\n", "f.yaml:1: nod: unknown key (did you mean \"node\"?)"},
    {"\nengine:\n  stroe: memory\n",
     "f.yaml:3: engine.stroe: unknown key (did you mean \"store\"?)"},
    {GROUP "  proceses: 2\n",
     "f.yaml:4: groups[0].proceses: unknown key (did you mean \"processes\"?)"},
    {GROUP "  queues:\n  - name: q\n    slotz: 1\n",
     "f.yaml:6: groups[0].queues[0].slotz: unknown key (did you mean \"slots\"?)"},
    {"queues:\n- name: q\n  zzzzzz: 1\n",
     "f.yaml:3: queues[0].zzzzzz: unknown key (known: name, max_in_flight)"},
    {"lease_ms: 5\n", "f.yaml:1: lease_ms: unknown key here (did you mean engine.lease_ms?)"},
    {GROUP "  slots: 5\n",
     "f.yaml:4: groups[0].slots: unknown key here (did you mean groups[].queues[].slots?)"},
    {"endpoint: x\n",
     "f.yaml:1: endpoint: unknown key here (did you mean engine.endpoint, storage.endpoint?)"},
    {"include: [a]\n", "f.yaml:1: include: only a file can include others"},
    {GROUP "  model: m\n", "f.yaml:4: groups[0].model: only groups of kind gpu have this key"},
    {GPU "  workflows: true\n",
     "f.yaml:4: groups[0].workflows: only groups of kind cpu have this key"},
    {GROUP "  gpus: [0]\n", "f.yaml:4: groups[0].gpus: only groups of kind gpu have this key"},
    {GROUP "  mps_percentage: 50\n",
     "f.yaml:4: groups[0].mps_percentage: only groups of kind gpu have this key"},
    {GPU "  device: cpu\n  processes_per_gpu: 2\n",
     "f.yaml:5: groups[0].processes_per_gpu: a group on device cpu uses no GPU"},
    {GPU "  mps_percentage: 101\n",
     "f.yaml:4: groups[0].mps_percentage: 101 is out of range (1 to 100)"},
    {GPU "  processes_per_gpu: 49\n",
     "f.yaml:4: groups[0].processes_per_gpu: 49 is out of range (1 to 48)"},
    {GPU "  gpus: [cuda:0]\n",
     "f.yaml:4: groups[0].gpus[0]: \"cuda:0\" is no GPU (GPU-<uuid>, MIG-<uuid>, a PCI bus id like "
     "3b:00.0, or a number)"},
    {GPU "  gpus: [1, 0, 1]\n", "f.yaml:4: groups[0].gpus: \"1\" is given twice"},
    {GROUP "  pinning: l4\n",
     "f.yaml:4: groups[0].pinning: \"l4\" is none of core, l3, numa, none (did you mean \"l3\"?)"},
    {GROUP "  pinning: none\n  smt: avoid\n",
     "f.yaml:5: groups[0].smt: a group with pinning none runs on every hardware thread"},
    {"node: a\nnode: b\n", "f.yaml:2: node: was already given in line 1"},
    /* missing and doubled names */
    {"groups:\n- kind: cpu\n", "f.yaml:2: groups[0]: key \"name\" is missing"},
    {"groups:\n- name: a\n", "f.yaml:2: groups[0]: key \"kind\" is missing"},
    {"queues:\n- name: a\n- name: a\n", "f.yaml:3: queues[1].name: \"a\" was already given in "
                                        "line 2"},
    {"queues:\n- name:\n", "f.yaml:2: queues[0]: key \"name\" is missing"},
    {"queues:\n- name: \"\"\n", "f.yaml:2: queues[0].name: must not be empty"},
    /* wrong types */
    {"node: [a]\n", "f.yaml:1: node: expected a text, found a list"},
    {"engine: on\n", "f.yaml:1: engine: expected a map, found a text"},
    {"groups: {a: b}\n", "f.yaml:1: groups: expected a list, found a map"},
    {"groups:\n- ~\n", "f.yaml:2: groups[0]: expected a map, found nothing"},
    {"- a\n", "f.yaml:1: expected a map, found a list"},
    {GROUP "  plugins:\n  - [x]\n",
     "f.yaml:5: groups[0].plugins[0]: expected a text, found a list"},
    /* wrong values */
    {GROUP "  processes: two\n", "f.yaml:4: groups[0].processes: \"two\" is not a whole number"},
    {GROUP "  processes: 2.5\n", "f.yaml:4: groups[0].processes: \"2.5\" is not a whole number"},
    {GROUP "  processes: -1\n", "f.yaml:4: groups[0].processes: -1 is out of range (0 to 1024)"},
    {GROUP "  processes: 99999999999999999999\n",
     "f.yaml:4: groups[0].processes: 99999999999999999999 is out of range (0 to 1024)"},
    {GROUP "  activities: yes\n",
     "f.yaml:4: groups[0].activities: \"yes\" is neither true nor false"},
    {"engine: {store: sqlit}\n", "f.yaml:1: engine.store: \"sqlit\" is none of sqlite, memory (did "
                                 "you mean \"sqlite\"?)"},
    {"log_level: loud\n", "f.yaml:1: log_level: \"loud\" is none of debug, info, warn, error"},
    {GPU "  temperature: nan\n",
     "f.yaml:4: groups[0].temperature: nan is out of range (0 to 1000)"},
    {GPU "  temperature: hot\n", "f.yaml:4: groups[0].temperature: \"hot\" is not a number"},
    {GPU "  temperature: 0\n", "f.yaml:4: groups[0].temperature: must be above 0"},
    {GPU "  precision: int8\n",
     "f.yaml:4: groups[0].precision: \"int8\" is none of auto, fp32, fp16, bf16"},
    {GPU "  device: cpu\n  precision: fp16\n",
     "f.yaml:5: groups[0].precision: device cpu computes in fp32 or bf16, not in fp16"},
    {GPU "  device: cpu\n  tuning_file: t\n",
     "f.yaml:5: groups[0].tuning_file: a group on device cpu uses no GPU"},
    {GROUP "  precision: fp32\n",
     "f.yaml:4: groups[0].precision: only groups of kind gpu have this key"},
    {GPU "  labels: []\n", "f.yaml:4: groups[0].labels: a choice needs at least two labels"},
    {"supervisor: {gpu_health: {ignore_xids: [79, 1024]}}\n",
     "f.yaml:1: supervisor.gpu_health.ignore_xids[1]: \"1024\" is no Xid (a number from 1 to "
     "1023)"},
    {"supervisor: {gpu_health: {fatal_xids: [0]}}\n",
     "f.yaml:1: supervisor.gpu_health.fatal_xids[0]: \"0\" is no Xid (a number from 1 to 1023)"},
    {"groups:\n- name: gpu-health\n  kind: cpu\n",
     "f.yaml:2: groups[0].name: \"gpu-health\" is the name of a process of the fleet's own"},
    {GPU "  model: ../secrets\n",
     "f.yaml:4: groups[0].model: \"../secrets\" may have letters, digits, \"-\", \"_\" and \".\" "
     "only"},
    {"groups:\n- name: engine\n  kind: cpu\n",
     "f.yaml:2: groups[0].name: \"engine\" is the name of a process of the fleet's own"},
    {GROUP "  environment: [{name: 1A, value: x}]\n",
     "f.yaml:4: groups[0].environment[0].name: \"1A\" begins with a digit"},
    {GROUP "  hang_ms: 2999\n", "f.yaml:4: groups[0].hang_ms: must be 0 or at least 3000: an idle "
                                "worker tells progress once a second"},
    {GROUP "  queues: []\n", "f.yaml:4: groups[0].queues: a group needs at least one queue"},
    {GROUP "  workflows: false\n  activities: false\n",
     "f.yaml:2: groups[0]: a group without workflows and without activities has nothing to do"},
    /* addresses */
    {"engine:\n  listen: [\"tcp://0.0.0.0:7233\"]\n",
     "f.yaml:2: engine.listen[0]: \"tcp://0.0.0.0:7233\" needs server_key_file and "
     "authorized_keys_dir (without keys only on a loopback address, with insecure: true)"},
    {"engine:\n  insecure: true\n  listen: [\"tcp://10.0.0.1:7233\"]\n",
     "f.yaml:3: engine.listen[0]: \"tcp://10.0.0.1:7233\" needs server_key_file and "
     "authorized_keys_dir (without keys only on a loopback address, with insecure: true)"},
    {"engine:\n  listen:\n  - ipc\n  - localhost\n",
     "f.yaml:4: engine.listen[1]: \"localhost\" is no address (ipc, "
     "ipc:///path or tcp://host:port)"},
    {"engine: {listen: [\"tcp://host:99999\"]}\n",
     "f.yaml:1: engine.listen[0]: \"tcp://host:99999\" must be tcp://host:port"},
    {"engine: {listen: [\"ipc://rel\"]}\n",
     "f.yaml:1: engine.listen[0]: \"ipc://rel\" must be ipc:// and an absolute path"},
    {"engine: {listen: []}\n", "f.yaml:1: engine.listen: the engine needs an address to listen on"},
    {"engine:\n  endpoint: tcp://e:1\n  listen: [ipc]\n",
     "f.yaml:3: engine.listen: an engine that runs elsewhere (endpoint, line 2) listens there"},
    {"storage:\n  enabled: true\n  endpoint: \"ipc:///s\"\n",
     "f.yaml:2: storage.enabled: storage runs either here or elsewhere (endpoint, line 3)"},
    {"storage: {listen: [\"tcp://0.0.0.0:7235\"]}\n",
     "f.yaml:1: storage.listen[0]: \"tcp://0.0.0.0:7235\" needs server_key_file and "
     "authorized_keys_dir (without keys only on a loopback address, with insecure: true)"},
    {"storage: {vectors: mysql}\n",
     "f.yaml:1: storage.vectors: is neither sqlite nor a postgres:// address"},
    {"storage: {vectors: \"postgres://me:secret@db/argosy\"}\n",
     "f.yaml:1: storage.vectors: has a password in it (use vectors_password_file, or the "
     "environment's PGPASSWORD)"},
    {"storage: {vectors: \"postgresql://db/argosy?sslmode=require&password=secret\"}\n",
     "f.yaml:1: storage.vectors: has a password in it (use vectors_password_file, or the "
     "environment's PGPASSWORD)"},
    {"storage: {vectors_password_file: p}\n",
     "f.yaml:1: storage.vectors_password_file: only a postgres:// address has this key"},
    {"engine: {endpoint: \"tcp://e:7233\"}\n",
     "f.yaml:1: engine.endpoint: \"tcp://e:7233\" needs server_public_key_file and "
     "client_key_file (without keys only on a loopback address, with insecure: true)"},
    /* YAML itself */
    {"node: [a\n", "f.yaml:2: node[1]: did not find expected ',' or ']'"},
    {"a: &x 1\nb: *x\n", "f.yaml:1: a: anchors are not supported"},
    {"node: *x\n", "f.yaml:1: node: aliases are not supported"},
    {"node: !!int 3\n", "f.yaml:1: node: tags are not supported"},
    {"? [a]\n: b\n", "f.yaml:1: a key must be a text"},
    {"node: a\n---\nnode: b\n", "f.yaml:2: a second document is not supported"},
    {"node: \"a\\0b\"\n", "f.yaml:1: node: a text must not contain NUL"},
    {GROUP "  plugins:\n  - a\n  - !x b\n",
     "f.yaml:6: groups[0].plugins[1]: tags are not supported"},
    {GROUP "  \"a\\0b\": 1\n", "f.yaml:4: groups[0]: a key must not contain NUL"},
    {GROUP "  kind: gpu\n", "f.yaml:4: groups[0].kind: was already given in line 3"},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
     "f.yaml:1: nested deeper than 32 levels"},
};

static void errors_name_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof error_cases / sizeof error_cases[0]; i++)
        expect_error(error_cases[i].text, error_cases[i].expected);
}

static void null_keeps_the_default(void **state)
{
    (void)state;
    struct fleet_config *config = parse("engine:\nnode: ~\ngroups: null\nqueues:\n", &two_cpus);
    assert_int_equal(config->group_count, 2);
    assert_int_equal(config->engine.lease_ms, 10000);
    fleet_config_destroy(config);
}

static void long_socket_path_is_refused(void **state)
{
    (void)state;
    char text[256];
    snprintf(text, sizeof text, "data_dir: /%0100d\n", 0);
    struct fleet_config *config = NULL;
    struct error err = {0};
    assert_int_equal(
        fleet_config_parse(text, strlen(text), "f.yaml", "/", &two_cpus, &config, &err),
        ERR_CONFIG);
    assert_non_null(
        strstr(err.text, "the socket's path has 113 bytes, more than the system's 107"));
}

static void check_endpoint(const char *text, const char *address, const char *client_key)
{
    struct fleet_config *config = parse(text, &two_cpus);
    struct fleet_endpoint endpoint = {0};
    assert_int_equal(fleet_config_endpoint(config, &endpoint, NULL), 0);
    assert_string_equal(endpoint.address, address);
    if (client_key == NULL)
        assert_null(endpoint.client_key_file);
    else
        assert_string_equal(endpoint.client_key_file, client_key);
    fleet_config_destroy(config);
}

static void clients_find_the_engine(void **state)
{
    (void)state;
    check_endpoint("", "ipc:///etc/fleet/.argosy/engine.sock", NULL);
    check_endpoint("engine:\n  insecure: true\n  listen: [\"tcp://127.0.0.1:0\", "
                   "\"tcp://[::1]:81\"]\n",
                   "tcp://[::1]:81", NULL);
    check_endpoint("engine:\n  server_key_file: s\n  authorized_keys_dir: d\n"
                   "  server_public_key_file: p\n  client_key_file: c\n"
                   "  listen: [\"tcp://*:7233\"]\n",
                   "tcp://127.0.0.1:7233", "/etc/fleet/c");
    check_endpoint("engine:\n  server_public_key_file: p\n  client_key_file: /k/c\n"
                   "  endpoint: tcp://far:7233\n",
                   "tcp://far:7233", "/k/c");
    struct fleet_config *config =
        parse("engine: {insecure: true, listen: [\"tcp://127.0.0.1:0\"]}", &two_cpus);
    struct fleet_endpoint endpoint;
    struct error err = {0};
    assert_int_equal(fleet_config_endpoint(config, &endpoint, &err), ERR_CONFIG);
    fleet_config_destroy(config);
}

static void remote_engine_prints_and_loads(void **state)
{
    (void)state;
    struct fleet_config *config =
        parse("engine: {insecure: true, endpoint: \"tcp://127.0.0.1:5\"}", &two_cpus);
    assert_int_equal(config->engine.listen_count, 0);
    struct buffer out = {0};
    fleet_config_print(config, &out);
    struct fleet_config *again = parse(buffer_text(&out), &two_cpus);
    assert_string_equal(again->engine.endpoint, "tcp://127.0.0.1:5");
    buffer_fini(&out);
    fleet_config_destroy(again);
    fleet_config_destroy(config);
}

static void dev_options_change_the_defaults(void **state)
{
    (void)state;
    struct fleet_dev_options options = {
        .data_dir = "./d", .model = "tiny", .cpu_workers = 5, .device = FLEET_DEVICE_CPU};
    struct fleet_config *config = NULL;
    struct error err = {0};
    assert_int_equal(fleet_config_default(&options, &eight_gpus, &config, &err), 0);
    char folder[256];
    char expected[512];
    snprintf(expected, sizeof expected, "%s/d", getcwd(folder, sizeof folder));
    assert_string_equal(config->data_dir, expected);
    assert_int_equal(fleet_config_group(config, "cpu")->processes, 5);
    assert_int_equal(fleet_config_group(config, "gpu")->processes, 1);
    assert_string_equal(fleet_config_group(config, "gpu")->model, "tiny");
    fleet_config_destroy(config);
    options.model = "a/b";
    config = NULL;
    assert_int_equal(fleet_config_default(&options, &eight_gpus, &config, &err), ERR_CONFIG);
    assert_null(config);
}

static void environment_names_the_data_folder(void **state)
{
    (void)state;
    struct hardware hardware = {.cpus = 4};
    struct fleet_dev_options options = {.data_dir = "/option"};
    struct fleet_config *config;
    setenv("ARGOSY_DATA_DIR", "/environment", 1);
    assert_int_equal(fleet_config_default(NULL, &hardware, &config, NULL), 0);
    assert_string_equal(config->data_dir, "/environment");
    fleet_config_destroy(config);
    assert_int_equal(fleet_config_default(&options, &hardware, &config, NULL), 0);
    assert_string_equal(config->data_dir, "/option");
    fleet_config_destroy(config);
    unsetenv("ARGOSY_DATA_DIR");
}

static void missing_file_is_not_found(void **state)
{
    (void)state;
    struct fleet_config *config = NULL;
    struct error err = {0};
    assert_int_equal(fleet_config_load("/nonexistent/f.yaml", &config, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "cannot read /nonexistent/f.yaml: No such file or directory");
}

static void oversized_text_is_refused(void **state)
{
    (void)state;
    char *text = malloc(YAML_SIZE_MAX + 2);
    assert_non_null(text);
    memset(text, '#', YAML_SIZE_MAX + 1);
    text[YAML_SIZE_MAX + 1] = '\0';
    expect_error(text, "f.yaml: larger than 262144 bytes");
    free(text);
}

static void codecs_in_order(void **state)
{
    (void)state;
    struct fleet_config *config = parse("codecs:\n"
                                        "  - {name: zstd, level: 9}\n"
                                        "  - {name: aes-gcm, key_files: [new.key, /k/old.key]}\n",
                                        &two_cpus);
    assert_int_equal(config->codec_count, 2);
    assert_string_equal(config->codecs[0].name, "zstd");
    assert_int_equal(config->codecs[0].level, 9);
    assert_int_equal(config->codecs[0].min_size, 256);
    assert_int_equal(config->codecs[1].key_file_count, 2);
    assert_string_equal(config->codecs[1].key_files[0], "/etc/fleet/new.key");
    assert_string_equal(config->codecs[1].key_files[1], "/k/old.key");
    fleet_config_destroy(config);
    expect_error("codecs: [{name: rot13}]\n",
                 "f.yaml:1: codecs[0].name: \"rot13\" is none of zstd, aes-gcm");
    expect_error("codecs:\n  - name: aes-gcm\n", "f.yaml:2: codecs[0]: aes-gcm needs key_files");
    expect_error("codecs:\n  - {name: zstd, key_files: [a]}\n",
                 "f.yaml:2: codecs[0].key_files: only codec aes-gcm has this key");
    expect_error("codecs:\n  - {name: aes-gcm, key_files: [a], level: 3}\n",
                 "f.yaml:2: codecs[0].level: only codec zstd has this key");
}

int main(void)
{
    unsetenv("ARGOSY_DATA_DIR");
    unsetenv("ARGOSY_MODEL_DIR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_gives_defaults),
        cmocka_unit_test(storage_runs_where_the_engine_does),
        cmocka_unit_test(gpu_health_has_its_keys),
        cmocka_unit_test(counts_follow_the_hardware),
        cmocka_unit_test(reads_every_kind_of_value),
        cmocka_unit_test(printed_config_loads_to_the_same),
        cmocka_unit_test(environment_is_substituted),
        cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(null_keeps_the_default),
        cmocka_unit_test(long_socket_path_is_refused),
        cmocka_unit_test(clients_find_the_engine),
        cmocka_unit_test(remote_engine_prints_and_loads),
        cmocka_unit_test(dev_options_change_the_defaults),
        cmocka_unit_test(environment_names_the_data_folder),
        cmocka_unit_test(missing_file_is_not_found),
        cmocka_unit_test(oversized_text_is_refused),
        cmocka_unit_test(codecs_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
