/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of fleet_factory.h, input_schema.h and id_template.h: the section `factory:`. */
#include "common/fleet_factory.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/fleet_config.h"
#include "tests/test.h"

static const struct hardware hardware = {.cpus = 2};

static struct fleet_config *parse(const char *text)
{
    struct fleet_config *config = NULL;
    struct error err = {0};
    if (fleet_config_parse(text, strlen(text), "f.yaml", "/etc", &hardware, &config, &err) != 0)
        fail_msg("%s", err.text);
    return config;
}

static void expect_error(const char *text, const char *expected)
{
    struct fleet_config *config = NULL;
    struct error err = {0};
    int code = fleet_config_parse(text, strlen(text), "f.yaml", "/etc", &hardware, &config, &err);
    if (code == 0)
        fail_msg("accepted: %s", text);
    assert_string_equal(err.text, expected);
    assert_int_equal(code, ERR_CONFIG);
}

#define HELLO "factory:\n- name: hello\n  type: HelloWorkflow\n"

static void an_entry_of_its_own_has_defaults(void **state)
{
    (void)state;
    struct fleet_config *config = parse(HELLO);
    const struct fleet_workflow *hello = fleet_config_workflow(config, "hello");
    assert_non_null(hello);
    assert_string_equal(hello->task_queue, "cpu-queue");
    assert_string_equal(hello->id, "hello-{uuid}");
    assert_int_equal(hello->retry.maximum_attempts, 1);
    assert_int_equal(hello->priority, 3);
    assert_int_equal(hello->id_conflict_policy, FLEET_CONFLICT_USE_EXISTING);
    assert_int_equal(hello->id_reuse_policy, FLEET_REUSE_ALLOW);
    assert_null(hello->input_schema);
    assert_null(hello->concurrency.key);
    assert_null(fleet_config_workflow(config, "goodbye"));
    fleet_config_destroy(config);
}

static void an_entry_changes_a_built_in_one_key_by_key(void **state)
{
    (void)state;
    struct fleet_config *config =
        parse("factory:\n- {name: infer, priority: 1, execution_timeout_s: 60}\n");
    struct fleet_config *untouched = parse("");
    const struct fleet_workflow *infer = fleet_config_workflow(config, "infer");
    assert_int_equal(config->factory_count, untouched->factory_count);
    assert_int_equal(infer->priority, 1);
    assert_int_equal(infer->execution_timeout_s, 60);
    assert_string_equal(infer->type, "PrepareAndInferWorkflow");
    assert_string_equal(infer->id, "infer-{uuid}");
    assert_non_null(infer->input_schema);
    fleet_config_destroy(config);
    fleet_config_destroy(untouched);
}

static void what_is_printed_loads_to_the_same(void **state)
{
    (void)state;
    struct fleet_config *config = parse(
        HELLO
        "  description: \"costs $$5, \\\"quoted\\\"\"\n"
        "  id: 'hello-{who.name}'\n"
        "  concurrency: {key: 'hello-{who.name}', limit: 4}\n"
        "  retry: {maximum_attempts: 0, non_retryable_types: [Bad, Worse]}\n"
        "  input:\n"
        "    type: object\n"
        "    required: [who]\n"
        "    properties:\n"
        "      who: {type: object, properties: {name: {type: string}}, required: [name]}\n"
        "      \"a $b: c\": {enum: [1, \"1\", -0.5e3, true, \"true\", null, \"null\", 01]}\n");
    struct buffer first = {0}, second = {0};
    fleet_config_print(config, &first);
    struct fleet_config *again = parse(buffer_text(&first));
    fleet_config_print(again, &second);
    assert_string_equal(buffer_text(&first), buffer_text(&second));
    assert_non_null(
        strstr(buffer_text(&first),
               "{\"enum\": [1, \"1\", -0.5e3, true, \"true\", null, \"null\", \"01\"]}"));
    const struct fleet_workflow *hello = fleet_config_workflow(again, "hello");
    assert_string_equal(hello->description, "costs $5, \"quoted\"");
    assert_int_equal(hello->concurrency.limit, 4);
    assert_int_equal(hello->retry.non_retryable_type_count, 2);
    buffer_fini(&first);
    buffer_fini(&second);
    fleet_config_destroy(config);
    fleet_config_destroy(again);
}

