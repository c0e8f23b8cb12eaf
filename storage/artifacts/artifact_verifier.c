/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_verifier: see artifact_verifier.h. */
#include "storage/artifacts/artifact_verifier.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/time_unit.h"
#include "storage/artifacts/artifact_reading.h"

/* One call's share. */
#define STEP_NS NS_PER_S

/* Damages of one call; the next goes on. */
#define DAMAGES_MAX 256

struct artifact_verifier {
    struct catalog *catalog;
    struct artifact_readings *readings;
};

/* One call. */
struct verification {
    struct artifact_verifier *verifier;
    struct arena *arena;
    uint64_t end_ns;
    struct digest after_digest;
    const struct digest *after; /* NULL: from the start */
    bool has_more;
    uint64_t checked_count;
    uint64_t checked_bytes;
    Api__ArtifactDamage **damages;
    size_t damage_count;
};

int artifact_verifier_create(struct artifact_store *store, struct catalog *catalog,
                             struct artifact_verifier **ret_verifier, struct error *err)
{
    struct artifact_verifier *verifier = calloc(1, sizeof *verifier);
    if (verifier == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a verifier");
    verifier->catalog = catalog;
    int code = artifact_readings_create(store, &verifier->readings, err);
    if (code != 0) {
        artifact_verifier_destroy(verifier);
        return code;
    }
    *ret_verifier = verifier;
    return 0;
}

void artifact_verifier_destroy(struct artifact_verifier *verifier)
{
    if (verifier == NULL)
        return;
    artifact_readings_destroy(verifier->readings);
    free(verifier);
}

/* ---- one artifact ---- */

static int note_damage(struct verification *verification, const struct digest *digest,
                       const char *reason, struct error *err)
{
    Api__ArtifactDamage *damage = arena_alloc(verification->arena, sizeof *damage);
    char *id = arena_alloc(verification->arena, ARTIFACT_ID_SIZE);
    if (damage == NULL || id == NULL || reason == NULL)
        return error_set(err, ERR_MEMORY, "no memory to verify artifacts");
    api__artifact_damage__init(damage);
    damage->artifact_id = digest_to_id(digest, id);
    damage->reason = reason;
    verification->damages[verification->damage_count++] = damage;
    return 0;
}

/* What is wrong with a content that was read to its end; NULL: nothing. */
static const char *judge(const struct artifact_verdict *verdict,
                         const struct catalog_artifact *artifact, struct arena *arena)
{
    if (verdict->size != artifact->size)
        return arena_printf(arena, "it has %" PRIu64 " bytes instead of %" PRIu64, verdict->size,
                            artifact->size);
    return verdict->is_good ? NULL : "its content is not what its name says";
}

/* Reads an artifact; *ret_end is false where the call ended before it. */
static int verify(struct verification *verification, const struct catalog_artifact *artifact,
                  bool *ret_end, struct error *err)
{
    struct artifact_verdict verdict;
    struct error reason;
    bool is_known = true;
    int code = artifact_readings_go_on(verification->verifier->readings, &artifact->digest,
                                       verification->end_ns, &verification->checked_bytes, &verdict,
                                       &reason);
    *ret_end = code != 0;
    if (code == 0)
        return 0;
    /* Collected meanwhile? Then it is no damage. */
    if (code == ERR_NOT_FOUND && artifact_catalog_has(verification->verifier->catalog,
                                                      &artifact->digest, &is_known, err) != 0)
        return ERR_STORAGE;
    verification->checked_count++;
    const char *damage = NULL;
    if (code == 1)
        damage = judge(&verdict, artifact, verification->arena);
    else if (code == ERR_NOT_FOUND)
        damage = "it is missing";
    else if ((damage = arena_printf(verification->arena, "it cannot be read: %s", reason.text)) ==
             NULL)
        return error_set(err, ERR_MEMORY, "no memory to verify artifacts");
    if (damage == NULL || !is_known)
        return 0;
    return note_damage(verification, &artifact->digest, damage, err);
}

/* ---- a call ---- */

/* One at a time: between two of them some may have gone. */
static int verify_next(struct verification *verification, struct error *err)
{
    struct catalog_artifact *artifact;
    size_t count;
    bool is_at_end;
    int code = artifact_catalog_list(verification->verifier->catalog, verification->after, 1, 0,
                                     verification->arena, &artifact, &count, err);
    if (code != 0)
        return code;
    verification->has_more = count == 1;
    if (count == 0)
        return 0;
    code = verify(verification, artifact, &is_at_end, err);
    if (code == 0 && is_at_end) {
        verification->after_digest = artifact->digest;
        verification->after = &verification->after_digest;
    }
    return code;
}

static int run(struct verification *verification, struct error *err)
{
    int code;
    verification->damages =
        arena_calloc(verification->arena, DAMAGES_MAX, sizeof(Api__ArtifactDamage *));
    if (verification->damages == NULL)
        return error_set(err, ERR_MEMORY, "no memory to verify artifacts");
    do {
        code = verify_next(verification, err);
    } while (code == 0 && verification->has_more && verification->damage_count < DAMAGES_MAX &&
             clock_monotonic_ns() < verification->end_ns);
    return code;
}

static int make_response(struct verification *verification, ProtobufCMessage **ret_response,
                         struct error *err)
{
    Api__VerifyArtifactsResponse *response = arena_alloc(verification->arena, sizeof *response);
    char *after = arena_alloc(verification->arena, ARTIFACT_ID_SIZE);
    if (response == NULL || after == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a reply");
    api__verify_artifacts_response__init(response);
    response->has_checked_count = true;
    response->checked_count = verification->checked_count;
    response->has_checked_bytes = true;
    response->checked_bytes = verification->checked_bytes;
    response->damages = verification->damages;
    response->n_damages = verification->damage_count;
    response->after = verification->after != NULL ? digest_to_id(verification->after, after) : "";
    response->has_more = true;
    response->more = verification->has_more;
    *ret_response = &response->base;
    return 0;
}

static int handle_verify(void *context, const struct storage_request *request,
                         ProtobufCMessage **ret_response, struct error *err)
{
    const Api__VerifyArtifactsRequest *message =
        (const Api__VerifyArtifactsRequest *)request->message;
    struct verification verification = {
        .verifier = context, .arena = request->arena, .end_ns = clock_monotonic_ns() + STEP_NS};
    int code = artifact_service_after(message->after, &verification.after_digest,
                                      &verification.after, err);
    if (code != 0)
        return code;
    code = run(&verification, err);
    return code == 0 ? make_response(&verification, ret_response, err) : code;
}

struct storage_service artifact_verifier_table(struct artifact_verifier *verifier)
{
    static const struct storage_handler handlers[] = {{METHOD_VERIFY_ARTIFACTS, handle_verify}};
    return (struct storage_service){.handlers = handlers, .handler_count = 1, .context = verifier};
}
