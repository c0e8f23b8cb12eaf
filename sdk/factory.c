/* SPDX-License-Identifier: Apache-2.0 */
/*
 * factory: see include/argosy/factory.h. A registry is a loaded config that is never changed; a
 * reload puts another in its place, and the old one goes with its last user.
 */
#include "sdk/factory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/nearest.h"
#include "common/limits.h"
#include "sdk/arena.h"
#include "sdk/error.h"
#include "sdk/input_check.h"

_Static_assert(ARGOSY_WORKFLOW_ID_SIZE == LIMIT_ID_LENGTH + 1, "any workflow id fits");

#define MS_PER_S 1000

struct registry {
    struct fleet_config *config;
    size_t users; /* the factory is one; under its lock */
};

struct argosy_factory {
    char *path; /* NULL: the built-in entries */
    pthread_mutex_t lock;
    struct registry *registry; /* under lock */
};

/* ---- the registry ---- */

static int registry_load(const char *path, struct registry **ret_registry, struct error *err)
{
    /* Nothing of the machine decides about the factory. */
    const struct hardware hardware = {.cpus = 1};
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = path != NULL
                   ? fleet_config_load_for(path, &hardware, &registry->config, err)
                   : fleet_config_parse("", 0, "defaults", "/", &hardware, &registry->config, err);
    if (code != 0) {
        free(registry);
        return code;
    }
    registry->users = 1;
    *ret_registry = registry;
    return 0;
}

static struct registry *registry_take(struct argosy_factory *factory)
{
    pthread_mutex_lock(&factory->lock);
    struct registry *registry = factory->registry;
    registry->users++;
    pthread_mutex_unlock(&factory->lock);
    return registry;
}

static void registry_release(struct argosy_factory *factory, struct registry *registry)
{
    pthread_mutex_lock(&factory->lock);
    bool is_last = --registry->users == 0;
    pthread_mutex_unlock(&factory->lock);
    if (is_last) {
        fleet_config_destroy(registry->config);
        free(registry);
    }
}

/* ERR_NOT_FOUND names the nearest entry. */
static int registry_find(const struct registry *registry, const char *name,
                         const struct fleet_workflow **ret_workflow, struct error *err)
{
    const struct fleet_config *config = registry->config;
    *ret_workflow = fleet_config_workflow(config, name);
    if (*ret_workflow != NULL)
        return 0;
    const char **names = calloc(config->factory_count + 1, sizeof *names);
    if (names == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < config->factory_count; i++)
        names[i] = config->factory[i].name;
    const char *near = nearest_name(name, names, config->factory_count);
    free(names);
    return error_set(err, ERR_NOT_FOUND, "no workflow is called \"%.128s\"%s%s%s", name,
                     near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                     near != NULL ? "\"?)" : "");
}

int argosy_factory_open(const char *config_path, struct argosy_factory **ret_factory,
                        struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    struct argosy_factory *factory = calloc(1, sizeof *factory);
    if (factory == NULL)
        return error_set(inner, ERR_MEMORY, "out of memory");
    pthread_mutex_init(&factory->lock, NULL);
    int code = 0;
    if (config_path != NULL && (factory->path = strdup(config_path)) == NULL)
        code = error_set(inner, ERR_MEMORY, "out of memory");
    if (code == 0)
        code = registry_load(config_path, &factory->registry, inner);
    if (code == 0)
        *ret_factory = factory;
    else
        argosy_factory_close(factory);
    return code;
}

void argosy_factory_close(struct argosy_factory *factory)
{
    if (factory == NULL)
        return;
    if (factory->registry != NULL)
        registry_release(factory, factory->registry);
    pthread_mutex_destroy(&factory->lock);
    free(factory->path);
    free(factory);
}

int argosy_factory_reload(struct argosy_factory *factory, struct argosy_error *err)
{
    struct registry *fresh;
    int code = registry_load(factory->path, &fresh, error_inside(err));
    if (code != 0)
        return code;
    pthread_mutex_lock(&factory->lock);
    struct registry *old = factory->registry;
    factory->registry = fresh;
    pthread_mutex_unlock(&factory->lock);
    registry_release(factory, old);
    return 0;
}

