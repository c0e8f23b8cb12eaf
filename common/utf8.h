/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8: is a piece of memory well-formed UTF-8 (RFC 3629: shortest forms, no surrogates, at most
 * U+10FFFF)? A NUL counts as a character. Threading: any thread; no state.
 */
#ifndef ARGOSY_COMMON_UTF8_H
#define ARGOSY_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool utf8_is_valid(const void *data, size_t size);

#endif
