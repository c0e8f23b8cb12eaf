/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_vector_service: requests for vectors as they come from the wire, one after the other on an
 * empty store: each is a byte that picks the method, two bytes of size, and an encoded message.
 * Whatever they are, they are refused with a reason, or answered with a message that can be encoded
 * and fits in a reply.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/codec.h"
#include "common/assert.h"
#include "common/limits.h"
#include "storage/vectors/vector_service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void ask(const struct storage_service *service, const struct storage_handler *handler,
                const uint8_t *body, size_t size)
{
    struct arena arena;
    struct error err = {0};
    ProtobufCMessage *message, *response = NULL;
    const struct method_row *method = method_get(handler->method);
    arena_init(&arena, LIMIT_DECODED_SIZE);
    if (codec_decode(method->request, body, size, &arena, &message, &err) == 0) {
        const struct storage_request request = {.message = message, .arena = &arena};
        int code = handler->handle(service->context, &request, &response, &err);
        ASSERT(code == 0 || err.text[0] != '\0');
        /* Nothing is damaged or broken because somebody asked. */
        ASSERT(code != ERR_CORRUPT && code != ERR_STORAGE && code != ERR_MEMORY);
        struct buffer reply = {0};
        if (code == 0) {
            ASSERT(response->descriptor == method->response);
            ASSERT(codec_encode(response, &reply, &err) == 0);
            ASSERT(reply.size <= LIMIT_MESSAGE_SIZE);
        }
        buffer_fini(&reply);
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* In memory where that can be: each input flushes a new file many times. */
    char shared[] = "/dev/shm/argosy-fuzz-XXXXXX", plain[] = "/tmp/argosy-fuzz-XXXXXX";
    const char *folder = access("/dev/shm", W_OK) == 0 ? mkdtemp(shared) : mkdtemp(plain);
    ASSERT(folder != NULL);
    struct error err = {0};
    struct vector_store *store;
    const struct vector_store_options options = {
        .address = "sqlite", .folder = folder, .memory_bytes = 1 << 20, .thread_count = 1};
    ASSERT(vector_store_open(&options, &store, &err) == 0);
    const struct storage_service service = vector_service_table(store);
    while (size >= 3) {
        const struct storage_handler *handler = &service.handlers[data[0] % service.handler_count];
        size_t wanted = (size_t)data[1] << 8 | data[2], rest = size - 3;
        size_t body = wanted < rest ? wanted : rest;
        ask(&service, handler, data + 3, body);
        data += 3 + body;
        size = rest - body;
    }
    vector_store_close(store);
    ASSERT(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
    return 0;
}
