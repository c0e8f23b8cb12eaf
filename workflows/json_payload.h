/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_payload: JSON values in and out of payloads.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_JSON_PAYLOAD_H
#define ARGOSY_WORKFLOWS_JSON_PAYLOAD_H

#include <argosy/error.h>
#include <argosy/payload.h>

#include <jansson.h>

#include "common/error.h"

/* The JSON value of a payload; the caller releases it. ERR_INVALID where it is none. */
int json_payload_read(const struct argosy_payload *payload, json_t **ret_value, struct error *err);

/* Takes value and writes it, compactly, into arena; NULL is ERR_MEMORY, so that a failed json_pack
 * can be passed on. ERR_LIMIT where it is larger than a payload may be. */
int json_payload_write(json_t *value, struct argosy_arena *arena,
                       struct argosy_payload *ret_payload, struct error *err);

/* The same where the caller's own error is an activity's or a workflow's: a payload that must hold
 * a JSON object (the caller releases it; anything else fails with FAILURE_INVALID_INPUT, not to be
 * tried again), and a value that becomes a payload. */
int json_payload_read_object(const struct argosy_payload *payload, struct argosy_arena *arena,
                             json_t **ret_object, struct argosy_error *err);
int json_payload_make(json_t *value, struct argosy_arena *arena, struct argosy_payload *ret_payload,
                      struct argosy_error *err);

#endif
