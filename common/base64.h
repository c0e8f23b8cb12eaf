/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64: bytes as text and back (RFC 4648, section 4: with padding). Threading: any thread; no
 * state.
 */
#ifndef ARGOSY_COMMON_BASE64_H
#define ARGOSY_COMMON_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"

/* The text of size bytes, ended by NUL; NULL when the arena is exhausted. */
char *base64_encode(struct arena *arena, const uint8_t *data, size_t size);

enum base64_result { BASE64_OK, BASE64_MALFORMED, BASE64_NO_MEMORY };

/* The bytes of text, which is length characters long: standard or URL-safe alphabet, with padding
 * or without. */
enum base64_result base64_decode(struct arena *arena, const char *text, size_t length,
                                 uint8_t **ret_data, size_t *ret_size);

#endif
