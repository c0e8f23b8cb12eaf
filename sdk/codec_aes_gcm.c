/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec_aes_gcm: the codec "aes-gcm" (include/argosy/codec.h).
 *
 *     encoding           binary/encrypted
 *     encryption-key-id  the key's id
 *     data               nonce (12 bytes), ciphertext of the payload's protobuf encoding, tag (16)
 *
 * Random nonces of 96 bits: NIST SP 800-38D, section 8.3, allows 2^32 messages of one key. The key
 * id is read from outside: it only chooses among the keys of the ring, and a wrong choice fails the
 * tag. Threading: any thread; the ring is not changed once it is made.
 */
#include <stdlib.h>
#include <string.h>

#include "sdk/aes_gcm.h"
#include "sdk/arena.h"
#include "sdk/codec_key.h"
#include "sdk/error.h"
#include "sdk/payload_codec.h"

#define ENCRYPTED_ENCODING "binary/encrypted"
#define KEY_ID_NAME        "encryption-key-id"

#define KEYS_MAX 64

struct key_ring {
    size_t count;
    struct codec_key keys[]; /* the first one encrypts */
};

/* ---- the codec ---- */

static int aes_gcm_encode(void *user_data, const struct argosy_payload *payload,
                          struct argosy_arena *arena, struct argosy_payload *ret_payload,
                          struct argosy_error *err)
{
    const struct key_ring *ring = user_data;
    const struct codec_key *key = &ring->keys[0];
    const uint8_t *plain;
    size_t plain_size;
    int code = payload_codec_pack(payload, &arena->arena, &plain, &plain_size, error_inside(err));
    if (code < 0)
        return code;
    if (plain_size > AES_GCM_SIZE_MAX)
        return argosy_error_set(err, ARGOSY_ERR_LIMIT, "the payload is over 2 GiB");
    size_t size = AES_GCM_NONCE_SIZE + plain_size + AES_GCM_TAG_SIZE;
    uint8_t *data = arena_alloc(&arena->arena, size);
    struct argosy_metadata *metadata = arena_alloc(&arena->arena, sizeof *metadata);
    if (data == NULL || metadata == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    if (!aes_gcm_random(data, AES_GCM_NONCE_SIZE) ||
        !aes_gcm_seal(key->secret, data, plain, plain_size, data + AES_GCM_NONCE_SIZE))
        return argosy_error_set(err, ARGOSY_ERR_INTERNAL, "the cipher failed");
    /* The ring outlives every payload: the id is borrowed from it. */
    *metadata = (struct argosy_metadata){KEY_ID_NAME, key->id, strlen(key->id)};
    *ret_payload = (struct argosy_payload){.encoding = ENCRYPTED_ENCODING,
                                           .data = data,
                                           .size = size,
                                           .metadata = metadata,
                                           .metadata_count = 1};
    return 0;
}

static const struct argosy_metadata *find_key_id(const struct argosy_payload *payload)
{
    for (size_t i = 0; i < payload->metadata_count; i++) {
        if (strcmp(payload->metadata[i].key, KEY_ID_NAME) == 0)
            return &payload->metadata[i];
    }
    return NULL;
}

static int find_key(const struct key_ring *ring, const struct argosy_payload *payload,
                    const struct codec_key **ret_key, struct argosy_error *err)
{
    const struct argosy_metadata *id = find_key_id(payload);
    if (id == NULL)
        return argosy_error_set(err, ARGOSY_ERR_CORRUPT, "it does not name its key");
    for (size_t i = 0; i < ring->count; i++) {
        if (strlen(ring->keys[i].id) == id->size &&
            memcmp(ring->keys[i].id, id->data, id->size) == 0) {
            *ret_key = &ring->keys[i];
            return 0;
        }
    }
    int shown = id->size < ARGOSY_CODEC_KEY_ID_SIZE ? (int)id->size : ARGOSY_CODEC_KEY_ID_SIZE;
    return argosy_error_set(err, ARGOSY_ERR_NOT_FOUND, "there is no key \"%.*s\" here", shown,
                            (const char *)id->data);
}

static int aes_gcm_decode(void *user_data, const struct argosy_payload *payload,
                          struct argosy_arena *arena, struct argosy_payload *ret_payload,
                          struct argosy_error *err)
{
    const struct key_ring *ring = user_data;
    if (strcmp(payload->encoding, ENCRYPTED_ENCODING) != 0)
        return ARGOSY_CODEC_KEPT;
    const struct codec_key *key = NULL;
    int code = find_key(ring, payload, &key, err);
    if (code < 0)
        return code;
    if (payload->size < AES_GCM_NONCE_SIZE + AES_GCM_TAG_SIZE || payload->size > AES_GCM_SIZE_MAX)
        return argosy_error_set(err, ARGOSY_ERR_CORRUPT, "%zu bytes are no encrypted payload",
                                payload->size);
    size_t plain_size = payload->size - AES_GCM_NONCE_SIZE - AES_GCM_TAG_SIZE;
    uint8_t *plain = arena_alloc(&arena->arena, plain_size);
    if (plain == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    const uint8_t *nonce = payload->data;
    if (!aes_gcm_unseal(key->secret, nonce, nonce + AES_GCM_NONCE_SIZE, plain_size, plain))
        return argosy_error_set(err, ARGOSY_ERR_CORRUPT,
                                "it was changed, or key \"%s\" is not the one it was made with",
                                key->id);
    return payload_codec_unpack(plain, plain_size, &arena->arena, ret_payload, error_inside(err));
}

/* ---- the ring ---- */

static void ring_close(void *user_data)
{
    struct key_ring *ring = user_data;
    explicit_bzero(ring->keys, ring->count * sizeof ring->keys[0]);
    free(ring);
}

static int ring_fill(struct key_ring *ring, const char *const *key_files, size_t count,
                     struct error *err)
{
    for (; ring->count < count; ring->count++) {
        struct codec_key *key = &ring->keys[ring->count];
        int code = codec_key_read(key_files[ring->count], key, err);
        if (code < 0)
            return code;
        for (size_t i = 0; i < ring->count; i++) {
            if (strcmp(ring->keys[i].id, key->id) == 0)
                return error_set(err, ERR_CONFIG, "%s and %s hold keys of the same id \"%s\"",
                                 key_files[i], key_files[ring->count], key->id);
        }
    }
    return 0;
}

int argosy_codecs_add_aes_gcm(struct argosy_codecs *codecs, const char *const *key_files,
                              size_t key_file_count, struct argosy_error *err)
{
    if (key_file_count == 0 || key_file_count > KEYS_MAX)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "aes-gcm needs 1 to %d key files",
                                KEYS_MAX);
    struct key_ring *ring = calloc(1, sizeof *ring + key_file_count * sizeof ring->keys[0]);
    if (ring == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    int code = ring_fill(ring, key_files, key_file_count, error_inside(err));
    if (code == 0)
        code = argosy_codecs_add(codecs,
                                 &(struct argosy_codec){.name = "aes-gcm",
                                                        .encode = aes_gcm_encode,
                                                        .decode = aes_gcm_decode,
                                                        .user_data = ring,
                                                        .close = ring_close,
                                                        .hides_failures = true},
                                 err);
    if (code < 0) {
        ring->count = key_file_count; /* wipe what was read last, too */
        ring_close(ring);
    }
    return code;
}
