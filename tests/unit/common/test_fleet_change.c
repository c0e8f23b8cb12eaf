/* SPDX-License-Identifier: Apache-2.0 */
/* test_fleet_change: every key of the schema, changed once, takes what the table below says and
 * nothing else. The keys are found by walking the schema; the table is written by hand. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fleet_change.h"
#include "common/fleet_config.h"
#include "common/fleet_schema.h"

static const struct hardware machine = {.cpus = 8, .gpu_count = 2};

/* Every list has an element, every key that excludes another has its place somewhere. */
static const char full[] =
    "data_dir: /d\n"
    "engine: {listen: [ipc, \"tcp://127.0.0.1:7233\"], insecure: true}\n"
    "storage: {vectors: \"postgres://me@db/argosy\"}\n"
    "queues: [{name: gpu-queue, max_in_flight: 9}]\n"
    "codecs: [{name: zstd}, {name: aes-gcm, key_files: [/k]}]\n"
    "groups:\n"
    "  - name: cpu\n"
    "    kind: cpu\n"
    "    queues: [{name: cpu-queue, slots: 16}, {name: other, slots: 2}]\n"
    "    plugins: [/p.so]\n"
    "    environment: [{name: TOKEN, value: secret}]\n"
    "  - {name: gpu, kind: gpu}\n"
    "factory: [{name: mine, type: t, input: {type: object}, description: d,\n"
    "           concurrency: {key: k}, retry: {non_retryable_types: [a]}}]\n";

/* What a change of each key of `full` takes: of an element's key in the first element that has it.
 * "refused": the fleet must be stopped. */
static const struct {
    const char *key;
    const char *takes;
} expected[] = {
    {"node", "refused"},
    {"data_dir", "refused"},
    {"models_dir", "gpu=restart"},
    {"log_level", "engine=live storage=restart link=restart cpu=live gpu=live"},
    {"log_format", "engine=restart storage=restart link=restart cpu=restart gpu=restart"},
    {"engine.store", "refused"},
    {"engine.listen", "engine=restart"},
    {"engine.endpoint", "refused"},
    {"engine.insecure", "engine=restart"},
    {"engine.server_key_file", "engine=restart"},
    {"engine.authorized_keys_dir", "engine=restart"},
    {"engine.server_public_key_file", "storage=restart link=restart cpu=restart gpu=restart"},
    {"engine.client_key_file", "storage=restart link=restart cpu=restart gpu=restart"},
    {"engine.lease_ms", "engine=restart"},
    {"engine.reclaim_ms", "engine=restart"},
    {"engine.commit_hold_us", "engine=restart"},
    {"storage.enabled", "refused"},
    {"storage.listen", "storage=restart"},
    {"storage.endpoint", "cpu=restart gpu=restart"},
    {"storage.insecure", "storage=restart"},
    {"storage.server_key_file", "storage=restart"},
    {"storage.authorized_keys_dir", "storage=restart"},
    {"storage.server_public_key_file", "cpu=restart gpu=restart"},
    {"storage.client_key_file", "cpu=restart gpu=restart"},
    {"storage.vectors", "storage=restart"},
    {"storage.vectors_password_file", "storage=restart"},
    {"storage.memory_mb", "storage=restart"},
    {"storage.cache_mb", "cpu=restart gpu=restart"},
    {"storage.artifact_keep_hours", "storage=restart"},
    {"http.listen", "refused"},
    {"supervisor.gpu_health.enabled", ""},
    {"supervisor.gpu_health.library", ""},
    {"supervisor.gpu_health.interval_ms", ""},
    {"supervisor.gpu_health.hang_ms", ""},
    {"supervisor.gpu_health.temperature_max", ""},
    {"supervisor.gpu_health.ignore_xids", ""},
    {"supervisor.gpu_health.fatal_xids", ""},
    {"supervisor.log_keep_mb", ""},
    {"supervisor.core_keep_mb", ""},
    {"supervisor.cgroup", "refused"},
    {"queues", "engine=live"},
    {"queues.max_in_flight", "engine=live"},
    {"codecs", "cpu=restart gpu=restart"},
    {"codecs.key_files", "cpu=restart gpu=restart"},
    {"codecs.level", "cpu=restart gpu=restart"},
    {"codecs.min_size", "cpu=restart gpu=restart"},
    {"groups", ""},
    {"groups.kind", "cpu=restart"},
    {"groups.processes", "cpu=live"},
    {"groups.queues", "cpu=restart"},
    {"groups.queues.slots", "cpu=live"},
    {"groups.workflows", "cpu=restart"},
    {"groups.activities", "cpu=restart"},
    {"groups.plugins", "cpu=restart"},
    {"groups.environment", "cpu=restart"},
    {"groups.environment.value", "cpu=restart"},
    {"groups.pinning", "cpu=live"},
    {"groups.smt", "cpu=live"},
    {"groups.grace_ms", "cpu=live"},
    {"groups.hang_ms", "cpu=live"},
    {"groups.max_unavailable", "cpu=live"},
    {"groups.memory_mb", "cpu=live"},
    {"groups.device", "gpu=restart"},
    {"groups.precision", "gpu=restart"},
    {"groups.tuning_file", "gpu=restart"},
    {"groups.gpus", "gpu=restart"},
    {"groups.processes_per_gpu", "gpu=restart"},
    {"groups.mps_percentage", "gpu=restart"},
    {"groups.model", "gpu=restart"},
    {"groups.batch_tokens", "gpu=restart"},
    {"groups.batch_delay_us", "gpu=restart"},
    {"groups.labels", "gpu=restart"},
    {"groups.labels.prompt", "gpu=restart"},
    {"groups.temperature", "gpu=restart"},
    {"factory", ""},
    {"factory.description", ""},
    {"factory.type", ""},
    {"factory.task_queue", ""},
    {"factory.id", ""},
    {"factory.id_reuse_policy", ""},
    {"factory.id_conflict_policy", ""},
    {"factory.execution_timeout_s", ""},
    {"factory.run_timeout_s", ""},
    {"factory.task_timeout_s", ""},
    {"factory.retry.maximum_attempts", ""},
    {"factory.retry.initial_interval_ms", ""},
    {"factory.retry.backoff_coefficient", ""},
    {"factory.retry.maximum_interval_ms", ""},
    {"factory.retry.non_retryable_types", ""},
    {"factory.priority", ""},
    {"factory.concurrency.key", ""},
    {"factory.concurrency.limit", ""},
    {"factory.input", ""},
};

