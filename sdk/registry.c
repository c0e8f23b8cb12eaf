/* SPDX-License-Identifier: Apache-2.0 */
/* registry: see include/argosy/registry.h. */
#include "sdk/registry.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <argosy/plugin.h>

#include "common/limits.h"

struct argosy_registry {
    struct registry_workflow *workflows;
    struct registry_activity *activities;
};

struct argosy_registry *argosy_registry_create(void)
{
    return calloc(1, sizeof(struct argosy_registry));
}

void argosy_registry_destroy(struct argosy_registry *registry)
{
    if (registry == NULL)
        return;
    struct registry_workflow *workflow, *next_workflow;
    HASH_ITER (hh, registry->workflows, workflow, next_workflow) {
        HASH_DEL(registry->workflows, workflow);
        free(workflow->type);
        free(workflow);
    }
    struct registry_activity *activity, *next_activity;
    HASH_ITER (hh, registry->activities, activity, next_activity) {
        HASH_DEL(registry->activities, activity);
        free(activity->type);
        free(activity);
    }
    free(registry);
}

static int check_type(const char *type, bool has_function, struct argosy_error *err)
{
    if (type == NULL || type[0] == '\0')
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "a type needs a name");
    if (strlen(type) > LIMIT_ID_LENGTH)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "type name of %zu bytes, at most %d",
                                strlen(type), LIMIT_ID_LENGTH);
    if (!has_function)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "type \"%s\" has no function", type);
    return 0;
}

int argosy_registry_add_workflow(struct argosy_registry *registry, const char *type,
                                 argosy_workflow_function *function, void *user_data,
                                 struct argosy_error *err)
{
    int code = check_type(type, function != NULL, err);
    if (code < 0)
        return code;
    if (registry_find_workflow(registry, type) != NULL)
        return argosy_error_set(err, ARGOSY_ERR_EXISTS, "workflow type \"%s\" is registered twice",
                                type);
    struct registry_workflow *workflow = calloc(1, sizeof *workflow);
    char *name = strdup(type);
    if (workflow == NULL || name == NULL) {
        free(workflow);
        free(name);
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    }
    workflow->type = name;
    workflow->function = function;
    workflow->user_data = user_data;
    HASH_ADD_KEYPTR(hh, registry->workflows, name, strlen(name), workflow);
    return 0;
}

static int add_activity(struct argosy_registry *registry, const char *type,
                        const struct registry_activity *row, struct argosy_error *err)
{
    int code = check_type(type, row->function != NULL || row->async_function != NULL, err);
    if (code < 0)
        return code;
    if (registry_find_activity(registry, type) != NULL)
        return argosy_error_set(err, ARGOSY_ERR_EXISTS, "activity type \"%s\" is registered twice",
                                type);
    struct registry_activity *activity = malloc(sizeof *activity);
    char *name = strdup(type);
    if (activity == NULL || name == NULL) {
        free(activity);
        free(name);
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    }
    *activity = *row;
    activity->type = name;
    HASH_ADD_KEYPTR(hh, registry->activities, name, strlen(name), activity);
    return 0;
}

int argosy_registry_add_activity(struct argosy_registry *registry, const char *type,
                                 argosy_activity_function *function, void *user_data,
                                 struct argosy_error *err)
{
    struct registry_activity row = {.function = function, .user_data = user_data};
    return add_activity(registry, type, &row, err);
}

int argosy_registry_add_async_activity(struct argosy_registry *registry, const char *type,
                                       argosy_async_activity_function *function, void *user_data,
                                       struct argosy_error *err)
{
    struct registry_activity row = {.async_function = function, .user_data = user_data};
    return add_activity(registry, type, &row, err);
}

int argosy_registry_load_plugin(struct argosy_registry *registry, const char *path,
                                struct argosy_error *err)
{
    /* A bare name would be searched for among the system's libraries. */
    char here[PATH_MAX];
    if (snprintf(here, sizeof here, "%s%s", strchr(path, '/') == NULL ? "./" : "", path) >=
        (int)sizeof here)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "a plug-in's path is too long");
    /* Never closed: what it registers is referred to for as long as the process lives. */
    void *plugin = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL)
        return argosy_error_set(err, ARGOSY_ERR_NOT_FOUND, "could not load plug-in: %s", dlerror());
    const int *interface = dlsym(plugin, ARGOSY_PLUGIN_INTERFACE_SYMBOL);
    argosy_plugin_function *function;
    *(void **)&function = dlsym(plugin, ARGOSY_PLUGIN_REGISTER_SYMBOL);
    if (interface == NULL || function == NULL)
        return argosy_error_set(err, ARGOSY_ERR_UNSUPPORTED,
                                "%s is no Argosy plug-in: it has no ARGOSY_PLUGIN", path);
    if (*interface != ARGOSY_PLUGIN_INTERFACE)
        return argosy_error_set(err, ARGOSY_ERR_UNSUPPORTED,
                                "%s was built for plug-in interface %d, this is %d", path,
                                *interface, ARGOSY_PLUGIN_INTERFACE);
    struct argosy_error reason = {0};
    int code = function(registry, &reason);
    if (code < 0)
        return argosy_error_set(err, code, "%s: %s", path,
                                reason.code == 0 ? argosy_error_text(code) : reason.text);
    return 0;
}

const struct registry_workflow *registry_find_workflow(const struct argosy_registry *registry,
                                                       const char *type)
{
    struct registry_workflow *workflow;
    HASH_FIND_STR(registry->workflows, type, workflow);
    return workflow;
}

const struct registry_activity *registry_find_activity(const struct argosy_registry *registry,
                                                       const char *type)
{
    struct registry_activity *activity;
    HASH_FIND_STR(registry->activities, type, activity);
    return activity;
}

size_t registry_workflow_count(const struct argosy_registry *registry)
{
    return HASH_COUNT(registry->workflows);
}

size_t registry_activity_count(const struct argosy_registry *registry)
{
    return HASH_COUNT(registry->activities);
}

bool registry_has_sync_activity(const struct argosy_registry *registry)
{
    const struct registry_activity *activity = registry->activities;
    while (activity != NULL && activity->function == NULL)
        activity = activity->hh.next;
    return activity != NULL;
}

void registry_workflow_types(const struct argosy_registry *registry, const char **types)
{
    for (const struct registry_workflow *row = registry->workflows; row != NULL; row = row->hh.next)
        *types++ = row->type;
}

void registry_activity_types(const struct argosy_registry *registry, const char **types)
{
    for (const struct registry_activity *row = registry->activities; row != NULL;
         row = row->hh.next)
        *types++ = row->type;
}
