/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aes_gcm: AES-256-GCM and random bytes, from OpenSSL's libcrypto. It stands alone because
 * OpenSSL's headers declare a type ERR_STATE and common/error.h an error of that name. Threading:
 * any thread; no state.
 */
#ifndef ARGOSY_SDK_AES_GCM_H
#define ARGOSY_SDK_AES_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AES_GCM_KEY_SIZE   32
#define AES_GCM_NONCE_SIZE 12
#define AES_GCM_TAG_SIZE   16
/* What libcrypto takes at once. */
#define AES_GCM_SIZE_MAX ((size_t)INT32_MAX)

/* Random bytes from the system's generator, good for keys and nonces. False when it has none. */
bool aes_gcm_random(uint8_t *bytes, size_t count);

/* Encrypts size bytes (at most AES_GCM_SIZE_MAX) to out, which has room for the tag behind them.
 * False when libcrypto fails. */
bool aes_gcm_seal(const uint8_t key[AES_GCM_KEY_SIZE], const uint8_t nonce[AES_GCM_NONCE_SIZE],
                  const uint8_t *plain, size_t size, uint8_t *out);

/* Decrypts size bytes, behind which the tag lies, to out. False when the tag does not fit: out then
 * holds nothing to be used. */
bool aes_gcm_unseal(const uint8_t key[AES_GCM_KEY_SIZE], const uint8_t nonce[AES_GCM_NONCE_SIZE],
                    const uint8_t *sealed, size_t size, uint8_t *out);

#endif
