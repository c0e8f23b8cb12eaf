/* SPDX-License-Identifier: Apache-2.0 */
/* factory_view: see factory.h. */
#include <string.h>

#include "sdk/factory.h"

static json_t *tree_view(const struct yaml_node *node)
{
    if (node->kind == YAML_TEXT) {
        if (node->is_null)
            return json_null();
        /* What looks like a JSON number is one, but for those that jansson cannot hold. */
        json_t *value = yaml_scalar(node) != YAML_SCALAR_TEXT
                            ? json_loads(node->text, JSON_DECODE_ANY, NULL)
                            : NULL;
        return value != NULL ? value : json_string(node->text);
    }
    json_t *view = node->kind == YAML_MAP ? json_object() : json_array();
    for (const struct yaml_node *at = node->first; at != NULL && view != NULL; at = at->next) {
        int code = node->kind == YAML_MAP ? json_object_set_new(view, at->key, tree_view(at))
                                          : json_array_append_new(view, tree_view(at));
        if (code != 0) {
            json_decref(view);
            view = NULL;
        }
    }
    return view;
}

static json_t *retry_view(const struct fleet_retry *retry)
{
    json_t *types = json_array();
    for (size_t i = 0; i < retry->non_retryable_type_count; i++)
        json_array_append_new(types, json_string(retry->non_retryable_types[i]));
    return json_pack("{s:i, s:i, s:f, s:i, s:o}", "maximum_attempts", retry->maximum_attempts,
                     "initial_interval_ms", retry->initial_interval_ms, "backoff_coefficient",
                     retry->backoff_coefficient, "maximum_interval_ms", retry->maximum_interval_ms,
                     "non_retryable_types", types);
}

json_t *factory_view(const struct fleet_workflow *workflow)
{
    const struct fleet_concurrency *concurrency = &workflow->concurrency;
    json_t *bound = concurrency->key != NULL ? json_pack("{s:s, s:i}", "key", concurrency->key,
                                                         "limit", concurrency->limit)
                                             : json_null();
    json_t *input = workflow->input != NULL ? tree_view(workflow->input) : json_object();
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:i, s:o, s:o}", "name",
        workflow->name, "description", workflow->description != NULL ? workflow->description : "",
        "type", workflow->type, "task_queue", workflow->task_queue, "id", workflow->id,
        "id_reuse_policy", fleet_id_reuse_name(workflow->id_reuse_policy), "id_conflict_policy",
        fleet_id_conflict_name(workflow->id_conflict_policy), "execution_timeout_s",
        workflow->execution_timeout_s, "run_timeout_s", workflow->run_timeout_s, "task_timeout_s",
        workflow->task_timeout_s, "retry", retry_view(&workflow->retry), "priority",
        workflow->priority, "concurrency", bound, "input", input);
}
