/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_view: parts of the API's JSON (proto3's mapping, as argosy_client_call gives it) for
 * people: payloads, failures, enum names, times.
 *
 * Absent values read as empty. Whatever a peer sends gives some text; nothing asserts on it.
 * Threading: none.
 */
#ifndef ARGOSY_CLI_MESSAGE_VIEW_H
#define ARGOSY_CLI_MESSAGE_VIEW_H

#include <jansson.h>
#include <stdint.h>

#include "common/buffer.h"

/* The value at a dotted path ("workflowType.name") below object; NULL when absent. Borrowed. */
json_t *view_get(const json_t *object, const char *path);

/* A string at path, "" when absent or no string. Borrowed. */
const char *view_text(const json_t *object, const char *path);

/* A number at path: proto3's JSON writes 64-bit integers as strings. 0 when absent. */
int64_t view_number(const json_t *object, const char *path);

/* A timestamp ("2026-01-31T23:59:59.5Z") in microseconds UTC, 0 when absent or malformed; a
 * duration ("1.5s") in microseconds. */
int64_t view_time_us(const json_t *object, const char *path);
int64_t view_duration_us(const json_t *object, const char *path);

/* "WORKFLOW_EXECUTION_STATUS_TIMED_OUT" without prefix, as "TimedOut"; appended to out. */
void view_enum(const char *name, const char *prefix, struct buffer *out);

/* Appends a payload: its JSON as it is, other encodings as "<binary/plain, 12 bytes>". A payload
 * list is separated by commas. */
void view_payload(const json_t *payload, struct buffer *out);
void view_payloads(const json_t *payloads, struct buffer *out);

/* Appends a failure and its causes: "activity task failed: Input text is empty [EmptyInput]". */
void view_failure(const json_t *failure, struct buffer *out);

#endif
