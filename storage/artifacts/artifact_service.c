/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_service: see artifact_service.h. */
#include "storage/artifacts/artifact_service.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/messages.h"
#include "common/clock.h"
#include "common/time_unit.h"
#include "storage/artifacts/artifact_reading.h"

/* Calls for digests with the same first bits wait for each other; more of these than threads. */
#define LOCK_COUNT 64

/* Artifacts of one page and owners that are told of each: with the longest names the reply is half
 * a message. */
#define PAGE_SIZE_MAX   256
#define PAGE_OWNERS_MAX 16

/* One call's share of reading what is put again. */
#define CHECK_NS NS_PER_S

struct artifact_service {
    struct artifact_store *store;
    struct catalog *catalog;
    struct artifact_readings *readings; /* of what is put again */
    pthread_mutex_t locks[LOCK_COUNT];
};

static pthread_mutex_t *lock_of(struct artifact_service *service, const struct digest *digest)
{
    return &service->locks[digest->bytes[DIGEST_SIZE - 1] % LOCK_COUNT];
}

static int fail_memory(struct error *err)
{
    return error_set(err, ERR_MEMORY, "no memory for a reply");
}

/* ---- putting and getting ---- */

/* What is there and put again is read first: a damaged content gives way to the sound one, and a
 * wrong size is the caller's mistake. Where that takes longer than one call, the caller asks again.
 */
static int check_stored(struct artifact_service *service, const struct digest *digest,
                        const struct artifact_part *part, struct artifact_progress *progress,
                        struct error *err)
{
    struct artifact_verdict verdict;
    uint64_t bytes = 0;
    int code = artifact_readings_go_on(service->readings, digest, clock_monotonic_ns() + CHECK_NS,
                                       &bytes, &verdict, err);
    if (code < 0)
        return code;
    if (code == 0) {
        progress->is_stored = false;
        return 0;
    }
    if (verdict.is_good)
        return verdict.size == part->size
                   ? 0
                   : error_set(err, ERR_INVALID,
                               "the artifact has %" PRIu64 " bytes, not %" PRIu64 " as was said",
                               verdict.size, part->size);
    code = service->store->ops->remove(service->store, digest, err);
    if (code != 0)
        return code;
    return service->store->ops->put(service->store, digest, part, progress, err);
}

/* The content first, then who owns it: one without the other is never acknowledged. */
static int put(struct artifact_service *service, const struct digest *digest,
               const struct artifact_part *part, const char *owner,
               struct artifact_progress *ret_progress, struct error *err)
{
    pthread_mutex_lock(lock_of(service, digest));
    int code = service->store->ops->put(service->store, digest, part, ret_progress, err);
    if (code == 0 && ret_progress->is_stored && !ret_progress->is_new)
        code = check_stored(service, digest, part, ret_progress, err);
    if (code == 0 && ret_progress->is_stored)
        code = artifact_catalog_add(service->catalog, digest, part->size, owner, err);
    pthread_mutex_unlock(lock_of(service, digest));
    return code;
}

static int handle_put(void *context, const struct storage_request *request,
                      ProtobufCMessage **ret_response, struct error *err)
{
    const Api__PutArtifactRequest *message = (const Api__PutArtifactRequest *)request->message;
    const struct artifact_part part = {.size = message->size,
                                       .offset = message->offset,
                                       .data = message->data.data,
                                       .length = message->data.len};
    struct digest digest;
    struct artifact_progress progress = {0};
    Api__PutArtifactResponse *response = arena_alloc(request->arena, sizeof *response);
    if (response == NULL)
        return fail_memory(err);
    int code = digest_of_id(message->artifact_id, &digest, err);
    if (code == 0)
        code = artifact_owner_check(message->owner, err);
    if (code == 0)
        code = put(context, &digest, &part, message->owner, &progress, err);
    if (code != 0)
        return code;
    api__put_artifact_response__init(response);
    response->has_received = true;
    response->received = progress.received;
    response->has_stored = true;
    response->stored = progress.is_stored;
    *ret_response = &response->base;
    return 0;
}

