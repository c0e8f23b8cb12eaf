/* SPDX-License-Identifier: Apache-2.0 */
/*
 * factory: starts workflows by a name of the config instead of by type, queue and policies.
 *
 * The section `factory:` of the fleet's config (docs/factory.md), laid over the built-in entries,
 * says for each name which workflow type runs on which queue, with which timeouts, retries,
 * priority and bound of concurrent runs, what its input must look like, and how its workflow id is
 * derived from that input, so that a repeated request is the same run. Policies are enforced here
 * and in the engine alone: an input that does not fit is refused before anything is sent.
 *
 * Threading: a factory may be used by many threads at once, argosy_factory_reload included; a start
 * uses the registry that was current when it began.
 */
#ifndef ARGOSY_FACTORY_H
#define ARGOSY_FACTORY_H

#include <argosy/arena.h>
#include <argosy/client.h>
#include <argosy/error.h>
#include <stddef.h>

/* Room for any workflow id and its NUL. */
#define ARGOSY_WORKFLOW_ID_SIZE 1001

struct argosy_factory;

/* Reads the registry of a config file; NULL: the built-in entries alone. ARGOSY_ERR_CONFIG names
 * file, line, key and the nearest known one; ARGOSY_ERR_NOT_FOUND. The caller owns *ret_factory. */
ARGOSY_API int argosy_factory_open(const char *config_path, struct argosy_factory **ret_factory,
                                   struct argosy_error *err);

/* No other call may be under way. NULL is fine. */
ARGOSY_API void argosy_factory_close(struct argosy_factory *factory);

/* Reads the file again. A file that is broken, or gone, changes nothing: the registry of before
 * stays in use and the error says why. Nothing else reloads; a call takes about a millisecond. */
ARGOSY_API int argosy_factory_reload(struct argosy_factory *factory, struct argosy_error *err);

/* A run that a start made or met. */
struct argosy_factory_run {
    char workflow_id[ARGOSY_WORKFLOW_ID_SIZE];
    char run_id[ARGOSY_RUN_ID_SIZE];
};

/* Starts the workflow called name with one JSON value as its input and says which run that is.
 * ARGOSY_ERR_NOT_FOUND: no such name (the text has the nearest); ARGOSY_ERR_INVALID: the input does
 * not fit (the text has the path of the wrong field); ARGOSY_ERR_LIMIT: as many runs of its
 * concurrency key are open as may be (the text has their ids); ARGOSY_ERR_EXISTS: the id is taken
 * and the entry's policies say that this is an error (*ret_run says by which run); else as
 * argosy_client_start. */
ARGOSY_API int argosy_factory_start(struct argosy_factory *factory, struct argosy_client *client,
                                    const char *name, const char *input_json,
                                    struct argosy_factory_run *ret_run, struct argosy_error *err);

/* The first half of argosy_factory_start: checks name and input and says what would be started,
 * without starting it: for argosy_client_execute_async, or for work that needs the workflow id
 * first. All it points to lives in arena. A template with {uuid} gives a new id each time. */
ARGOSY_API int argosy_factory_prepare(struct argosy_factory *factory, const char *name,
                                      const char *input_json, struct argosy_arena *arena,
                                      struct argosy_start_options *ret_options,
                                      struct argosy_error *err);

/* The entry called name as JSON text in arena, with the keys of the config and every value filled
 * in: {"name", "type", "task_queue", "id", "input": the schema, ...}. ARGOSY_ERR_NOT_FOUND as
 * above. */
ARGOSY_API int argosy_factory_show(struct argosy_factory *factory, const char *name,
                                   struct argosy_arena *arena, const char **ret_json,
                                   struct argosy_error *err);

/* All entries, in the order of the config behind the built-in ones: {"workflows": [...]}. */
ARGOSY_API int argosy_factory_list(struct argosy_factory *factory, struct argosy_arena *arena,
                                   const char **ret_json, struct argosy_error *err);

#endif
