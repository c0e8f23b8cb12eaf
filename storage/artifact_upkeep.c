/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_upkeep: storage/artifact_upkeep.h over calls to the storage process. */
#include "storage/artifact_upkeep.h"

#include <string.h>

#include "api/messages.h"
#include "common/limits.h"
#include "storage/storage_call.h"

/* What a reply of half a message decodes to. */
#define CALL_ARENA_SIZE (16 * LIMIT_MIB)

/* One walk through the artifacts, which goes on behind `after`. */
struct walk {
    struct storage_client *client;
    struct arena arena; /* of one call */
    char after[ARTIFACT_ID_SIZE];
};

static void walk_begin(struct walk *walk, struct storage_client *client)
{
    *walk = (struct walk){.client = client};
    arena_init(&walk->arena, CALL_ARENA_SIZE);
}

static int walk_call(struct walk *walk, enum method method, const ProtobufCMessage *request,
                     ProtobufCMessage **ret_response, struct error *err)
{
    arena_reset(&walk->arena);
    return storage_call(walk->client, method, request, &walk->arena, ret_response, err);
}

/* The walk has come to after, unless it is NULL or "". A storage process that goes back or stands
 * where it was is not followed for ever: is_same_fine where there is a reason to. */
static int walk_to(struct walk *walk, const char *after, bool is_same_fine, struct error *err)
{
    if (after == NULL || after[0] == '\0')
        after = walk->after;
    int order = strcmp(after, walk->after);
    if (order < 0 || (order == 0 && !is_same_fine) || strlen(after) >= sizeof walk->after)
        return error_set(err, ERR_PROTOCOL, "storage lists its artifacts out of order");
    memmove(walk->after, after, strlen(after) + 1);
    return 0;
}

static struct artifact_entry entry_of(const Api__ArtifactInfo *info)
{
    return (struct artifact_entry){
        .id = info->artifact_id != NULL ? info->artifact_id : "",
        .size = info->size,
        .created_utc_us = info->created_utc_us,
        .unowned_utc_us = info->unowned_utc_us,
        .owners = (const char *const *)info->owners,
        .owner_count = info->n_owners,
    };
}

/* ---- list ---- */

static int list_page(struct walk *walk, artifact_entry_fn *fn, void *context, bool *ret_more,
                     struct error *err)
{
    Api__ListArtifactsRequest request = API__LIST_ARTIFACTS_REQUEST__INIT;
    ProtobufCMessage *message;
    request.after = walk->after;
    int code = walk_call(walk, METHOD_LIST_ARTIFACTS, &request.base, &message, err);
    if (code != 0)
        return code;
    const Api__ListArtifactsResponse *response = (const Api__ListArtifactsResponse *)message;
    for (size_t i = 0; code == 0 && i < response->n_artifacts; i++) {
        struct artifact_entry entry = entry_of(response->artifacts[i]);
        code = walk_to(walk, entry.id, false, err);
        if (code == 0)
            code = fn(context, &entry, err);
    }
    *ret_more = response->n_artifacts > 0;
    return code;
}

int artifact_list(struct storage_client *client, artifact_entry_fn *fn, void *context,
                  struct error *err)
{
    struct walk walk;
    bool has_more = true;
    int code = 0;
    walk_begin(&walk, client);
    while (code == 0 && has_more)
        code = list_page(&walk, fn, context, &has_more, err);
    arena_fini(&walk.arena);
    return code;
}

/* ---- verify ---- */

static int verify_share(struct walk *walk, const struct artifact_verify_options *options,
                        uint64_t *count, uint64_t *bytes, bool *ret_more, struct error *err)
{
    Api__VerifyArtifactsRequest request = API__VERIFY_ARTIFACTS_REQUEST__INIT;
    ProtobufCMessage *message;
    request.after = walk->after;
    int code = walk_call(walk, METHOD_VERIFY_ARTIFACTS, &request.base, &message, err);
    if (code != 0)
        return code;
    const Api__VerifyArtifactsResponse *response = (const Api__VerifyArtifactsResponse *)message;
    for (size_t i = 0; code == 0 && options->on_damage != NULL && i < response->n_damages; i++) {
        const Api__ArtifactDamage *damage = response->damages[i];
        code = options->on_damage(options->context,
                                  damage->artifact_id != NULL ? damage->artifact_id : "",
                                  damage->reason != NULL ? damage->reason : "it is damaged", err);
    }
    *count += response->checked_count;
    *bytes += response->checked_bytes;
    if (code == 0 && options->on_progress != NULL)
        options->on_progress(options->progress_context, *bytes, 0);
    *ret_more = response->more;
    bool is_same_fine = !response->more || response->checked_bytes > 0;
    return code == 0 ? walk_to(walk, response->after, is_same_fine, err) : code;
}

int artifact_verify(struct storage_client *client, const struct artifact_verify_options *options,
                    uint64_t *ret_count, struct error *err)
{
    struct walk walk;
    uint64_t count = 0;
    uint64_t bytes = 0;
    bool has_more = true;
    int code = 0;
    walk_begin(&walk, client);
    while (code == 0 && has_more)
        code = verify_share(&walk, options, &count, &bytes, &has_more, err);
    arena_fini(&walk.arena);
    if (code == 0)
        *ret_count = count;
    return code;
}

/* ---- collect ---- */

static int collect_share(struct walk *walk, bool is_dry_run, artifact_collected_fn *fn,
                         void *context, struct artifact_collection *collection, bool *ret_more,
                         struct error *err)
{
    Api__CollectArtifactsRequest request = API__COLLECT_ARTIFACTS_REQUEST__INIT;
    ProtobufCMessage *message;
    request.after = walk->after;
    request.has_dry_run = true;
    request.dry_run = is_dry_run;
    int code = walk_call(walk, METHOD_COLLECT_ARTIFACTS, &request.base, &message, err);
    if (code != 0)
        return code;
    const Api__CollectArtifactsResponse *response = (const Api__CollectArtifactsResponse *)message;
    for (size_t i = 0; code == 0 && i < response->n_collected; i++) {
        const Api__CollectedArtifact *collected = response->collected[i];
        if (collected->artifact == NULL)
            return error_set(err, ERR_PROTOCOL, "storage collected an artifact without a name");
        struct artifact_entry entry = entry_of(collected->artifact);
        code = fn(context, &entry, collected->reason != NULL ? collected->reason : "", err);
    }
    collection->examined_count += response->examined_count;
    collection->undecided_count += response->undecided_count;
    *ret_more = response->more;
    return code == 0 ? walk_to(walk, response->after, !response->more, err) : code;
}

int artifact_collect(struct storage_client *client, bool is_dry_run, artifact_collected_fn *fn,
                     void *context, struct artifact_collection *ret_collection, struct error *err)
{
    struct walk walk;
    struct artifact_collection collection = {0};
    bool has_more = true;
    int code = 0;
    walk_begin(&walk, client);
    while (code == 0 && has_more)
        code = collect_share(&walk, is_dry_run, fn, context, &collection, &has_more, err);
    arena_fini(&walk.arena);
    if (code == 0)
        *ret_collection = collection;
    return code;
}
