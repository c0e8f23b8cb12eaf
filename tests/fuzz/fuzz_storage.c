/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_storage: what the storage process reads from its disk and from the wire. The first byte says
 * what lies in the volume when it opens: nothing (0), a catalog of the bytes that follow (1), a
 * file of that name among the contents and the uploads (2). Then, unless the volume was refused,
 * requests: a byte for the method, two for the length, the body. Each is answered with its
 * response, which can be encoded, or refused with a text.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/codec.h"
#include "api/messages.h"
#include "common/assert.h"
#include "common/limits.h"
#include "storage/artifacts/artifact_service.h"
#include "storage/artifacts/artifact_verifier.h"
#include "storage/registry/model_service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERVICE_COUNT 3
#define REQUESTS_MAX  32

struct volume {
    char folder[64];
    struct artifact_store *store;
    struct catalog *catalog;
    struct artifact_service *artifacts;
    struct artifact_verifier *verifier;
    struct storage_service services[SERVICE_COUNT];
};

/* ---- the disk ---- */

static void write_file(const struct volume *volume, const char *name, const uint8_t *data,
                       size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", volume->folder, name);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return; /* no name for a file */
    ASSERT(fwrite(data, 1, size, file) == size);
    ASSERT(fclose(file) == 0);
}

static void write_named(const struct volume *volume, const uint8_t *name, size_t size)
{
    static const char *const folders[] = {"artifacts", "artifacts/9f", "uploads"};
    char path[256];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", volume->folder, folders[i]);
        ASSERT(mkdir(path, 0700) == 0);
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        int length = snprintf(path, sizeof path, "%s/%.*s", folders[i],
                              (int)(size < 128 ? size : 128), (const char *)name);
        if (strchr(path + strlen(folders[i]) + 1, '/') == NULL)
            write_file(volume, path, (const uint8_t *)path, (size_t)length);
    }
}

static int open_services(struct volume *volume, struct error *err)
{
    char path[128];
    snprintf(path, sizeof path, "%s/storage.db", volume->folder);
    int code = artifact_store_open_files(volume->folder, &volume->store, err);
    if (code == 0)
        code = catalog_open(path, &volume->catalog, err);
    if (code == 0)
        code = artifact_service_open(volume->store, volume->catalog, &volume->artifacts, err);
    if (code == 0)
        code = artifact_verifier_create(volume->store, volume->catalog, &volume->verifier, err);
    if (code != 0)
        return code;
    volume->services[0] = artifact_service_table(volume->artifacts);
    volume->services[1] = artifact_verifier_table(volume->verifier);
    volume->services[2] = model_service_table(volume->catalog);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void close_volume(struct volume *volume)
{
    artifact_verifier_destroy(volume->verifier);
    artifact_service_close(volume->artifacts);
    catalog_close(volume->catalog);
    artifact_store_close(volume->store);
    nftw(volume->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the wire ---- */

/* The handler that a byte picks among those of all services. */
static const struct storage_handler *pick(const struct volume *volume, uint8_t byte,
                                          void **ret_context)
{
    size_t index = byte % 10;
    for (size_t i = 0; i < SERVICE_COUNT; i++) {
        const struct storage_service *service = &volume->services[i];
        if (index < service->handler_count) {
            *ret_context = service->context;
            return &service->handlers[index];
        }
        index -= service->handler_count;
    }
    ASSERT(!"ten handlers");
    return NULL;
}

static void call(const struct volume *volume, uint8_t byte, const uint8_t *body, size_t size,
                 struct arena *arena)
{
    void *context;
    const struct storage_handler *handler = pick(volume, byte, &context);
    const struct method_row *row = method_get((int)handler->method);
    struct storage_request request = {.arena = arena, .deadline_ns = UINT64_MAX};
    ProtobufCMessage *message;
    ProtobufCMessage *response = NULL;
    struct error err = {0};
    if (codec_decode(row->request, body, size, arena, &message, &err) != 0)
        return;
    request.message = message;
    int code = handler->handle(context, &request, &response, &err);
    if (code != 0) {
        ASSERT(code < 0 && err.text[0] != '\0');
        return;
    }
    struct buffer encoded = {0};
    ASSERT(response->descriptor == row->response);
    ASSERT(codec_encode(response, &encoded, &err) == 0);
    buffer_fini(&encoded);
}

static void call_all(const struct volume *volume, const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, LIMIT_DECODED_SIZE);
    for (int i = 0; i < REQUESTS_MAX && size >= 3; i++) {
        size_t length = data[1] | (size_t)data[2] << 8;
        if (length > size - 3)
            length = size - 3;
        arena_reset(&arena);
        call(volume, data[0], data + 3, length, &arena);
        data += 3 + length;
        size -= 3 + length;
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct volume volume = {.folder = "/tmp/argosy-fuzz-XXXXXX"};
    struct error err = {0};
    if (size == 0)
        return 0;
    ASSERT(mkdtemp(volume.folder) != NULL);
    if (data[0] == 1)
        write_file(&volume, "storage.db", data + 1, size - 1);
    else if (data[0] == 2)
        write_named(&volume, data + 1, size - 1);
    if (open_services(&volume, &err) == 0)
        call_all(&volume, data + 1, size - 1);
    else
        ASSERT(err.text[0] != '\0');
    close_volume(&volume);
    return 0;
}