static void a_schema_is_compiled(void **state)
{
    (void)state;
    struct fleet_config *config =
        parse(HELLO "  input:\n"
                    "    type: [object, string]\n"
                    "    minLength: 2\n"
                    "    properties:\n"
                    "      k: {type: integer, minimum: 1, exclusiveMaximum: 10}\n"
                    "      tags: {type: array, items: {enum: [a, b]}, maxItems: 3}\n"
                    "    required: [k]\n"
                    "    additionalProperties: {type: number}\n");
    const struct input_schema *schema = fleet_config_workflow(config, "hello")->input_schema;
    assert_int_equal(schema->types, INPUT_OBJECT | INPUT_STRING);
    assert_int_equal(schema->length_min, 2);
    assert_true(schema->length_max == SIZE_MAX);
    assert_int_equal(schema->property_count, 2);
    const struct input_property *k = input_schema_property(schema, "k");
    assert_true(k->is_required);
    assert_true(k->schema->minimum == 1 && k->schema->exclusive_maximum == 10);
    assert_true(isinf(k->schema->maximum));
    const struct input_property *tags = input_schema_property(schema, "tags");
    assert_false(tags->is_required);
    assert_int_equal(tags->schema->items_max, 3);
    assert_int_equal(tags->schema->items->value_count, 2);
    assert_int_equal(schema->additional->types, INPUT_NUMBER);
    assert_false(schema->refuses_additional);
    fleet_config_destroy(config);
}

static void a_template_is_parsed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    const struct id_template *template;
    assert_null(id_template_parse("eval-{suite.name}-{model|uuid}", &arena, &template));
    assert_int_equal(template->part_count, 4);
    assert_int_equal(template->parts[0].kind, ID_PART_TEXT);
    assert_string_equal(template->parts[0].text, "eval-");
    assert_int_equal(template->parts[1].kind, ID_PART_MEMBER);
    assert_int_equal(template->parts[1].path_count, 2);
    assert_string_equal(template->parts[1].path[1], "name");
    assert_string_equal(template->parts[1].text, "suite.name");
    assert_true(template->parts[3].or_uuid);
    assert_string_equal(template->parts[3].path[0], "model");
    arena_fini(&arena);
}

