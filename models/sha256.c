/* SPDX-License-Identifier: Apache-2.0 */
/* sha256: see sha256.h. */
#include "models/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>

/* A system call per megabyte: below a hundredth of the time that hashing it takes. */
#define CHUNK_SIZE ((size_t)1 << 20)

static int update_all(EVP_MD_CTX *context, int fd, uint8_t *chunk)
{
    for (;;) {
        ssize_t count = read(fd, chunk, CHUNK_SIZE);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return (int)count;
        if (EVP_DigestUpdate(context, chunk, (size_t)count) != 1)
            return -1;
    }
}

int sha256_of(int fd, uint8_t ret_digest[SHA256_SIZE])
{
    uint8_t *chunk = malloc(CHUNK_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int result = -1;
    if (chunk != NULL && context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
        update_all(context, fd, chunk) == 0 && EVP_DigestFinal_ex(context, ret_digest, NULL) == 1)
        result = 0;
    EVP_MD_CTX_free(context);
    free(chunk);
    return result;
}

int sha256_of_bytes(const void *data, size_t size, uint8_t ret_digest[SHA256_SIZE])
{
    return EVP_Digest(data, size, ret_digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}
