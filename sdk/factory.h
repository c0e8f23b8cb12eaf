/* SPDX-License-Identifier: Apache-2.0 */
/*
 * factory: inside the factory (include/argosy/factory.h). factory.c: the registry, starting;
 * factory_id.c: ids out of templates; factory_view.c: entries as JSON.
 */
#ifndef ARGOSY_SDK_FACTORY_H
#define ARGOSY_SDK_FACTORY_H

#include <argosy/factory.h>
#include <jansson.h>

#include "common/arena.h"
#include "common/fleet_config.h"

/* Fills the template's places from input. The text lives in arena: at most LIMIT_ID_LENGTH bytes,
 * none of them a control character. ERR_INVALID names the member that is missing, empty, too long
 * or neither a string nor an integer. */
int factory_id(const struct id_template *template, const json_t *input, struct arena *arena,
               const char **ret_text, struct error *err);

/* The entry with the keys of the config; the caller releases it. NULL when memory is exhausted. */
json_t *factory_view(const struct fleet_workflow *workflow);

#endif
