/* SPDX-License-Identifier: Apache-2.0 */
/* task_token: see task_token.h. */
#include "engine/task_token.h"

#include <string.h>

#include "engine/message.h"

#define VERSION     1
#define RUN_ID_SIZE (UUID_TEXT_SIZE - 1)
#define TOKEN_SIZE  (2 + RUN_ID_SIZE + 8 + 4 + 4)

static uint8_t *put(uint8_t *place, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        place[i] = (uint8_t)(value >> (8 * i));
    return place + bytes;
}

static uint64_t get(const uint8_t *place, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)place[i] << (8 * i);
    return value;
}

ProtobufCBinaryData task_token_encode(const struct task_token *token, struct arena *arena)
{
    uint8_t bytes[TOKEN_SIZE] = {VERSION, (uint8_t)token->kind};
    memcpy(bytes + 2, token->run_id, RUN_ID_SIZE);
    uint8_t *place = put(bytes + 2 + RUN_ID_SIZE, (uint64_t)token->id, 8);
    place = put(place, (uint32_t)token->attempt, 4);
    put(place, (uint32_t)token->dispatch, 4);
    return (ProtobufCBinaryData){.len = sizeof bytes,
                                 .data = memory_copy(arena, bytes, sizeof bytes)};
}

int task_token_decode(ProtobufCBinaryData data, struct task_token *ret_token, struct error *err)
{
    if (data.len != TOKEN_SIZE || data.data[0] != VERSION || data.data[1] < TASK_WORKFLOW ||
        data.data[1] > TASK_QUERY)
        return error_set(err, ERR_INVALID, "task token is malformed");
    struct task_token token = {.kind = (enum task_kind)data.data[1]};
    memcpy(token.run_id, data.data + 2, RUN_ID_SIZE);
    token.id = (int64_t)get(data.data + 2 + RUN_ID_SIZE, 8);
    token.attempt = (int32_t)get(data.data + 2 + RUN_ID_SIZE + 8, 4);
    token.dispatch = (int32_t)get(data.data + 2 + RUN_ID_SIZE + 12, 4);
    *ret_token = token;
    return 0;
}
