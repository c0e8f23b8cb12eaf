/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec_key: a key of the codec "aes-gcm" and the file it lives in:
 *
 *     key-id: 4f1d2c3b5a697887
 *     secret-key: 64 hexadecimal digits
 *
 * Lines that begin with "#" and empty ones are skipped. A file that others may read is refused
 * (common/secret_file.h). Threading: none.
 */
#ifndef ARGOSY_SDK_CODEC_KEY_H
#define ARGOSY_SDK_CODEC_KEY_H

#include <argosy/codec.h>
#include <stdint.h>

#include "common/error.h"
#include "sdk/aes_gcm.h"

struct codec_key {
    char id[ARGOSY_CODEC_KEY_ID_SIZE];
    uint8_t secret[AES_GCM_KEY_SIZE];
};

/* ERR_NOT_FOUND, ERR_PERMISSION, ERR_CONFIG with file and line. The caller wipes *ret_key. */
int codec_key_read(const char *path, struct codec_key *ret_key, struct error *err);

#endif
