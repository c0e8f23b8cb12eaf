/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_payload: JSON values in and out of payloads, and how activities that work with them fail.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_JSON_PAYLOAD_H
#define ARGOSY_WORKFLOWS_JSON_PAYLOAD_H

#include <argosy/failure.h>
#include <argosy/payload.h>

#include <jansson.h>

#include "common/error.h"

/* The JSON value of a payload; the caller releases it. ERR_INVALID where it is none. */
int json_payload_read(const struct argosy_payload *payload, json_t **ret_value, struct error *err);

/* Takes value and writes it, compactly, into arena; NULL is ERR_MEMORY, so that a failed json_pack
 * can be passed on. ERR_LIMIT where it is larger than a payload may be. */
int json_payload_write(json_t *value, struct argosy_arena *arena,
                       struct argosy_payload *ret_payload, struct error *err);

/* Fails an activity or workflow as err says: ERR_INVALID and ERR_NOT_FOUND as a failure of that
 * type that is not tried again, others by their code. */
int json_activity_fail(const struct error *from, const char *type, struct argosy_arena *arena,
                       struct argosy_error *err);

#endif
