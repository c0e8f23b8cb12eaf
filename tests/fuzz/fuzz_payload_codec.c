/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_payload_codec: whatever bytes a payload says are compressed or encrypted, decoding gives a
 * payload or an error that names the codec. The first byte chooses: a zstd frame, a ciphertext, or
 * a payload's protobuf bytes, which are behind both and must survive being packed again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/assert.h"
#include "sdk/arena.h"
#include "sdk/payload_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct argosy_codecs *open_codecs(void)
{
    char path[] = "/tmp/argosy-fuzz-key-XXXXXX";
    int fd = mkstemp(path);
    ASSERT(fd >= 0);
    ASSERT(dprintf(fd, "key-id: k\nsecret-key: %064d\n", 0) > 0);
    close(fd);
    struct argosy_codecs *codecs = argosy_codecs_create();
    ASSERT(codecs != NULL && argosy_codecs_add_zstd(codecs, NULL, NULL) == 0);
    ASSERT(argosy_codecs_add_aes_gcm(codecs, (const char *[]){path}, 1, NULL) == 0);
    unlink(path);
    return codecs;
}

static void decode(const char *encoding, const uint8_t *data, size_t size, struct arena *arena)
{
    static struct argosy_codecs *codecs;
    if (codecs == NULL)
        codecs = open_codecs();
    struct argosy_metadata key_id = {"encryption-key-id", "k", 1};
    struct argosy_payload payload = {
        .encoding = encoding, .data = data, .size = size, .metadata = &key_id, .metadata_count = 1};
    struct argosy_payload decoded = {0};
    struct argosy_error err = {0};
    int code = argosy_codecs_decode(codecs, &payload, arena_public(arena), &decoded, &err);
    ASSERT(code == 0 ? decoded.encoding != NULL : strncmp(err.text, "codec \"", 7) == 0);
}

static void unpack(const uint8_t *data, size_t size, struct arena *arena)
{
    struct argosy_payload payload, again;
    const uint8_t *packed;
    size_t packed_size;
    if (payload_codec_unpack(data, size, arena, &payload, NULL) < 0)
        return;
    ASSERT(payload_codec_pack(&payload, arena, &packed, &packed_size, NULL) == 0);
    ASSERT(payload_codec_unpack(packed, packed_size, arena, &again, NULL) == 0);
    ASSERT(strcmp(again.encoding, payload.encoding) == 0);
    ASSERT(again.size == payload.size && again.metadata_count == payload.metadata_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    if (size > 0 && data[0] % 3 == 0)
        decode("binary/zstd", data + 1, size - 1, &arena);
    else if (size > 0 && data[0] % 3 == 1)
        decode("binary/encrypted", data + 1, size - 1, &arena);
    else if (size > 0)
        unpack(data + 1, size - 1, &arena);
    arena_fini(&arena);
    return 0;
}