static const struct {
    const char *text;
    const char *expected;
} error_cases[] = {
    {"factory:\n- name: hello\n", "f.yaml:2: factory[0]: key \"type\" is missing"},
    {"factory:\n- type: X\n", "f.yaml:2: factory[0]: key \"name\" is missing"},
    {"factory:\n- {name: a, type: X}\n- {name: a, type: Y}\n",
     "f.yaml:3: factory[1].name: \"a\" was already given in line 2"},
    {HELLO "  queue: x\n", "f.yaml:4: factory[0].queue: unknown key (known: name, description, "
                           "type, task_queue, id, id_reuse_policy, id_conflict_policy, "
                           "execution_timeout_s, run_timeout_s, task_timeout_s, retry, priority, "
                           "concurrency, input)"},
    {HELLO "  priority: 6\n", "f.yaml:4: factory[0].priority: 6 is out of range (1 to 5)"},
    {HELLO "  retry: {maximum_interval_ms: 10}\n",
     "f.yaml:4: factory[0].retry: maximum_interval_ms is below initial_interval_ms"},
    {HELLO "  id_reuse_policy: use_completed\n  id_conflict_policy: fail\n",
     "f.yaml:4: factory[0].id_reuse_policy: use_completed goes with the id_conflict_policy "
     "use_existing only"},
    /* templates */
    {HELLO "  id: 'a{b'\n", "f.yaml:4: factory[0].id: \"a{b\" has a brace without its other half"},
    {HELLO "  id: 'a}'\n", "f.yaml:4: factory[0].id: \"a}\" has a brace without its other half"},
    {HELLO "  id: '{a..b}'\n",
     "f.yaml:4: factory[0].id: \"{a..b}\" has a place with an empty name"},
    {HELLO "  id: '{a|b}'\n",
     "f.yaml:4: factory[0].id: \"{a|b}\" may have nothing but |uuid behind a name"},
    {HELLO "  id: \"a\\tb\"\n", "f.yaml:4: factory[0].id: \"a\tb\" has a control character"},
    {HELLO "  id: '{name}'\n  input: {properties: {name: {type: string}}}\n",
     "f.yaml:4: factory[0].id: \"{name}\" needs {name}, which the input schema must require as a "
     "string or an integer"},
    {HELLO "  id: '{n}'\n  input: {properties: {n: {type: number}}, required: [n]}\n",
     "f.yaml:4: factory[0].id: \"{n}\" needs {n}, which the input schema must require as a string "
     "or an integer"},
    {HELLO "  concurrency: {key: 'a-{uuid}'}\n",
     "f.yaml:4: factory[0].concurrency: a uuid makes every run a group of its own: nothing is "
     "bounded"},
    /* schemas */
    {HELLO "  input: [1]\n", "f.yaml:4: factory[0].input: expected a map, found a list"},
    {HELLO "  input:\n    propertys: {}\n",
     "f.yaml:5: factory[0].input.propertys: unknown keyword (did you mean \"properties\"?)"},
    {HELLO "  input:\n    properties:\n      k:\n        patern: x\n",
     "f.yaml:7: factory[0].input.properties.k.patern: unknown keyword"},
    {HELLO "  input: {type: sting}\n",
     "f.yaml:4: factory[0].input.type: \"sting\" is no type (did you mean \"string\"?)"},
    {HELLO "  input: {type: []}\n", "f.yaml:4: factory[0].input.type: must not be empty"},
    {HELLO "  input: {type: integer, minLength: 1}\n",
     "f.yaml:4: factory[0].input.minLength: says nothing about the type integer"},
    {HELLO "  input: {minLength: -1}\n",
     "f.yaml:4: factory[0].input.minLength: expected a whole number from 0 to 2147483647"},
    {HELLO "  input: {maxItems: 1.5}\n",
     "f.yaml:4: factory[0].input.maxItems: expected a whole number from 0 to 2147483647"},
    {HELLO "  input: {minimum: \"1\"}\n", "f.yaml:4: factory[0].input.minimum: expected a number"},
    {HELLO "  input: {minimum: 1e999}\n",
     "f.yaml:4: factory[0].input.minimum: 1e999 is out of range"},
    {HELLO "  input: {minimum: 2, maximum: 1}\n",
     "f.yaml:4: factory[0].input: no number is within these bounds"},
    {HELLO "  input: {minLength: 2, maxLength: 1}\n",
     "f.yaml:4: factory[0].input: minLength is above maxLength"},
    {HELLO "  input: {enum: []}\n", "f.yaml:4: factory[0].input.enum: expected a list of values"},
    {HELLO "  input: {const: [1]}\n",
     "f.yaml:4: factory[0].input.const: expected a text, a number, true, false or null: lists and "
     "maps are not compared"},
    {HELLO "  input: {const: 1, enum: [1]}\n",
     "f.yaml:4: factory[0].input.const: one of enum and const is enough"},
    {HELLO "  input: {properties: {text: {}}, required: [txt]}\n",
     "f.yaml:4: factory[0].input.required[0]: \"txt\" is not in properties (did you mean "
     "\"text\"?)"},
    {HELLO "  input: {additionalProperties: no}\n",
     "f.yaml:4: factory[0].input.additionalProperties: expected true, false or a schema"},
    {HELLO "  input: {items: true}\n",
     "f.yaml:4: factory[0].input.items: expected a schema: a map of keywords"},
};

static void errors_name_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof error_cases / sizeof error_cases[0]; i++)
        expect_error(error_cases[i].text, error_cases[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_of_its_own_has_defaults),
        cmocka_unit_test(an_entry_changes_a_built_in_one_key_by_key),
        cmocka_unit_test(what_is_printed_loads_to_the_same),
        cmocka_unit_test(a_schema_is_compiled),
        cmocka_unit_test(a_template_is_parsed),
        cmocka_unit_test(errors_name_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
