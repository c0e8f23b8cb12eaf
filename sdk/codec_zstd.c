/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec_zstd: the codec "zstd" (include/argosy/codec.h): binary/zstd holds one zstd frame of the
 * payload's protobuf encoding. The frame must say its size, so that memory is bounded before it is
 * spent. Threading: any thread; zstd's contexts live for one call.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/limits.h"
#include "sdk/arena.h"
#include "sdk/error.h"
#include "sdk/payload_codec.h"

#define ZSTD_ENCODING "binary/zstd"

/* Below this, a JSON document gains less than the 60 bytes that another layer costs. */
#define MIN_SIZE_DEFAULT 256
#define LEVEL_DEFAULT    3
#define LEVEL_MAX        19

/* A payload's bytes and metadata, unpacked. */
#define UNPACKED_MAX (LIMIT_PAYLOAD_SIZE + 64 * LIMIT_KIB)

struct zstd {
    int level;
    size_t min_size;
};

static int zstd_encode(void *user_data, const struct argosy_payload *payload,
                       struct argosy_arena *arena, struct argosy_payload *ret_payload,
                       struct argosy_error *err)
{
    const struct zstd *zstd = user_data;
    if (payload->size < zstd->min_size)
        return ARGOSY_CODEC_KEPT;
    const uint8_t *plain;
    size_t plain_size;
    int code = payload_codec_pack(payload, &arena->arena, &plain, &plain_size, error_inside(err));
    if (code < 0)
        return code;
    if (plain_size > UNPACKED_MAX)
        return argosy_error_set(err, ARGOSY_ERR_LIMIT, "%zu bytes are over the limit of %zu",
                                plain_size, UNPACKED_MAX);
    size_t room = ZSTD_compressBound(plain_size);
    void *packed = arena_alloc(&arena->arena, room);
    if (packed == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    size_t packed_size = ZSTD_compress(packed, room, plain, plain_size, zstd->level);
    if (ZSTD_isError(packed_size))
        return argosy_error_set(err, ARGOSY_ERR_FAILED, "%s", ZSTD_getErrorName(packed_size));
    if (packed_size >= payload->size)
        return ARGOSY_CODEC_KEPT;
    *ret_payload =
        (struct argosy_payload){.encoding = ZSTD_ENCODING, .data = packed, .size = packed_size};
    return 0;
}

static int zstd_decode(void *user_data, const struct argosy_payload *payload,
                       struct argosy_arena *arena, struct argosy_payload *ret_payload,
                       struct argosy_error *err)
{
    (void)user_data;
    if (strcmp(payload->encoding, ZSTD_ENCODING) != 0)
        return ARGOSY_CODEC_KEPT;
    unsigned long long size = ZSTD_getFrameContentSize(payload->data, payload->size);
    if (size == ZSTD_CONTENTSIZE_ERROR)
        return argosy_error_set(err, ARGOSY_ERR_CORRUPT, "not a zstd frame");
    if (size == ZSTD_CONTENTSIZE_UNKNOWN)
        return argosy_error_set(err, ARGOSY_ERR_CORRUPT, "the frame does not say its size");
    if (size > UNPACKED_MAX)
        return argosy_error_set(err, ARGOSY_ERR_CORRUPT,
                                "the frame unpacks to %llu bytes, over the limit of %zu", size,
                                UNPACKED_MAX);
    uint8_t *plain = arena_alloc(&arena->arena, (size_t)size);
    if (plain == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    size_t plain_size = ZSTD_decompress(plain, (size_t)size, payload->data, payload->size);
    if (ZSTD_isError(plain_size))
        return argosy_error_set(err, ARGOSY_ERR_CORRUPT, "%s", ZSTD_getErrorName(plain_size));
    return payload_codec_unpack(plain, plain_size, &arena->arena, ret_payload, error_inside(err));
}

int argosy_codecs_add_zstd(struct argosy_codecs *codecs, const struct argosy_zstd_options *options,
                           struct argosy_error *err)
{
    static const struct argosy_zstd_options defaults;
    if (options == NULL)
        options = &defaults;
    if (options->level < 0 || options->level > LEVEL_MAX)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "the zstd level %d is not 1 to %d",
                                options->level, LEVEL_MAX);
    struct zstd *zstd = malloc(sizeof *zstd);
    if (zstd == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    zstd->level = options->level == 0 ? LEVEL_DEFAULT : options->level;
    zstd->min_size = options->min_size == 0 ? MIN_SIZE_DEFAULT : options->min_size;
    int code = argosy_codecs_add(codecs,
                                 &(struct argosy_codec){.name = "zstd",
                                                        .encode = zstd_encode,
                                                        .decode = zstd_decode,
                                                        .user_data = zstd,
                                                        .close = free},
                                 err);
    if (code < 0)
        free(zstd);
    return code;
}