static struct fleet_config *parse(const char *text)
{
    struct fleet_config *config = NULL;
    struct error err = {0};
    if (fleet_config_parse(text, strlen(text), "f.yaml", "/etc", &machine, &config, &err) != 0)
        fail_msg("%s", err.text);
    return config;
}

static void append_effect(const char *process, enum fleet_effect effect, char *out, size_t size)
{
    size_t length = strlen(out);
    if (effect != FLEET_EFFECT_SAME)
        snprintf(out + length, size - length, "%s%s=%s", length > 0 ? " " : "", process,
                 fleet_effect_name(effect));
}

static void describe(const struct fleet_change *change, char *out, size_t size)
{
    out[0] = '\0';
    append_effect("engine", change->engine, out, size);
    append_effect("storage", change->storage, out, size);
    append_effect("link", change->link, out, size);
    for (size_t i = 0; i < change->group_count; i++)
        append_effect(change->groups[i].name, change->groups[i].effect, out, size);
}

/* --- every key ------------------------------------------------------------------------------- */

struct walk {
    const struct fleet_config *before;
    const struct fleet_config *after;
    bool seen[sizeof expected / sizeof expected[0]];
};

static const char *expected_of(struct walk *walk, const char *key)
{
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (strcmp(expected[i].key, key) == 0) {
            walk->seen[i] = true;
            return expected[i].takes;
        }
    }
    fail_msg("the table of this test has no line for key %s", key);
    return NULL;
}

