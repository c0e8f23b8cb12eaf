/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity_json: what activities and workflows share that take one JSON object and give one JSON
 * value: reading, writing, and failing in the right way.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_ACTIVITY_JSON_H
#define ARGOSY_WORKFLOWS_ACTIVITY_JSON_H

#include <argosy/activity.h>
#include <jansson.h>

#include "common/error.h"

/* Failure type of an input that is not what is documented. */
#define FAILURE_INVALID_INPUT "InvalidInput"

/* The JSON object that a payload holds; the caller releases it. Anything else fails with
 * FAILURE_INVALID_INPUT, not to be tried again; so does a NUL in a string. */
int json_object_load(const struct argosy_payload *payload, struct argosy_arena *arena,
                     json_t **ret_object, struct argosy_error *err);

/* A JSON payload in arena; value is released. NULL is ARGOSY_ERR_MEMORY, so that a failed json_pack
 * can be passed on. */
int json_payload(json_t *value, struct argosy_arena *arena, struct argosy_payload *ret_payload,
                 struct argosy_error *err);

/* Fails for good: a failure of that type that is not tried again. Returns ARGOSY_ERR_FAILED. */
int failure_final(struct argosy_arena *arena, const char *type, struct argosy_error *err,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Fails as why says: what may work later is left to the retry policy, anything else is a failure of
 * that type that is not tried again. Returns a negative code. */
int failure_from(struct argosy_arena *arena, const char *type, const struct error *why,
                 struct argosy_error *err);

#endif
