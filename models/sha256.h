/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256: SHA-256 of what a descriptor or memory holds. Stands alone, because OpenSSL's headers
 * have a type ERR_STATE and common/error.h an error of that name. Threading: any thread; no state.
 */
#ifndef ARGOSY_MODELS_SHA256_H
#define ARGOSY_MODELS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

/* From where fd stands to its end. 0, or -1 when reading or the library failed. */
int sha256_of(int fd, uint8_t ret_digest[SHA256_SIZE]);

/* Of size bytes at data. 0, or -1 when the library failed. */
int sha256_of_bytes(const void *data, size_t size, uint8_t ret_digest[SHA256_SIZE]);

#endif
