/* SPDX-License-Identifier: Apache-2.0 */
/* hasher: see hasher.h. */
#include "storage/hasher.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "common/assert.h"

struct hasher {
    EVP_MD_CTX *context;
};

static void hasher_begin(struct hasher *hasher)
{
    /* SHA-256 is in every build of the library; what it needs was allocated with the context. */
    ASSERT(EVP_DigestInit_ex(hasher->context, EVP_sha256(), NULL) == 1);
}

struct hasher *hasher_create(void)
{
    struct hasher *hasher = calloc(1, sizeof *hasher);
    if (hasher == NULL)
        return NULL;
    hasher->context = EVP_MD_CTX_new();
    if (hasher->context == NULL) {
        free(hasher);
        return NULL;
    }
    hasher_begin(hasher);
    return hasher;
}

void hasher_destroy(struct hasher *hasher)
{
    if (hasher == NULL)
        return;
    EVP_MD_CTX_free(hasher->context);
    free(hasher);
}

void hasher_add(struct hasher *hasher, const void *data, size_t size)
{
    ASSERT(EVP_DigestUpdate(hasher->context, data, size) == 1);
}

void hasher_finish(struct hasher *hasher, uint8_t ret_digest[DIGEST_SIZE])
{
    ASSERT(EVP_DigestFinal_ex(hasher->context, ret_digest, NULL) == 1);
    hasher_begin(hasher);
}
