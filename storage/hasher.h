/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hasher: SHA-256 of bytes that come one after the other. Apart from digest.h because the names of
 * OpenSSL's headers and the project's error codes clash.
 *
 * Threading: a hasher belongs to one thread at a time.
 */
#ifndef ARGOSY_STORAGE_HASHER_H
#define ARGOSY_STORAGE_HASHER_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

struct hasher;

/* NULL when memory is exhausted. */
struct hasher *hasher_create(void);
void hasher_destroy(struct hasher *hasher); /* NULL is fine */

void hasher_add(struct hasher *hasher, const void *data, size_t size);

/* The digest of all that was added; the hasher starts over. */
void hasher_finish(struct hasher *hasher, uint8_t ret_digest[DIGEST_SIZE]);

#endif
