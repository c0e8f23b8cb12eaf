/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_codec: any bytes give a message or an error. The first byte picks the message type, the rest
 * is its encoding. What decodes must encode, and that encoding decode to the same bytes again.
 */
#include <string.h>

#include "api/codec.h"
#include "api/messages.h"
#include "common/assert.h"
#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &api__respond_workflow_task_completed_request__descriptor, /* commands: every payload holder */
    &api__history__descriptor,                                 /* every event */
    &api__poll_activity_task_queue_request__descriptor,
    &api__respond_activity_task_completed_request__descriptor,
    &api__start_workflow_execution_request__descriptor,
    &api__failure__descriptor, /* recursive */
    &api__hello_request__descriptor,
    &api__describe_task_queue_response__descriptor, /* floats, map by number */
};

static void check_round_trip(const ProtobufCMessage *message)
{
    struct arena arena;
    arena_init(&arena, LIMIT_DECODED_SIZE);
    struct buffer first = {0};
    struct buffer second = {0};
    ProtobufCMessage *again;
    /* An encoding is at most as long as what was decoded: floats may grow from 4 to 8 bytes. */
    if (codec_encode(message, &first, NULL) == 0) {
        ASSERT(codec_decode(message->descriptor, first.data, first.size, &arena, &again, NULL) ==
               0);
        ASSERT(codec_encode(again, &second, NULL) == 0);
        ASSERT(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    }
    buffer_fini(&first);
    buffer_fini(&second);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena arena;
    arena_init(&arena, LIMIT_DECODED_SIZE);
    ProtobufCMessage *message = NULL;
    struct error err = {0};
    const ProtobufCMessageDescriptor *type = types[data[0] % (sizeof types / sizeof types[0])];
    int rc = codec_decode(type, data + 1, size - 1, &arena, &message, &err);
    if (rc == 0) {
        check_round_trip(message);
        ASSERT(codec_copy(message, &arena) != NULL || arena.used > arena.limit / 2);
    } else {
        ASSERT(message == NULL && err.code == rc && err.text[0] != '\0');
    }
    arena_fini(&arena);
    return 0;
}
