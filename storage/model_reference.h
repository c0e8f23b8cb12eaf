/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_reference: how a registered model is written: "NAME" (its newest version) or
 * "NAME@VERSION".
 *
 * Threading: no state.
 */
#ifndef ARGOSY_STORAGE_MODEL_REFERENCE_H
#define ARGOSY_STORAGE_MODEL_REFERENCE_H

#include <stdint.h>

#include "common/error.h"
#include "storage/model_registry.h"

struct model_reference {
    char name[MODEL_NAME_MAX + 1];
    uint32_t version; /* 0: the newest */
};

/* ERR_INVALID; a NULL text too. */
int model_reference_parse(const char *text, struct model_reference *ret_reference,
                          struct error *err);

/* A name alone. */
int model_name_check(const char *name, struct error *err);

#endif
