/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8: strict UTF-8 (RFC 3629: shortest forms, no surrogates, at most U+10FFFF). A NUL counts as a
 * character. Threading: any thread; no state.
 */
#ifndef ARGOSY_COMMON_UTF8_H
#define ARGOSY_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_is_valid(const void *data, size_t size);

/* Decodes the character at text, of which size bytes may be read; returns how many bytes it has, 0
 * when size is 0 or the bytes are malformed. */
size_t utf8_decode(const char *text, size_t size, uint32_t *ret_point);

#endif
