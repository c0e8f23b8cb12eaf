/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_name: which model an activity's input asks for: the member "model" of an object, "NAME" or
 * "NAME@VERSION". Whether there is such a model is found out by served_models.h.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKER_GPU_MODEL_NAME_H
#define ARGOSY_WORKER_GPU_MODEL_NAME_H

#include <jansson.h>

#include "common/error.h"

/* The name in input, or NULL where input is no object or names none; the caller frees it.
 * ERR_INVALID for one that is no string, is empty, holds a NUL or is too long; ERR_MEMORY. */
int model_name_take(const json_t *input, char **ret_name, struct error *err);

#endif
