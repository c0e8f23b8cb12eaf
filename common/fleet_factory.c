/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_factory: see fleet_factory.h. */
#include "common/fleet_factory.h"

#include <ctype.h>
#include <string.h>

#include "common/assert.h"
#include "common/fleet_change.h"
#include "common/fleet_config.h"
#include "common/fleet_schema.h"
#include "common/limits.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* Clients read the factory with each command: a change takes nothing in a running fleet. */
#define AT(type, field)       .offset = offsetof(struct type, field), .change = FLEET_TAKES_NOTHING
#define COUNT_AT(type, field) .count_offset = offsetof(struct type, field)

/* Ten years: what the engine takes as a duration without overflow, and then some. */
#define TIMEOUT_S_MAX (10 * 366 * 24 * 3600)

static const char *const reuse_words[] = {"allow_duplicate", "allow_duplicate_failed_only",
                                          "reject_duplicate", "use_completed", NULL};
static const char *const conflict_words[] = {"use_existing", "fail", "terminate_existing", NULL};

_Static_assert(FLEET_REUSE_USE_COMPLETED == 3 && FLEET_CONFLICT_TERMINATE == 2,
               "words are in the enums' order");

static const char *check_type(const char *text)
{
    if (strlen(text) > LIMIT_ID_LENGTH)
        return "is longer than 1000 bytes";
    for (; *text != '\0'; text++) {
        if (iscntrl((unsigned char)*text))
            return "has a control character";
    }
    return NULL;
}

static const struct yaml_field retry_fields[] = {
    {"maximum_attempts", YAML_TYPE_INT, AT(fleet_retry, maximum_attempts), .min = 0,
     .max = 1000000},
    {"initial_interval_ms", YAML_TYPE_INT, AT(fleet_retry, initial_interval_ms), .min = 1,
     .max = INT32_MAX},
    {"backoff_coefficient", YAML_TYPE_NUMBER, AT(fleet_retry, backoff_coefficient), .min = 1,
     .max = 1000},
    {"maximum_interval_ms", YAML_TYPE_INT, AT(fleet_retry, maximum_interval_ms), .min = 0,
     .max = INT32_MAX},
    {"non_retryable_types", YAML_TYPE_TEXTS, AT(fleet_retry, non_retryable_types),
     COUNT_AT(fleet_retry, non_retryable_type_count), .check = check_type},
};
static const struct yaml_schema retry_schema = {retry_fields, COUNT(retry_fields),
                                                sizeof(struct fleet_retry), NULL};

static const struct yaml_field concurrency_fields[] = {
    {"key", YAML_TYPE_TEXT, AT(fleet_concurrency, key)},
    {"limit", YAML_TYPE_INT, AT(fleet_concurrency, limit), .min = 1, .max = 1000000},
};
static const struct yaml_schema concurrency_schema = {concurrency_fields, COUNT(concurrency_fields),
                                                      sizeof(struct fleet_concurrency), NULL};

static const struct yaml_field workflow_fields[] = {
    {"name", YAML_TYPE_TEXT, AT(fleet_workflow, name), .is_required = true,
     .check = fleet_schema_check_name},
    {"description", YAML_TYPE_TEXT, AT(fleet_workflow, description)},
    {"type", YAML_TYPE_TEXT, AT(fleet_workflow, type), .check = check_type},
    {"task_queue", YAML_TYPE_TEXT, AT(fleet_workflow, task_queue), .check = check_type},
    {"id", YAML_TYPE_TEXT, AT(fleet_workflow, id)},
    {"id_reuse_policy", YAML_TYPE_CHOICE, AT(fleet_workflow, id_reuse_policy),
     .words = reuse_words},
    {"id_conflict_policy", YAML_TYPE_CHOICE, AT(fleet_workflow, id_conflict_policy),
     .words = conflict_words},
    {"execution_timeout_s", YAML_TYPE_INT, AT(fleet_workflow, execution_timeout_s), .min = 0,
     .max = TIMEOUT_S_MAX},
    {"run_timeout_s", YAML_TYPE_INT, AT(fleet_workflow, run_timeout_s), .min = 0,
     .max = TIMEOUT_S_MAX},
    {"task_timeout_s", YAML_TYPE_INT, AT(fleet_workflow, task_timeout_s), .min = 0, .max = 3600},
    {"retry", YAML_TYPE_MAP, AT(fleet_workflow, retry), .schema = &retry_schema},
    {"priority", YAML_TYPE_INT, AT(fleet_workflow, priority), .min = 1, .max = 5},
    {"concurrency", YAML_TYPE_MAP, AT(fleet_workflow, concurrency), .schema = &concurrency_schema},
    {"input", YAML_TYPE_TREE, AT(fleet_workflow, input)},
};

static void init_workflow(void *object, const struct yaml_node *node)
{
    (void)node;
    *(struct fleet_workflow *)object = (struct fleet_workflow){
        .task_queue = FLEET_QUEUE_CPU,
        .retry = {.maximum_attempts = 1, .initial_interval_ms = 1000, .backoff_coefficient = 2},
        .priority = 3,
        .concurrency = {.limit = 1},
    };
}

const struct yaml_schema fleet_workflow_schema = {workflow_fields, COUNT(workflow_fields),
                                                  sizeof(struct fleet_workflow), init_workflow};

const char *fleet_id_reuse_name(enum fleet_id_reuse policy)
{
    return reuse_words[policy];
}

const char *fleet_id_conflict_name(enum fleet_id_conflict policy)
{
    return conflict_words[policy];
}

/* --- checks over several keys ------------------------------------------------------------------
 */

struct reader {
    struct arena *arena;
    struct error *err;
};

