/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload: a value that travels: inputs, results, signals, heartbeat details.
 *
 * A payload is bytes and the name of their encoding. JSON is the default, so that programs in other
 * languages can read it; "binary/plain" is for vectors and files. A payload struct is a view: it
 * borrows its bytes, and copying the struct copies no data. A zeroed struct is "absent", which
 * travels as null. Inputs are lists, since an activity or workflow may take several arguments; most
 * take one:
 *
 *     .input = ARGOSY_PAYLOADS(argosy_payload_json("{\"text\": \"hello\"}"))
 *
 * Threading: no shared state.
 */
#ifndef ARGOSY_PAYLOAD_H
#define ARGOSY_PAYLOAD_H

#include <argosy/arena.h>
#include <argosy/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGOSY_ENCODING_JSON   "json/plain"
#define ARGOSY_ENCODING_BINARY "binary/plain"
#define ARGOSY_ENCODING_NULL   "binary/null"

/* Metadata beside the encoding, as other SDKs send it; passed on untouched. */
struct argosy_metadata {
    const char *key;
    const void *data;
    size_t size;
};

struct argosy_payload {
    const char *encoding; /* ARGOSY_ENCODING_... or another SDK's own; NULL: absent */
    const void *data;     /* size bytes; not NUL-terminated */
    size_t size;          /* at most 2 MiB */
    const struct argosy_metadata *metadata;
    size_t metadata_count;
};

struct argosy_payloads {
    const struct argosy_payload *items;
    size_t count;
};

/* A list of payloads written in place; it lives as long as the enclosing block. */
#define ARGOSY_PAYLOADS(...)                                                                       \
    ((struct argosy_payloads){(const struct argosy_payload[]){__VA_ARGS__},                        \
                              sizeof((const struct argosy_payload[]){__VA_ARGS__}) /               \
                                  sizeof(struct argosy_payload)})

/* Views; they borrow what they are given. text is one JSON value ("42", "\"word\"", "{...}") and
 * is not checked here: argosy_payload_check does that. */
ARGOSY_API struct argosy_payload argosy_payload_json(const char *text);
ARGOSY_API struct argosy_payload argosy_payload_binary(const void *data, size_t size);
ARGOSY_API struct argosy_payload argosy_payload_null(void);

/* Payloads whose bytes live in arena; absent when arena is exhausted. The string is UTF-8. */
ARGOSY_API struct argosy_payload argosy_payload_string(struct argosy_arena *arena,
                                                       const char *text);
ARGOSY_API struct argosy_payload argosy_payload_integer(struct argosy_arena *arena, int64_t value);
ARGOSY_API struct argosy_payload argosy_payload_number(struct argosy_arena *arena, double value);

/* A JSON payload in arena from a format of json_pack (jansson's manual, "Building Values"):
 * argosy_payload_pack(arena, &payload, err, "{s:s, s:f}", "label", label, "score", score).
 * ARGOSY_ERR_INVALID for a bad format or text that is not UTF-8. */
ARGOSY_API int argosy_payload_pack(struct argosy_arena *arena, struct argosy_payload *ret_payload,
                                   struct argosy_error *err, const char *format, ...);

/* The JSON string, integer or number that payload holds. ARGOSY_ERR_INVALID when it holds something
 * else; the text says what. The string lives in arena and has no NUL inside. */
ARGOSY_API int argosy_payload_get_string(const struct argosy_payload *payload,
                                         struct argosy_arena *arena, const char **ret_text,
                                         struct argosy_error *err);
ARGOSY_API int argosy_payload_get_integer(const struct argosy_payload *payload, int64_t *ret_value,
                                          struct argosy_error *err);
ARGOSY_API int argosy_payload_get_number(const struct argosy_payload *payload, double *ret_value,
                                         struct argosy_error *err);

/* The member called key of the JSON object that payload holds, as a JSON payload of its own in
 * arena; absent when there is none. ARGOSY_ERR_INVALID when payload holds no object. */
ARGOSY_API int argosy_payload_get_member(const struct argosy_payload *payload, const char *key,
                                         struct argosy_arena *arena,
                                         struct argosy_payload *ret_member,
                                         struct argosy_error *err);

/* 0 when a payload that says it is JSON is one JSON value; ARGOSY_ERR_INVALID names line and
 * column. Other encodings are not looked into. */
ARGOSY_API int argosy_payload_check(const struct argosy_payload *payload, struct argosy_error *err);

/* Absent, or encoded as null, or the JSON value null. */
ARGOSY_API bool argosy_payload_is_null(const struct argosy_payload *payload);

/* The payload for people: JSON as it is, other encodings as "<binary/plain, 12 bytes>". Lives in
 * arena; NULL when arena is exhausted. */
ARGOSY_API const char *argosy_payload_text(const struct argosy_payload *payload,
                                           struct argosy_arena *arena);

/* A copy of payload, bytes and metadata included, in arena; absent when arena is exhausted. */
ARGOSY_API struct argosy_payload argosy_payload_copy(const struct argosy_payload *payload,
                                                     struct argosy_arena *arena);

#endif
