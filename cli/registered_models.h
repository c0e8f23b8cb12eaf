/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registered_models: the registered models (storage/model_registry.h) as `argosy model list` shows
 * them, for people and as JSON. Threading: none.
 */
#ifndef ARGOSY_CLI_REGISTERED_MODELS_H
#define ARGOSY_CLI_REGISTERED_MODELS_H

#include <jansson.h>

#include "cli/command.h"
#include "storage/model_registry.h"

/* All of them, in arena. *ret_models is NULL, with a note on standard error, where no storage
 * answers. */
int registered_models_fetch(const struct invocation *invocation, struct arena *arena,
                            const struct registered_model **ret_models, size_t *ret_count,
                            struct error *err);

/* A table with name, version, base, time and the figures of the metadata's "metrics". */
int registered_models_print(const struct registered_model *models, size_t count, struct error *err);

/* A list, metadata as it was registered; NULL where memory is exhausted. */
json_t *registered_models_json(const struct registered_model *models, size_t count);

#endif
