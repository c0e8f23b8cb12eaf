/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_message: messages of any type with random content, from a seed; and the list of all
 * message types that the method table and the error details can carry. Threading: one thread per
 * struct random.
 */
#ifndef ARGOSY_TESTS_RANDOM_MESSAGE_H
#define ARGOSY_TESTS_RANDOM_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"

struct random {
    uint64_t state;
};

uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t bound);

/* A message in arena; nested at most depth deep. Every field is there with a chance of one half,
 * all edge values of each type turn up. */
ProtobufCMessage *random_message(struct random *random, struct arena *arena,
                                 const ProtobufCMessageDescriptor *descriptor, unsigned depth);

#define MESSAGE_TYPES_MAX 512

/* Every reachable message type; returns how many. */
size_t message_types(const ProtobufCMessageDescriptor *ret_types[MESSAGE_TYPES_MAX]);

#endif