/* Compares while one key of after differs. */
static void expect_effect(struct walk *walk, const char *key)
{
    const char *takes = expected_of(walk, key);
    struct fleet_change change;
    struct error err = {0};
    char described[256];
    int code = fleet_change_compare(walk->before, walk->after, &change, &err);
    if (strcmp(takes, "refused") == 0) {
        if (code != ERR_STATE || strncmp(err.text, key, strlen(key)) != 0)
            fail_msg("%s: code %d, %s", key, code, err.text);
        return;
    }
    if (code != 0)
        fail_msg("%s: %s", key, err.text);
    describe(&change, described, sizeof described);
    if (strcmp(described, takes) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", key, described, takes);
    /* A group of another kind has and lacks other keys. */
    if (strcmp(key, "groups.kind") != 0 && change.key_count != 1)
        fail_msg("%s: %zu keys: %s", key, change.key_count, buffer_text(&change.text));
    fleet_change_fini(&change);
}

static const void *another_value(const struct yaml_field *field, const void *value)
{
    static const char *text, *const texts[] = {"/another"};
    static const char *const *list = texts;
    static int number;
    static double real;
    static bool flag;
    static const struct yaml_node *tree;
    static const struct yaml_node node = {.kind = YAML_MAP};
    switch (field->type) {
    case YAML_TYPE_TEXT:
    case YAML_TYPE_PATH:
        return text = "/another", &text;
    case YAML_TYPE_TEXTS:
    case YAML_TYPE_PATHS:
        return &list;
    case YAML_TYPE_CHOICE:
    case YAML_TYPE_INT:
        return number = field->type == YAML_TYPE_INT ? *(const int *)value + 1
                                                     : (*(const int *)value == 0),
               &number;
    case YAML_TYPE_NUMBER:
        return real = *(const double *)value + 1, &real;
    case YAML_TYPE_BOOL:
        return flag = !*(const bool *)value, &flag;
    case YAML_TYPE_TREE:
        return tree = &node, &tree;
    case YAML_TYPE_MAP:
    case YAML_TYPE_LIST:
    case YAML_TYPE_SPENT:
        break;
    }
    return NULL;
}

static size_t value_size(enum yaml_type type)
{
    switch (type) {
    case YAML_TYPE_INT:
    case YAML_TYPE_CHOICE:
        return sizeof(int);
    case YAML_TYPE_BOOL:
        return sizeof(bool);
    case YAML_TYPE_NUMBER:
        return sizeof(double);
    default:
        return sizeof(void *);
    }
}

/* Gives the field another value, looks, and puts the old one back. */
static void try_value(struct walk *walk, const struct yaml_field *field, char *object,
                      const char *key)
{
    char saved[sizeof(double)];
    size_t size = value_size(field->type);
    memcpy(saved, object + field->offset, size);
    memcpy(object + field->offset, another_value(field, saved), size);
    size_t *count = (size_t *)(void *)(object + field->count_offset);
    size_t saved_count = 0;
    bool has_count = field->type == YAML_TYPE_TEXTS || field->type == YAML_TYPE_PATHS;
    if (has_count) {
        saved_count = *count;
        *count = 1;
    }
    expect_effect(walk, key);
    memcpy(object + field->offset, saved, size);
    if (has_count)
        *count = saved_count;
}

static void try_map(struct walk *walk, const struct yaml_schema *schema, char *object,
                    const char *prefix, bool is_element);

/* The element in which the key has a place, else NULL. */
static char *element_with(const struct yaml_schema *schema, const struct yaml_field *field,
                          char *first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *element = first + i * schema->size;
        if (field->excuse == NULL || field->excuse(element) == NULL)
            return element;
    }
    fail_msg("no element of the test's file has key %s", field->key);
    return NULL;
}

static void try_key(struct walk *walk, const struct yaml_field *field, char *object,
                    const char *prefix)
{
    char key[128];
    snprintf(key, sizeof key, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", field->key);
    if (field->type == YAML_TYPE_MAP) {
        try_map(walk, field->schema, object + field->offset, key, false);
        return;
    }
    if (field->type == YAML_TYPE_SPENT) { /* what is included shows in the keys that it changes */
        assert_string_equal(key, "include");
        return;
    }
    if (field->type != YAML_TYPE_LIST) {
        try_value(walk, field, object, key);
        return;
    }
    char *first = *(char **)(void *)(object + field->offset);
    size_t *count = (size_t *)(void *)(object + field->count_offset);
    assert_true(*count > 0);
    (*count)--; /* the last one is gone */
    expect_effect(walk, key);
    (*count)++;
    for (size_t i = 1; i < field->schema->field_count; i++) {
        const struct yaml_field *inner = &field->schema->fields[i];
        try_key(walk, inner, element_with(field->schema, inner, first, *count), key);
    }
}

static void try_map(struct walk *walk, const struct yaml_schema *schema, char *object,
                    const char *prefix, bool is_element)
{
    for (size_t i = is_element ? 1 : 0; i < schema->field_count; i++)
        try_key(walk, &schema->fields[i], object, prefix);
}

static void each_key_takes_what_the_table_says(void **state)
{
    (void)state;
    struct fleet_config *before = parse(full);
    struct fleet_config *after = parse(full);
    struct walk walk = {.before = before, .after = after};
    try_map(&walk, &fleet_schema, (char *)after, "", false);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (!walk.seen[i])
            fail_msg("the schema has no key %s", expected[i].key);
    }
    fleet_config_destroy(before);
    fleet_config_destroy(after);
}

static void check_rows(const struct yaml_schema *schema, bool is_element)
{
    for (size_t i = is_element ? 1 : 0; i < schema->field_count; i++) {
        const struct yaml_field *field = &schema->fields[i];
        if (field->type != YAML_TYPE_MAP && field->type != YAML_TYPE_SPENT && field->change == 0)
            fail_msg("key %s does not say what its change takes", field->key);
        if (field->schema != NULL)
            check_rows(field->schema, field->type == YAML_TYPE_LIST);
    }
}

