/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_ring: the latest lines of a process, up to a bound in bytes; older ones make room.
 *
 * Threading: one thread. A ring whose end is 0 is empty, and the rest of it is not looked at: it
 * costs no memory until something is added.
 */
#ifndef ARGOSY_SUPERVISOR_LOG_RING_H
#define ARGOSY_SUPERVISOR_LOG_RING_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* A sanitizer's report fits, or 200 records. */
#define LOG_RING_SIZE 32768

struct log_ring {
    uint64_t end; /* of all bytes that were ever added */
    char bytes[LOG_RING_SIZE];
};

/* Adds bytes; the last of a line is its line feed. */
void log_ring_add(struct log_ring *ring, const char *bytes, size_t size);

/* Appends the lines that are whole. Nothing may have been left without its line feed. */
void log_ring_print(const struct log_ring *ring, struct buffer *out);

#endif
