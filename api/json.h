/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: messages as JSON and back, in proto3's JSON mapping, as the Temporal command line and its
 * SDKs print it: lowerCamelCase names, enum names, 64-bit integers as strings, bytes as base64,
 * Timestamp as RFC 3339, Duration as "3.500s", wrappers as their value, maps as objects. Absent
 * fields are left out.
 *
 * Reading also takes snake_case names, integers as numbers or strings, enums by number; null is
 * absent. Spec: https://protobuf.dev/programming-guides/json/.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_API_JSON_H
#define ARGOSY_API_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "common/arena.h"
#include "common/error.h"

enum message_json_flags {
    /* A Payload that holds JSON becomes that JSON (binary/null: null), Payloads an array of those;
     * other payloads stay as they are. For people: this does not read back. */
    MESSAGE_JSON_PAYLOADS_DECODED = 1,
};

/* The caller releases *ret_json (json_decref). ERR_MEMORY; ERR_INVALID for text that is not UTF-8,
 * ERR_LIMIT for nesting over LIMIT_MESSAGE_DEPTH. */
int message_to_json(const ProtobufCMessage *message, unsigned flags, json_t **ret_json,
                    struct error *err);

/* A message in arena, bytes included; json is not kept. ERR_INVALID names the field that is wrong
 * and the nearest known name of an unknown one; ERR_LIMIT for nesting, counts and memory. */
int message_from_json(const ProtobufCMessageDescriptor *descriptor, const json_t *json,
                      struct arena *arena, ProtobufCMessage **ret_message, struct error *err);

#endif