static void every_row_says_what_its_change_takes(void **state)
{
    (void)state;
    check_rows(&fleet_schema, false);
}

/* --- two texts ------------------------------------------------------------------------------- */

static void expect_change(const char *from, const char *to, const char *takes, const char *text)
{
    struct fleet_config *before = parse(from);
    struct fleet_config *after = parse(to);
    struct fleet_change change;
    struct error err = {0};
    char described[256];
    if (fleet_change_compare(before, after, &change, &err) != 0)
        fail_msg("%s", err.text);
    describe(&change, described, sizeof described);
    assert_string_equal(described, takes);
    assert_string_equal(buffer_text(&change.text), text);
    fleet_change_fini(&change);
    fleet_config_destroy(before);
    fleet_config_destroy(after);
}

static void expect_refused(const char *from, const char *to, const char *text)
{
    struct fleet_config *before = parse(from);
    struct fleet_config *after = parse(to);
    struct fleet_change change = {.key_count = 77};
    struct error err = {0};
    assert_int_equal(fleet_change_compare(before, after, &change, &err), ERR_STATE);
    assert_string_equal(err.text, text);
    assert_int_equal(change.key_count, 77);
    fleet_config_destroy(before);
    fleet_config_destroy(after);
}

static void equal_configs_give_nothing(void **state)
{
    (void)state;
    expect_change(full, full, "", "");
    expect_change("", "", "", "");
}

static void order_counts_where_it_means_something(void **state)
{
    (void)state;
    expect_change("groups: [{name: a, kind: cpu}, {name: b, kind: cpu}]",
                  "groups: [{name: b, kind: cpu}, {name: a, kind: cpu}]", "", "");
    expect_change("groups: [{name: a, kind: cpu, queues: [{name: p}, {name: q}]}]",
                  "groups: [{name: a, kind: cpu, queues: [{name: q}, {name: p}]}]", "", "");
    expect_change("codecs: [{name: zstd}, {name: aes-gcm, key_files: [/k]}]",
                  "codecs: [{name: aes-gcm, key_files: [/k]}, {name: zstd}]",
                  "cpu=restart gpu=restart", "codecs: in another order\n");
}

static void groups_come_and_go(void **state)
{
    (void)state;
    struct fleet_config *before = parse("groups: [{name: a, kind: cpu}, {name: b, kind: cpu}]");
    struct fleet_config *after = parse("groups: [{name: c, kind: cpu}, {name: b, kind: cpu}]\n"
                                       "codecs: [{name: zstd}]");
    struct fleet_change change;
    assert_int_equal(fleet_change_compare(before, after, &change, NULL), 0);
    assert_int_equal(change.group_count, 3);
    assert_string_equal(change.groups[0].name, "c");
    assert_null(change.groups[0].before);
    assert_int_equal(change.groups[0].effect, FLEET_EFFECT_SAME);
    assert_string_equal(change.groups[1].name, "b");
    assert_ptr_equal(change.groups[1].before, &before->groups[1]);
    assert_ptr_equal(change.groups[1].after, &after->groups[1]);
    assert_int_equal(change.groups[1].effect, FLEET_EFFECT_RESTART);
    assert_string_equal(change.groups[2].name, "a");
    assert_null(change.groups[2].after);
    assert_string_equal(buffer_text(&change.text),
                        "codecs[zstd]: added\ngroups[c]: added\ngroups[a]: removed\n");
    fleet_change_fini(&change);
    fleet_config_destroy(before);
    fleet_config_destroy(after);
}

static void text_is_for_people(void **state)
{
    (void)state;
    expect_change(
        "groups: [{name: cpu, kind: cpu, processes: 2, grace_ms: 1, plugins: [/a.so],\n"
        "  queues: [{name: cpu-queue, slots: 16}, {name: old}]}]",
        "groups: [{name: cpu, kind: cpu, processes: 4, grace_ms: 2, plugins: [/a.so, /b],\n"
        "  queues: [{name: cpu-queue, slots: 32}, {name: new}]}]\n"
        "models_dir: /m\n"
        "queues: [{name: cpu-queue, max_in_flight: 5}]",
        "engine=live cpu=restart",
        "models_dir: /etc/.argosy/models -> /m\n"
        "queues[cpu-queue]: added\n"
        "groups[cpu].processes: 2 -> 4\n"
        "groups[cpu].queues[old]: removed\n"
        "groups[cpu].queues[cpu-queue].slots: 16 -> 32\n"
        "groups[cpu].queues[new]: added\n"
        "groups[cpu].plugins: [/a.so] -> [/a.so, /b]\n"
        "groups[cpu].grace_ms: 1 -> 2\n");
}

