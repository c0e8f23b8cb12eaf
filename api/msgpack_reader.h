/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack_reader: reads msgpack items one after the other from bytes that nobody vouches for.
 *
 * msgpack-c's unpacker builds a tree of everything before anyone may look (an allocation per
 * container, a fixed depth of 32), where the schema knows what comes next and most items are a byte
 * or two. Reading item by item needs no memory, copies nothing, and every length is checked against
 * what is there.
 *
 * Spec: the msgpack format, https://github.com/msgpack/msgpack/blob/master/spec.md; every form of
 * each type is accepted. Threading: any thread; no state outside the reader. Cannot crash.
 */
#ifndef ARGOSY_API_MSGPACK_READER_H
#define ARGOSY_API_MSGPACK_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum msgpack_type {
    MSGPACK_NIL,
    MSGPACK_BOOL,
    MSGPACK_UNSIGNED, /* any integer >= 0, however it was written */
    MSGPACK_NEGATIVE,
    MSGPACK_FLOAT,
    MSGPACK_STR,
    MSGPACK_BIN,
    MSGPACK_EXT,
    MSGPACK_ARRAY,
    MSGPACK_MAP,
};

struct msgpack_item {
    enum msgpack_type type;
    union {
        bool boolean;
        uint64_t number;  /* MSGPACK_UNSIGNED */
        int64_t negative; /* MSGPACK_NEGATIVE */
        double real;      /* MSGPACK_FLOAT */
        struct {
            const uint8_t *data; /* borrowed from the input */
            uint32_t size;
        } bytes;        /* MSGPACK_STR, MSGPACK_BIN, MSGPACK_EXT */
        uint32_t count; /* MSGPACK_ARRAY: elements that follow; MSGPACK_MAP: pairs that follow */
    };
};

struct msgpack_reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* Reads the next item; the elements of an array or map are items of their own. False, with the
 * reader where it was and *ret_item undefined, when the input ends inside the item or the byte is
 * no msgpack. A count is never greater than the bytes that are left, so that it may size an
 * allocation. */
bool msgpack_read(struct msgpack_reader *reader, struct msgpack_item *ret_item);

/* Skips one value with all it contains; any depth, no recursion. False as above. */
bool msgpack_skip(struct msgpack_reader *reader);

/* "array", "string" ... for messages. */
const char *msgpack_type_name(enum msgpack_type type);

#endif
