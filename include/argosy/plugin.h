/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin: workflows and activities of your own as a shared object that workers load.
 *
 *     #include <argosy/plugin.h>
 *
 *     ARGOSY_PLUGIN(registry, err)
 *     {
 *         return argosy_registry_add_workflow(registry, "Greet", greet, NULL, err);
 *     }
 *
 * Build: cc -shared -fPIC -o greet.so greet.c -largosy. Name the file under `plugins:` of a worker
 * group in the fleet's config. The function is called once, when a worker starts; a negative code
 * keeps the worker from starting.
 */
#ifndef ARGOSY_PLUGIN_H
#define ARGOSY_PLUGIN_H

#include <argosy/registry.h>

/* Raised when plug-ins must be built anew. */
#define ARGOSY_PLUGIN_INTERFACE 1

typedef int argosy_plugin_function(struct argosy_registry *registry, struct argosy_error *err);

/* What the library looks up in the shared object; ARGOSY_PLUGIN defines both. */
#define ARGOSY_PLUGIN_INTERFACE_SYMBOL "argosy_plugin_interface"
#define ARGOSY_PLUGIN_REGISTER_SYMBOL  "argosy_plugin_register"

#define ARGOSY_PLUGIN(registry, err)                                                               \
    ARGOSY_API extern const int argosy_plugin_interface;                                           \
    const int argosy_plugin_interface = ARGOSY_PLUGIN_INTERFACE;                                   \
    ARGOSY_API argosy_plugin_function argosy_plugin_register;                                      \
    int argosy_plugin_register(struct argosy_registry *registry, struct argosy_error *err)

#endif
