/* SPDX-License-Identifier: Apache-2.0 */
/* aes_gcm: see aes_gcm.h. */
#include "sdk/aes_gcm.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

bool aes_gcm_random(uint8_t *bytes, size_t count)
{
    return RAND_bytes(bytes, (int)count) == 1;
}

bool aes_gcm_seal(const uint8_t key[AES_GCM_KEY_SIZE], const uint8_t nonce[AES_GCM_NONCE_SIZE],
                  const uint8_t *plain, size_t size, uint8_t *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int length;
    bool is_done =
        context != NULL && EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_EncryptUpdate(context, out, &length, plain, (int)size) == 1 &&
        EVP_EncryptFinal_ex(context, out + length, &length) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AES_GCM_TAG_SIZE, out + size) == 1;
    EVP_CIPHER_CTX_free(context);
    return is_done;
}

bool aes_gcm_unseal(const uint8_t key[AES_GCM_KEY_SIZE], const uint8_t nonce[AES_GCM_NONCE_SIZE],
                    const uint8_t *sealed, size_t size, uint8_t *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int length;
    bool is_done = context != NULL &&
                   EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
                   EVP_DecryptUpdate(context, out, &length, sealed, (int)size) == 1 &&
                   EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AES_GCM_TAG_SIZE,
                                       (void *)(uintptr_t)(sealed + size)) == 1 &&
                   EVP_DecryptFinal_ex(context, out + length, &length) == 1;
    EVP_CIPHER_CTX_free(context);
    return is_done;
}
