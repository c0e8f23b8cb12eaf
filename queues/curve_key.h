/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curve_key: CURVE keys in files (docs/spec/01-wire.md, section 2).
 *
 * A key file is text: lines `public-key: <40 characters of Z85>` and, in the owner's own file only,
 * `secret-key: <40 characters of Z85>`; empty lines and lines that begin with # are skipped. A file
 * with a secret key must be closed to others (common/secret_file.h). A folder of authorized keys
 * holds one public key file per client; names that begin with a dot are skipped.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_QUEUES_CURVE_KEY_H
#define ARGOSY_QUEUES_CURVE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define CURVE_KEY_TEXT_SIZE 41 /* 40 characters of Z85 and NUL */

struct curve_key {
    char public_key[CURVE_KEY_TEXT_SIZE];
    char secret_key[CURVE_KEY_TEXT_SIZE]; /* "" in a public key file */
};

/* A new key pair from libzmq's generator. ERR_UNSUPPORTED when libzmq was built without CURVE. */
int curve_key_create(struct curve_key *ret_key, struct error *err);

/* Writes <path> (mode 0600, both keys) and <path>.pub (the public one). ERR_EXISTS where either
 * exists, ERR_IO. */
int curve_key_write(const struct curve_key *key, const char *path, struct error *err);

/* ERR_NOT_FOUND, ERR_PERMISSION (a secret that others may read), ERR_CONFIG with file and line. */
int curve_key_read(const char *path, struct curve_key *ret_key, struct error *err);

/* The same, and ERR_CONFIG when the file holds no secret key. */
int curve_key_read_pair(const char *path, struct curve_key *ret_key, struct error *err);

/* Is public_key in one of the files of folder? Files that cannot be read authorize nobody.
 * ERR_CONFIG when the folder cannot be read. */
int curve_key_is_authorized(const char *folder, const char *public_key, bool *ret_authorized,
                            struct error *err);

#endif