static void private_values_are_not_shown(void **state)
{
    (void)state;
    expect_change("groups: [{name: g, kind: cpu, environment: [{name: TOKEN, value: s3cret}]}]",
                  "groups: [{name: g, kind: cpu, environment: [{name: TOKEN, value: s4cret}]}]",
                  "g=restart", "groups[g].environment[TOKEN].value: changed\n");
}

static const char here[] = "groups: [{name: g, kind: cpu, queues: [{name: q}]}]";

#define REMOTE(address)                                                                            \
    "engine: {endpoint: \"" address "\"}\nqueues: [{name: q, max_in_flight: 1}]\n"                 \
    "groups: [{name: g, kind: cpu, queues: [{name: q}]}]"

static void engine_moves_only_between_other_machines(void **state)
{
    (void)state;
    expect_refused(here, REMOTE("ipc:///e"),
                   "engine.endpoint: an engine cannot leave the node of a running fleet (stop the "
                   "fleet first)");
    expect_refused(REMOTE("ipc:///e"), here,
                   "engine.endpoint: an engine cannot come to the node of a running fleet (stop "
                   "the fleet first)");
    expect_change(REMOTE("ipc:///e"), REMOTE("ipc:///f"), "link=restart g=restart",
                  "engine.endpoint: ipc:///e -> ipc:///f\n");
}

/* What tells an engine that runs elsewhere its bounds is that engine's own file. */
static void what_does_not_run_here_is_left_alone(void **state)
{
    (void)state;
    expect_change(REMOTE("ipc:///e"),
                  "engine: {endpoint: \"ipc:///e\", lease_ms: 200}\n"
                  "storage: {memory_mb: 99}\n"
                  "groups: [{name: g, kind: cpu, queues: [{name: q}]}]",
                  "",
                  "engine.lease_ms: 10000 -> 200\nstorage.memory_mb: 1024 -> 99\n"
                  "queues[q]: removed\n");
}

/* The ipc listener is where everybody connects; another tcp one concerns nobody else. */
static void who_connects_restarts_when_the_address_moves(void **state)
{
    (void)state;
    expect_change("engine: {listen: [ipc]}\ngroups: [{name: g, kind: cpu}]",
                  "engine: {listen: [\"ipc:///tmp/e\"]}\ngroups: [{name: g, kind: cpu}]",
                  "engine=restart storage=restart link=restart g=restart",
                  "engine.listen: [ipc:///etc/.argosy/engine.sock] -> [ipc:///tmp/e]\n");
    expect_change("storage: {listen: [ipc]}\ngroups: [{name: g, kind: cpu}]",
                  "storage: {listen: [\"ipc:///tmp/s\"]}\ngroups: [{name: g, kind: cpu}]",
                  "storage=restart g=restart",
                  "storage.listen: [ipc:///etc/.argosy/storage.sock] -> [ipc:///tmp/s]\n");
}

static void what_would_lose_data_is_refused(void **state)
{
    (void)state;
    expect_refused("storage: {vectors: sqlite}", "storage: {vectors: \"postgres://db/argosy\"}",
                   "storage.vectors: what is stored does not move to another kind of database "
                   "(stop the fleet first)");
    expect_refused("engine: {store: memory}", "engine: {store: memory, lease_ms: 200}",
                   "engine.store: the engine keeps everything in memory and would lose it in the "
                   "restart that this takes (stop the fleet first)");
    expect_refused("node: a", "node: b",
                   "node: a -> b: cannot change while the fleet runs (stop the fleet first)");
    expect_change("engine: {store: memory}",
                  "engine: {store: memory}\nqueues: [{name: q, max_in_flight: 1}]", "engine=live",
                  "queues[q]: added\n");
}

int main(void)
{
    unsetenv("ARGOSY_MODEL_DIR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_says_what_its_change_takes),
        cmocka_unit_test(each_key_takes_what_the_table_says),
        cmocka_unit_test(equal_configs_give_nothing),
        cmocka_unit_test(order_counts_where_it_means_something),
        cmocka_unit_test(groups_come_and_go),
        cmocka_unit_test(text_is_for_people),
        cmocka_unit_test(private_values_are_not_shown),
        cmocka_unit_test(engine_moves_only_between_other_machines),
        cmocka_unit_test(what_does_not_run_here_is_left_alone),
        cmocka_unit_test(who_connects_restarts_when_the_address_moves),
        cmocka_unit_test(what_would_lose_data_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
