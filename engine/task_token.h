/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_token: the opaque bytes that name one handing-out of one task.
 *
 * A token is answered once: a completion counts only while the run, the event, the attempt and the
 * dispatch it names are still the current ones. Layout: version, kind, run id (36 bytes), event id
 * or query id (8), attempt (4), dispatch (4), little-endian.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_ENGINE_TASK_TOKEN_H
#define ARGOSY_ENGINE_TASK_TOKEN_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/uuid.h"
#include "engine/task.h"

struct task_token {
    enum task_kind kind;
    char run_id[UUID_TEXT_SIZE];
    int64_t
        id; /* of the event that started a workflow task or scheduled an activity, or query id */
    int32_t attempt;
    int32_t dispatch; /* of a workflow task: workflow_task_dispatch_number */
};

ProtobufCBinaryData task_token_encode(const struct task_token *token, struct arena *arena);

/* ERR_INVALID when the bytes are no token. */
int task_token_decode(ProtobufCBinaryData data, struct task_token *ret_token, struct error *err);

#endif
