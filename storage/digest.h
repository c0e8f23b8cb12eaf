/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest: SHA-256, the name of an artifact's content, and its spellings.
 *
 * Threading: any thread; a hasher belongs to one at a time.
 */
#ifndef ARGOSY_STORAGE_DIGEST_H
#define ARGOSY_STORAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "storage/artifact.h"
#include "storage/hasher.h"

#define DIGEST_HEX_SIZE 65 /* with NUL */

struct digest {
    uint8_t bytes[DIGEST_SIZE];
};

/* Of "sha256:" and 64 lower-case hexadecimal digits. ERR_INVALID; a NULL id too. */
int digest_of_id(const char *id, struct digest *ret_digest, struct error *err);

/* Of 64 lower-case hexadecimal digits and nothing else: a file's name. */
bool digest_of_hex(const char *hex, struct digest *ret_digest);

/* Both return out. */
const char *digest_to_id(const struct digest *digest, char out[ARTIFACT_ID_SIZE]);
const char *digest_to_hex(const struct digest *digest, char out[DIGEST_HEX_SIZE]);

bool digest_equal(const struct digest *a, const struct digest *b);

/* The digest of all that was added; the hasher starts over. */
struct digest digest_of_hasher(struct hasher *hasher);

/* Adds size bytes of a file from its start. ERR_IO, also where the file is shorter; ERR_MEMORY. */
int digest_add_file(struct hasher *hasher, int fd, uint64_t size, struct error *err);

/* An owner is "workflow:", "model:" or "pin:" and a name, UTF-8 without control characters, at most
 * ARTIFACT_OWNER_MAX bytes. ERR_INVALID; a NULL owner too. */
int artifact_owner_check(const char *owner, struct error *err);

#endif
