/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure: how a GPU activity's error becomes an activity's failure. Those that a retry would not
 * mend have a type of their own; the rest are left to the retry policy.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKER_GPU_FAILURE_H
#define ARGOSY_WORKER_GPU_FAILURE_H

#include <argosy/activity.h>

#include "common/error.h"
#include "workflows/failure.h"

#define FAILURE_MODEL_NOT_FOUND "ModelNotFound" /* the text names the nearest */
#define FAILURE_INVALID_MODEL   "InvalidModel"  /* damaged, or of a kind that is not served */

/* The type of the failure to get hold of a model (served_models_take); NULL: a retry may help. */
const char *failure_of_model(int code);

/* Sets ret_error to err; with a type to a failure of that type that is not tried again. Returns its
 * code. */
int failure_set(struct argosy_activity *activity, const char *type, const struct error *err,
                struct argosy_error *ret_error);

#endif