/* ---- from an entry and an input to a start ---- */

static enum argosy_id_reuse_policy reuse_policy(enum fleet_id_reuse policy)
{
    switch (policy) {
    case FLEET_REUSE_ALLOW:
        break;
    case FLEET_REUSE_FAILED_ONLY:
    case FLEET_REUSE_USE_COMPLETED:
        return ARGOSY_REUSE_ALLOW_FAILED_ONLY;
    case FLEET_REUSE_REJECT:
        return ARGOSY_REUSE_REJECT;
    }
    return ARGOSY_REUSE_ALLOW;
}

static enum argosy_id_conflict_policy conflict_policy(enum fleet_id_conflict policy)
{
    switch (policy) {
    case FLEET_CONFLICT_USE_EXISTING:
        break;
    case FLEET_CONFLICT_FAIL:
        return ARGOSY_CONFLICT_FAIL;
    case FLEET_CONFLICT_TERMINATE:
        return ARGOSY_CONFLICT_TERMINATE;
    }
    return ARGOSY_CONFLICT_USE_EXISTING;
}

/* The policy in arena, which the registry may not outlive; NULL when memory is exhausted. */
static const struct argosy_retry_policy *retry_policy(const struct fleet_retry *retry,
                                                      struct arena *arena)
{
    struct argosy_retry_policy *policy = arena_alloc(arena, sizeof *policy);
    const char **types = arena_calloc(arena, retry->non_retryable_type_count, sizeof *types);
    if (policy == NULL || types == NULL)
        return NULL;
    for (size_t i = 0; i < retry->non_retryable_type_count; i++) {
        types[i] = arena_strdup(arena, retry->non_retryable_types[i]);
        if (types[i] == NULL)
            return NULL;
    }
    *policy = (struct argosy_retry_policy){
        .initial_interval_ms = retry->initial_interval_ms,
        .backoff_coefficient = retry->backoff_coefficient,
        .maximum_interval_ms = retry->maximum_interval_ms,
        .maximum_attempts = retry->maximum_attempts,
        .non_retryable_types = types,
        .non_retryable_type_count = retry->non_retryable_type_count,
    };
    return policy;
}

