/* SPDX-License-Identifier: Apache-2.0 */
/* registry: see include/argosy/registry.h; here what the runtime looks up. */
#ifndef ARGOSY_SDK_REGISTRY_H
#define ARGOSY_SDK_REGISTRY_H

#include <argosy/registry.h>
#include <stddef.h>

#include "common/hash.h"

struct registry_workflow {
    char *type;
    argosy_workflow_function *function;
    void *user_data;
    UT_hash_handle hh;
};

struct registry_activity {
    char *type;
    argosy_activity_function *function; /* NULL for an asynchronous one */
    argosy_async_activity_function *async_function;
    void *user_data;
    UT_hash_handle hh;
};

/* NULL when it is not registered. Borrowed. */
const struct registry_workflow *registry_find_workflow(const struct argosy_registry *registry,
                                                       const char *type);
const struct registry_activity *registry_find_activity(const struct argosy_registry *registry,
                                                       const char *type);

/* How many there are, and whether any activity is synchronous. */
size_t registry_workflow_count(const struct argosy_registry *registry);
size_t registry_activity_count(const struct argosy_registry *registry);
bool registry_has_sync_activity(const struct argosy_registry *registry);

/* Their names, in order of registration, into types, which has room for the count. Borrowed. */
void registry_workflow_types(const struct argosy_registry *registry, const char **types);
void registry_activity_types(const struct argosy_registry *registry, const char **types);

#endif
