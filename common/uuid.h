/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uuid: random identifiers (RFC 9562 version 4) as text.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_COMMON_UUID_H
#define ARGOSY_COMMON_UUID_H

#include <stdint.h>

#define UUID_TEXT_SIZE 37 /* 36 characters and NUL */

/* Formats a version 4 uuid from 16 bytes of entropy that the caller brings (deterministic code is
 * handed its entropy); version and variant bits are set here. */
void uuid_format(const uint8_t entropy[16], char ret_text[UUID_TEXT_SIZE]);

/* A version 4 uuid from the system's random source. */
void uuid_create(char ret_text[UUID_TEXT_SIZE]);

#endif