/* All but the id, the concurrency key and the input. */
static int fill_policies(const struct fleet_workflow *workflow, struct arena *arena,
                         struct argosy_start_options *options, struct error *err)
{
    *options = (struct argosy_start_options){
        .workflow_type = arena_strdup(arena, workflow->type),
        .task_queue = arena_strdup(arena, workflow->task_queue),
        .execution_timeout_ms = (int64_t)workflow->execution_timeout_s * MS_PER_S,
        .run_timeout_ms = (int64_t)workflow->run_timeout_s * MS_PER_S,
        .task_timeout_ms = (int64_t)workflow->task_timeout_s * MS_PER_S,
        .priority = workflow->priority,
        .id_reuse_policy = reuse_policy(workflow->id_reuse_policy),
        .id_conflict_policy = conflict_policy(workflow->id_conflict_policy),
    };
    bool retries = workflow->retry.maximum_attempts != 1;
    if (retries)
        options->retry_policy = retry_policy(&workflow->retry, arena);
    if (options->workflow_type == NULL || options->task_queue == NULL ||
        (retries && options->retry_policy == NULL))
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static int fill_input(const char *text, size_t size, struct arena *arena,
                      struct argosy_start_options *options, struct error *err)
{
    struct argosy_payload *payload = arena_alloc(arena, sizeof *payload);
    const void *copy = arena_memdup(arena, text, size);
    if (payload == NULL || copy == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *payload =
        (struct argosy_payload){.encoding = ARGOSY_ENCODING_JSON, .data = copy, .size = size};
    options->input = (struct argosy_payloads){payload, 1};
    return 0;
}

static int plan(const struct fleet_workflow *workflow, const char *input_json, struct arena *arena,
                struct argosy_start_options *ret_options, struct error *err)
{
    struct argosy_start_options options;
    size_t size = strlen(input_json);
    json_t *input;
    int code = input_parse(input_json, size, &input, err);
    if (code != 0)
        return code;
    if (workflow->input_schema != NULL)
        code = input_check(workflow->input_schema, input, err);
    if (code == 0)
        code = fill_policies(workflow, arena, &options, err);
    if (code == 0)
        code = factory_id(workflow->id_template, input, arena, &options.workflow_id, err);
    if (code == 0 && workflow->concurrency.key != NULL) {
        options.concurrency_limit = workflow->concurrency.limit;
        code = factory_id(workflow->concurrency.key_template, input, arena,
                          &options.concurrency_key, err);
    }
    json_decref(input);
    if (code == 0)
        code = fill_input(input_json, size, arena, &options, err);
    if (code == 0)
        *ret_options = options;
    return code;
}

/* Finds the entry and plans. *ret_uses_completed: a completed run of the id is the answer. */
static int prepare(struct argosy_factory *factory, const char *name, const char *input_json,
                   struct arena *arena, struct argosy_start_options *ret_options,
                   bool *ret_uses_completed, struct error *err)
{
    struct registry *registry = registry_take(factory);
    const struct fleet_workflow *workflow;
    int code = registry_find(registry, name, &workflow, err);
    if (code == 0)
        code = plan(workflow, input_json, arena, ret_options, err);
    if (code == 0)
        *ret_uses_completed = workflow->id_reuse_policy == FLEET_REUSE_USE_COMPLETED;
    registry_release(factory, registry);
    return code;
}

int argosy_factory_prepare(struct argosy_factory *factory, const char *name, const char *input_json,
                           struct argosy_arena *arena, struct argosy_start_options *ret_options,
                           struct argosy_error *err)
{
    bool uses_completed;
    return prepare(factory, name, input_json, &arena->arena, ret_options, &uses_completed,
                   error_inside(err));
}

int argosy_factory_start(struct argosy_factory *factory, struct argosy_client *client,
                         const char *name, const char *input_json,
                         struct argosy_factory_run *ret_run, struct argosy_error *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct argosy_start_options options;
    bool uses_completed;
    int code =
        prepare(factory, name, input_json, &arena, &options, &uses_completed, error_inside(err));
    if (code == 0) {
        struct argosy_factory_run run = {0};
        code = argosy_client_start(client, &options, run.run_id, err);
        if (code == 0 || code == ARGOSY_ERR_EXISTS) {
            strcpy(run.workflow_id, options.workflow_id);
            *ret_run = run;
        }
        if (code == ARGOSY_ERR_EXISTS && uses_completed)
            code = 0;
    }
    arena_fini(&arena);
    return code;
}

/* ---- looking ---- */

/* view as text in arena; view is taken. */
static int print_view(json_t *view, struct argosy_arena *arena, const char **ret_json,
                      struct error *err)
{
    char *text = view != NULL ? json_dumps(view, JSON_COMPACT) : NULL;
    const char *copy = text != NULL ? arena_strdup(&arena->arena, text) : NULL;
    json_decref(view);
    free(text);
    if (copy == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_json = copy;
    return 0;
}

int argosy_factory_show(struct argosy_factory *factory, const char *name,
                        struct argosy_arena *arena, const char **ret_json, struct argosy_error *err)
{
    struct registry *registry = registry_take(factory);
    const struct fleet_workflow *workflow;
    int code = registry_find(registry, name, &workflow, error_inside(err));
    if (code == 0)
        code = print_view(factory_view(workflow), arena, ret_json, error_inside(err));
    registry_release(factory, registry);
    return code;
}

int argosy_factory_list(struct argosy_factory *factory, struct argosy_arena *arena,
                        const char **ret_json, struct argosy_error *err)
{
    struct registry *registry = registry_take(factory);
    const struct fleet_config *config = registry->config;
    json_t *list = json_array();
    for (size_t i = 0; i < config->factory_count; i++)
        json_array_append_new(list, factory_view(&config->factory[i]));
    int code =
        print_view(json_pack("{s:o}", "workflows", list), arena, ret_json, error_inside(err));
    registry_release(factory, registry);
    return code;
}
