/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry: the workflow and activity types that a program knows, by name. A worker runs what its
 * registry holds, replay checks it, plug-ins fill it.
 *
 * Names are copied; at most 1,000 bytes. Registering a name twice is ARGOSY_ERR_EXISTS.
 * Threading: fill it before a worker uses it; then it is read only.
 */
#ifndef ARGOSY_REGISTRY_H
#define ARGOSY_REGISTRY_H

#include <argosy/activity.h>
#include <argosy/error.h>
#include <argosy/workflow.h>

struct argosy_registry;

/* An empty registry, owned by the caller; NULL when memory is exhausted. */
ARGOSY_API struct argosy_registry *argosy_registry_create(void);

/* NULL is fine. Plug-ins that were loaded stay loaded: their code may still be referred to. */
ARGOSY_API void argosy_registry_destroy(struct argosy_registry *registry);

/* user_data is handed to every call of function; borrowed. */
ARGOSY_API int argosy_registry_add_workflow(struct argosy_registry *registry, const char *type,
                                            argosy_workflow_function *function, void *user_data,
                                            struct argosy_error *err);
ARGOSY_API int argosy_registry_add_activity(struct argosy_registry *registry, const char *type,
                                            argosy_activity_function *function, void *user_data,
                                            struct argosy_error *err);
ARGOSY_API int argosy_registry_add_async_activity(struct argosy_registry *registry,
                                                  const char *type,
                                                  argosy_async_activity_function *function,
                                                  void *user_data, struct argosy_error *err);

/* Loads the plug-in at path (plugin.h; never searched for) and lets it register its types.
 * ARGOSY_ERR_NOT_FOUND when it cannot be loaded, ARGOSY_ERR_UNSUPPORTED when it was built for
 * another plug-in interface. */
ARGOSY_API int argosy_registry_load_plugin(struct argosy_registry *registry, const char *path,
                                           struct argosy_error *err);

#endif
