/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_json: any JSON text is a request or an error that names the field; what was read is written.
 */
#include <string.h>

#include "api/json.h"
#include "api/messages.h"
#include "common/assert.h"
#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (json == NULL)
        return 0;
    static const ProtobufCMessageDescriptor *const types[] = {
        &api__start_workflow_execution_request__descriptor,
        &api__history__descriptor,
        &api__describe_task_queue_response__descriptor,
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct arena arena;
        arena_init(&arena, LIMIT_DECODED_SIZE);
        ProtobufCMessage *message;
        struct error err = {0};
        if (message_from_json(types[i], json, &arena, &message, &err) == 0) {
            json_t *written;
            ASSERT(message_to_json(message, MESSAGE_JSON_PAYLOADS_DECODED, &written, &err) == 0);
            json_decref(written);
        } else {
            ASSERT(strncmp(err.text, types[i]->short_name, strlen(types[i]->short_name)) == 0);
        }
        arena_fini(&arena);
    }
    json_decref(json);
    return 0;
}