static int fail_memory(struct reader *reader)
{
    return error_set(reader->err, ERR_MEMORY, "configuration: out of memory");
}

/* The node of a key, or the entry's where a default is in use. */
static const struct yaml_node *key_node(const struct yaml_node *entry, const char *key)
{
    const struct yaml_node *node = yaml_get(entry, key);
    return node != NULL ? node : entry;
}

static int read_template(struct reader *reader, const struct fleet_workflow *workflow,
                         const struct yaml_node *node, const char *text,
                         const struct id_template **ret_template)
{
    const char *problem = id_template_parse(text, reader->arena, ret_template);
    if (problem != NULL)
        return yaml_fail(node, reader->err, "\"%.128s\" %s", text, problem);
    const char *unsure = workflow->input_schema != NULL
                             ? id_template_unsure(*ret_template, workflow->input_schema)
                             : NULL;
    if (unsure != NULL)
        return yaml_fail(node, reader->err,
                         "\"%.128s\" needs {%.64s}, which the input schema must require as a "
                         "string or an integer",
                         text, unsure);
    return 0;
}

static int read_concurrency(struct reader *reader, struct fleet_workflow *workflow,
                            const struct yaml_node *entry)
{
    struct fleet_concurrency *concurrency = &workflow->concurrency;
    const struct yaml_node *node = key_node(entry, "concurrency");
    if (concurrency->key == NULL)
        return 0;
    int code = read_template(reader, workflow, node, concurrency->key, &concurrency->key_template);
    for (size_t i = 0; code == 0 && i < concurrency->key_template->part_count; i++) {
        const struct id_part *part = &concurrency->key_template->parts[i];
        if (part->kind == ID_PART_UUID || part->or_uuid)
            code = yaml_fail(node, reader->err,
                             "a uuid makes every run a group of its own: nothing is bounded");
    }
    return code;
}

static int finish_workflow(struct reader *reader, struct fleet_workflow *workflow,
                           const struct yaml_node *entry)
{
    if (workflow->type == NULL)
        return yaml_fail(entry, reader->err, "key \"type\" is missing");
    if (workflow->id == NULL)
        workflow->id = arena_printf(reader->arena, "%s-{uuid}", workflow->name);
    if (workflow->id == NULL)
        return fail_memory(reader);
    const struct fleet_retry *retry = &workflow->retry;
    if (retry->maximum_interval_ms != 0 && retry->maximum_interval_ms < retry->initial_interval_ms)
        return yaml_fail(key_node(entry, "retry"), reader->err,
                         "maximum_interval_ms is below initial_interval_ms");
    if (workflow->id_reuse_policy == FLEET_REUSE_USE_COMPLETED &&
        workflow->id_conflict_policy != FLEET_CONFLICT_USE_EXISTING)
        return yaml_fail(key_node(entry, "id_reuse_policy"), reader->err,
                         "use_completed goes with the id_conflict_policy use_existing only");
    int code = 0;
    workflow->input_schema = NULL;
    if (workflow->input != NULL)
        code = input_schema_compile(workflow->input, reader->arena, &workflow->input_schema,
                                    reader->err);
    if (code == 0)
        code = read_template(reader, workflow, key_node(entry, "id"), workflow->id,
                             &workflow->id_template);
    return code == 0 ? read_concurrency(reader, workflow, entry) : code;
}

/* --- laying one list over another ------------------------------------------------------------- */

static struct fleet_workflow *find(struct fleet_workflow *workflows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(workflows[i].name, name) == 0)
            return &workflows[i];
    }
    return NULL;
}

/* Adds the elements of list to workflows, where there is room for them, or lays them over those of
 * the same name. */
static int lay(struct reader *reader, const struct yaml_node *list,
               struct fleet_workflow *workflows, size_t *count)
{
    int code = 0;
    for (const struct yaml_node *at = list->first; at != NULL && code == 0; at = at->next) {
        const struct yaml_node *name = yaml_get(at, "name");
        struct fleet_workflow *workflow =
            name != NULL && name->kind == YAML_TEXT ? find(workflows, *count, name->text) : NULL;
        if (workflow == NULL) {
            workflow = &workflows[(*count)++];
            init_workflow(workflow, at);
        }
        code = yaml_bind(&fleet_workflow_schema, at, reader->arena, workflow, NULL, reader->err);
        if (code == 0)
            code = finish_workflow(reader, workflow, at);
    }
    return code;
}

static size_t count_children(const struct yaml_node *node)
{
    size_t count = 0;
    for (const struct yaml_node *at = node != NULL ? node->first : NULL; at != NULL; at = at->next)
        count++;
    return count;
}

int fleet_factory_read(const struct yaml_node *node, struct arena *arena,
                       struct fleet_workflow **ret_workflows, size_t *ret_count, struct error *err)
{
    struct reader reader = {.arena = arena, .err = err};
    static const struct yaml_source source = {.name = "built-in factory"};
    struct yaml_node *defaults;
    int code = yaml_parse(fleet_factory_default, strlen(fleet_factory_default), &source, arena,
                          &defaults, err);
    if (code == 0)
        code = yaml_check(&fleet_schema, defaults, NULL, err);
    if (code != 0)
        return code;
    const struct yaml_node *list = yaml_get(defaults, "factory");
    size_t room = count_children(list) + count_children(node);
    struct fleet_workflow *workflows = arena_calloc(arena, room, sizeof *workflows);
    if (workflows == NULL)
        return fail_memory(&reader);
    size_t count = 0;
    code = lay(&reader, list, workflows, &count);
    if (code == 0 && node != NULL)
        code = lay(&reader, node, workflows, &count);
    if (code != 0)
        return code;
    *ret_workflows = workflows;
    *ret_count = count;
    return 0;
}