static int handle_get(void *context, const struct storage_request *request,
                      ProtobufCMessage **ret_response, struct error *err)
{
    const Api__GetArtifactRequest *message = (const Api__GetArtifactRequest *)request->message;
    struct artifact_service *service = context;
    struct digest digest;
    size_t wanted = message->length < ARTIFACT_PART_SIZE ? message->length : ARTIFACT_PART_SIZE;
    size_t length;
    uint64_t size;
    Api__GetArtifactResponse *response = arena_alloc(request->arena, sizeof *response);
    uint8_t *data = arena_alloc(request->arena, wanted);
    if (response == NULL || data == NULL)
        return fail_memory(err);
    int code = digest_of_id(message->artifact_id, &digest, err);
    if (code == 0)
        code = service->store->ops->read(service->store, &digest, message->offset, data, wanted,
                                         &length, &size, err);
    if (code != 0)
        return code;
    api__get_artifact_response__init(response);
    response->has_size = true;
    response->size = size;
    response->has_data = true;
    response->data = (ProtobufCBinaryData){.data = data, .len = length};
    *ret_response = &response->base;
    return 0;
}

/* ---- owners ---- */

static int handle_keep(void *context, const struct storage_request *request,
                       ProtobufCMessage **ret_response, struct error *err)
{
    static Api__KeepArtifactResponse response = API__KEEP_ARTIFACT_RESPONSE__INIT;
    const Api__KeepArtifactRequest *message = (const Api__KeepArtifactRequest *)request->message;
    struct artifact_service *service = context;
    struct digest digest;
    int code = digest_of_id(message->artifact_id, &digest, err);
    if (code == 0)
        code = artifact_owner_check(message->owner, err);
    if (code == 0)
        code = artifact_catalog_keep(service->catalog, &digest, message->owner, err);
    *ret_response = &response.base;
    return code;
}

static int handle_release(void *context, const struct storage_request *request,
                          ProtobufCMessage **ret_response, struct error *err)
{
    static Api__ReleaseArtifactResponse response = API__RELEASE_ARTIFACT_RESPONSE__INIT;
    const Api__ReleaseArtifactRequest *message =
        (const Api__ReleaseArtifactRequest *)request->message;
    struct artifact_service *service = context;
    struct digest digest;
    int code = digest_of_id(message->artifact_id, &digest, err);
    if (code == 0)
        code = artifact_owner_check(message->owner, err);
    if (code == 0)
        code = artifact_catalog_release(service->catalog, &digest, message->owner, err);
    *ret_response = &response.base;
    return code;
}

/* ---- listing ---- */

Api__ArtifactInfo *artifact_service_info(const struct catalog_artifact *artifact,
                                         struct arena *arena)
{
    Api__ArtifactInfo *info = arena_alloc(arena, sizeof *info);
    char *id = arena_alloc(arena, ARTIFACT_ID_SIZE);
    if (info == NULL || id == NULL)
        return NULL;
    api__artifact_info__init(info);
    info->artifact_id = digest_to_id(&artifact->digest, id);
    info->has_size = true;
    info->size = artifact->size;
    info->has_created_utc_us = true;
    info->created_utc_us = artifact->created_utc_us;
    info->has_unowned_utc_us = true;
    info->unowned_utc_us = artifact->unowned_utc_us;
    info->owners = artifact->owners;
    info->n_owners = artifact->owner_count;
    return info;
}

int artifact_service_after(const char *text, struct digest *digest, const struct digest **ret_after,
                           struct error *err)
{
    bool is_start = text == NULL || text[0] == '\0';
    int code = is_start ? 0 : digest_of_id(text, digest, err);
    if (code == 0)
        *ret_after = is_start ? NULL : digest;
    return code;
}

