/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec: what happens to payloads on their way out of this process and into it: encryption,
 * compression, or what you write.
 *
 * A codec turns one payload into another, bytes and metadata, and back. Codecs form a chain: a
 * payload that leaves goes through them in the order in which they were added, one that arrives in
 * the opposite order. Compress first, then encrypt:
 *
 *     struct argosy_codecs *codecs = argosy_codecs_create();
 *     argosy_codecs_add_zstd(codecs, NULL, &err);
 *     argosy_codecs_add_aes_gcm(codecs, (const char *[]){"codec.key"}, 1, &err);
 *     argosy_client_connect(&(struct argosy_connection_options){.codecs = codecs}, &client, &err);
 *
 * The engine sees, stores and hands on only what the chain made. A chain applies to every payload
 * of the client or worker it was given to: inputs and results of workflows and activities, signals,
 * arguments and answers of queries, heartbeat details, details of failures and cancellations,
 * memos, headers, user metadata; in argosy_client_call, _history and _describe too. Where a codec
 * of the chain hides failures, messages and stack traces of failures go the same way (as the
 * schema's encoded_attributes; "Encoded failure" stands in their place). Not encoded, because the
 * engine works with it: ids, types, names of queues, signals and queries, failure types, search
 * attributes, the reasons of cancel and terminate.
 *
 * Replay compares what code asks for, never encoded bytes, so an encoding may differ each time it
 * is made.
 *
 * When a codec fails: a call of the client returns ARGOSY_ERR_CORRUPT (decoding; the calls that
 * show JSON show the payload as it is instead) or ARGOSY_ERR_FAILED (encoding); an attempt of an
 * activity fails with a failure of type "PayloadCodec", which its retry policy may try again
 * elsewhere; a workflow task fails and is tried again: the run waits for a worker that can read it,
 * and is never lost. The text names the codec and
 * travels as it is: it must say nothing of the payload.
 *
 * Threading: fill a chain before it is used; then any thread. A codec's functions are called by
 * several threads at once, some of which others wait for: they must not block for long, and must
 * not call clients, workers or activities.
 */
#ifndef ARGOSY_CODEC_H
#define ARGOSY_CODEC_H

#include <argosy/arena.h>
#include <argosy/error.h>
#include <argosy/export.h>
#include <argosy/payload.h>
#include <stdbool.h>
#include <stddef.h>

/* Returned by a codec that leaves the payload as it is: not worth it, or not one of its own. */
#define ARGOSY_CODEC_KEPT 1

/* Encodes or decodes payload (never absent). 0 with *ret_payload, whose bytes live in arena or are
 * payload's own; ARGOSY_CODEC_KEPT; or a negative code with err's text. Decoding must keep every
 * payload that it did not make: payloads from before the codec was used stay readable. */
typedef int argosy_codec_function(void *user_data, const struct argosy_payload *payload,
                                  struct argosy_arena *arena, struct argosy_payload *ret_payload,
                                  struct argosy_error *err);

struct argosy_codec {
    const char *name; /* how errors name it; at most 100 bytes, copied */
    argosy_codec_function *encode;
    argosy_codec_function *decode;
    void *user_data; /* borrowed, unless close is set */
    /* Frees user_data, with the chain; may be NULL. */
    void (*close)(void *user_data);
    bool hides_failures;
};

/* Codecs of one chain. */
#define ARGOSY_CODECS_MAX 8

struct argosy_codecs;

/* An empty chain, owned by the caller; NULL when memory is exhausted. */
ARGOSY_API struct argosy_codecs *argosy_codecs_create(void);

/* After every client and worker that was given it. NULL is fine. */
ARGOSY_API void argosy_codecs_destroy(struct argosy_codecs *codecs);

/* Appends a codec. ARGOSY_ERR_INVALID without a name or a function, ARGOSY_ERR_LIMIT. On failure
 * codec->user_data stays the caller's. */
ARGOSY_API int argosy_codecs_add(struct argosy_codecs *codecs, const struct argosy_codec *codec,
                                 struct argosy_error *err);

/* ---- compression ---- */

struct argosy_zstd_options {
    int level;       /* 1 (fast) to 19 (small); 0: 3 */
    size_t min_size; /* smaller payloads are left alone; 0: 256 bytes */
};

/* Appends "zstd": payloads become binary/zstd where that makes them smaller. A payload that says it
 * unpacks to more than a payload may hold (2 MiB and 64 KiB for metadata) is refused before memory
 * is spent on it. options may be NULL. */
ARGOSY_API int argosy_codecs_add_zstd(struct argosy_codecs *codecs,
                                      const struct argosy_zstd_options *options,
                                      struct argosy_error *err);

/* ---- encryption ---- */

/* Appends "aes-gcm", which hides failures: AES-256-GCM with a random nonce for every payload.
 * Payloads become binary/encrypted with the key's id in encryption-key-id; the bytes are nonce
 * (12), ciphertext and tag (16) of the payload's protobuf encoding: what Temporal's encryption
 * samples write and read. The first key file encrypts; all decrypt, each payload by its key id: to
 * change keys, put the new one first. One key is good for 2^32 payloads.
 *
 * A key file is made by argosy_codec_key_create or `argosy key create --codec`.
 * ARGOSY_ERR_NOT_FOUND, ARGOSY_ERR_PERMISSION for a file that others may read, ARGOSY_ERR_CONFIG
 * names file and line. */
ARGOSY_API int argosy_codecs_add_aes_gcm(struct argosy_codecs *codecs, const char *const *key_files,
                                         size_t key_file_count, struct argosy_error *err);

#define ARGOSY_CODEC_KEY_ID_SIZE 65 /* 64 characters and NUL */

/* Writes a new random key to a new file of mode 600 and its id to ret_id. id may be NULL: a
 * random one. ARGOSY_ERR_EXISTS, ARGOSY_ERR_IO; ARGOSY_ERR_INVALID for an id that is not 1 to 64
 * letters, digits, "-", "_" and ".". */
ARGOSY_API int argosy_codec_key_create(const char *path, const char *id,
                                       char ret_id[ARGOSY_CODEC_KEY_ID_SIZE],
                                       struct argosy_error *err);

/* ---- a fleet's codecs ---- */

/* The chain that section `codecs:` of a fleet's config file asks for (docs/codecs.md); empty where
 * there is no such section. What the fleet's own workers and the command line use: a program that
 * talks to the fleet gives the same file. ARGOSY_ERR_NOT_FOUND, ARGOSY_ERR_CONFIG,
 * ARGOSY_ERR_PERMISSION. The caller owns *ret_codecs. */
ARGOSY_API int argosy_codecs_load(const char *config_file, struct argosy_codecs **ret_codecs,
                                  struct argosy_error *err);

/* ---- by hand ---- */

/* One payload through the chain, as clients and workers do it: for tools that read a store or a
 * saved history, and for tests. codecs may be NULL. What it makes lives in arena. */
ARGOSY_API int argosy_codecs_encode(const struct argosy_codecs *codecs,
                                    const struct argosy_payload *payload,
                                    struct argosy_arena *arena, struct argosy_payload *ret_payload,
                                    struct argosy_error *err);
ARGOSY_API int argosy_codecs_decode(const struct argosy_codecs *codecs,
                                    const struct argosy_payload *payload,
                                    struct argosy_arena *arena, struct argosy_payload *ret_payload,
                                    struct argosy_error *err);

#endif
