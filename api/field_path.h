/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field_path: where in a message something is wrong: "Failure.cause.message". One link per nested
 * message, on the stack of whoever walks the message; put together only when an error is set.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_API_FIELD_PATH_H
#define ARGOSY_API_FIELD_PATH_H

#include <protobuf-c/protobuf-c.h>

#include "common/error.h"

struct field_path {
    const struct field_path *parent;              /* NULL: the outermost message */
    const ProtobufCMessageDescriptor *descriptor; /* of the outermost message */
    const ProtobufCFieldDescriptor *field;        /* NULL: the message itself */
    unsigned depth;                               /* 1: the outermost message */
};

/* Sets err to "PATH: reason"; returns code. */
int field_path_fail(const struct field_path *path, struct error *err, int code, const char *reason);

#endif