static int handle_list(void *context, const struct storage_request *request,
                       ProtobufCMessage **ret_response, struct error *err)
{
    const Api__ListArtifactsRequest *message = (const Api__ListArtifactsRequest *)request->message;
    struct artifact_service *service = context;
    struct digest digest;
    const struct digest *after;
    struct catalog_artifact *artifacts;
    size_t wanted = message->page_size > 0 && message->page_size < PAGE_SIZE_MAX
                        ? message->page_size
                        : PAGE_SIZE_MAX;
    size_t count;
    int code = artifact_service_after(message->after, &digest, &after, err);
    if (code == 0)
        code = artifact_catalog_list(service->catalog, after, wanted, PAGE_OWNERS_MAX,
                                     request->arena, &artifacts, &count, err);
    if (code != 0)
        return code;
    Api__ListArtifactsResponse *response = arena_alloc(request->arena, sizeof *response);
    Api__ArtifactInfo **infos = arena_calloc(request->arena, count, sizeof *infos);
    if (response == NULL || infos == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        infos[i] = artifact_service_info(&artifacts[i], request->arena);
        if (infos[i] == NULL)
            return fail_memory(err);
    }
    api__list_artifacts_response__init(response);
    response->artifacts = infos;
    response->n_artifacts = count;
    *ret_response = &response->base;
    return 0;
}

/* ---- removing ---- */

int artifact_service_remove(struct artifact_service *service, const struct digest *digest,
                            int64_t revision, bool *ret_removed, struct error *err)
{
    bool is_removed = false;
    pthread_mutex_lock(lock_of(service, digest));
    int code = artifact_catalog_remove(service->catalog, digest, revision, &is_removed, err);
    if (code == 0 && is_removed)
        code = service->store->ops->remove(service->store, digest, err);
    pthread_mutex_unlock(lock_of(service, digest));
    if (code == 0)
        *ret_removed = is_removed;
    return code;
}

/* ---- opening and closing ---- */

static int enter(void *context, const struct digest *digest, uint64_t size, struct error *err)
{
    struct artifact_service *service = context;
    bool is_known;
    int code = artifact_catalog_has(service->catalog, digest, &is_known, err);
    if (code == 0 && !is_known)
        code = artifact_catalog_add(service->catalog, digest, size, NULL, err);
    return code;
}

int artifact_service_open(struct artifact_store *store, struct catalog *catalog,
                          struct artifact_service **ret_service, struct error *err)
{
    struct artifact_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return error_set(err, ERR_MEMORY, "no memory for artifacts");
    service->store = store;
    service->catalog = catalog;
    for (size_t i = 0; i < LOCK_COUNT; i++)
        pthread_mutex_init(&service->locks[i], NULL);
    int code = artifact_readings_create(store, &service->readings, err);
    if (code == 0)
        code = store->ops->scan(store, enter, service, err);
    if (code != 0) {
        artifact_service_close(service);
        return code;
    }
    *ret_service = service;
    return 0;
}

void artifact_service_close(struct artifact_service *service)
{
    if (service == NULL)
        return;
    for (size_t i = 0; i < LOCK_COUNT; i++)
        pthread_mutex_destroy(&service->locks[i]);
    artifact_readings_destroy(service->readings);
    free(service);
}

struct storage_service artifact_service_table(struct artifact_service *service)
{
    static const struct storage_handler handlers[] = {
        {METHOD_PUT_ARTIFACT, handle_put},    {METHOD_GET_ARTIFACT, handle_get},
        {METHOD_KEEP_ARTIFACT, handle_keep},  {METHOD_RELEASE_ARTIFACT, handle_release},
        {METHOD_LIST_ARTIFACTS, handle_list},
    };
    return (struct storage_service){.handlers = handlers,
                                    .handler_count = sizeof handlers / sizeof handlers[0],
                                    .context = service};
}
