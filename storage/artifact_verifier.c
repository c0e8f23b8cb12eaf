/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_verifier: see artifact_verifier.h. */
#include "storage/artifact_verifier.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/time_unit.h"
#include "common/uuid.h"

/* One call's share. */
#define STEP_NS NS_PER_S

/* Contents left in the middle at once; one more forgets the one left longest ago. */
#define READINGS_MAX 8

/* Damages of one call; the next goes on. */
#define DAMAGES_MAX 256

/* A content that is being read. */
struct reading {
    char token[UUID_TEXT_SIZE]; /* "": unused */
    struct digest digest;
    uint64_t offset;
    struct hasher *hasher;
    uint64_t left_ns; /* when it was left */
};

struct artifact_verifier {
    struct artifact_store *store;
    struct catalog *catalog;
    pthread_mutex_t mutex;
    struct reading readings[READINGS_MAX];
};

/* One call. */
struct verification {
    struct artifact_verifier *verifier;
    struct arena *arena;
    uint8_t *part; /* room for ARTIFACT_PART_SIZE */
    uint64_t end_ns;
    struct digest after_digest;
    const struct digest *after; /* NULL: from the start */
    bool has_more;
    struct reading reading; /* hasher NULL: none */
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
    verifier->store = store;
    verifier->catalog = catalog;
    pthread_mutex_init(&verifier->mutex, NULL);
    *ret_verifier = verifier;
    return 0;
}

void artifact_verifier_destroy(struct artifact_verifier *verifier)
{
    if (verifier == NULL)
        return;
    for (size_t i = 0; i < READINGS_MAX; i++)
        hasher_destroy(verifier->readings[i].hasher);
    pthread_mutex_destroy(&verifier->mutex);
    free(verifier);
}

/* ---- readings between calls ---- */

/* Takes the reading that a token names; none where it is not known. */
static void take_reading(struct artifact_verifier *verifier, const ProtobufCBinaryData *token,
                         struct reading *ret_reading)
{
    pthread_mutex_lock(&verifier->mutex);
    for (size_t i = 0; i < READINGS_MAX; i++) {
        struct reading *reading = &verifier->readings[i];
        if (reading->hasher != NULL && token->len == strlen(reading->token) &&
            memcmp(token->data, reading->token, token->len) == 0) {
            *ret_reading = *reading;
            *reading = (struct reading){0};
            break;
        }
    }
    pthread_mutex_unlock(&verifier->mutex);
}

static void leave_reading(struct artifact_verifier *verifier, struct reading *reading)
{
    uuid_create(reading->token);
    reading->left_ns = clock_monotonic_ns();
    pthread_mutex_lock(&verifier->mutex);
    struct reading *oldest = &verifier->readings[0];
    for (size_t i = 1; i < READINGS_MAX; i++) {
        if (verifier->readings[i].left_ns < oldest->left_ns)
            oldest = &verifier->readings[i];
    }
    hasher_destroy(oldest->hasher);
    *oldest = *reading;
    pthread_mutex_unlock(&verifier->mutex);
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

/* Reads on until the end of the content or of the call. *ret_end: nothing is left. */
static int read_on(struct verification *verification, bool *ret_end, struct error *err)
{
    struct artifact_store *store = verification->verifier->store;
    struct reading *reading = &verification->reading;
    size_t length;
    uint64_t size;
    do {
        int code = store->ops->read(store, &reading->digest, reading->offset, verification->part,
                                    ARTIFACT_PART_SIZE, &length, &size, err);
        if (code != 0)
            return code;
        hasher_add(reading->hasher, verification->part, length);
        reading->offset += length;
        verification->checked_bytes += length;
    } while (length == ARTIFACT_PART_SIZE && clock_monotonic_ns() < verification->end_ns);
    *ret_end = length < ARTIFACT_PART_SIZE;
    return 0;
}

/* What is wrong with a content that was read to its end; NULL: nothing. */
static const char *judge(struct verification *verification, const struct catalog_artifact *artifact)
{
    struct reading *reading = &verification->reading;
    struct digest found = digest_of_hasher(reading->hasher);
    if (reading->offset != artifact->size)
        return arena_printf(verification->arena, "it has %" PRIu64 " bytes instead of %" PRIu64,
                            reading->offset, artifact->size);
    return digest_equal(&found, &artifact->digest) ? NULL : "its content is not what its name says";
}

/* Reads an artifact; *ret_end is false where the call ended before it. */
static int verify(struct verification *verification, const struct catalog_artifact *artifact,
                  bool *ret_end, struct error *err)
{
    struct reading *reading = &verification->reading;
    bool goes_on = reading->hasher != NULL && digest_equal(&reading->digest, &artifact->digest);
    if (!goes_on) {
        hasher_destroy(reading->hasher);
        *reading = (struct reading){.digest = artifact->digest, .hasher = hasher_create()};
        if (reading->hasher == NULL)
            return error_set(err, ERR_MEMORY, "no memory to verify artifacts");
    }
    struct error reason;
    bool is_known = true;
    int code = read_on(verification, ret_end, &reason);
    if (code == 0 && !*ret_end)
        return 0;
    /* Collected meanwhile? Then it is no damage. */
    if (code == ERR_NOT_FOUND && artifact_catalog_has(verification->verifier->catalog,
                                                      &artifact->digest, &is_known, err) != 0)
        return ERR_STORAGE;
    *ret_end = true;
    verification->checked_count++;
    const char *damage;
    if (code == ERR_NOT_FOUND)
        damage = "it is missing";
    else if (code != 0)
        damage = arena_printf(verification->arena, "it cannot be read: %s", reason.text);
    else
        damage = judge(verification, artifact);
    hasher_destroy(reading->hasher);
    *reading = (struct reading){0};
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
    verification->part = arena_alloc(verification->arena, ARTIFACT_PART_SIZE);
    verification->damages =
        arena_calloc(verification->arena, DAMAGES_MAX, sizeof(Api__ArtifactDamage *));
    if (verification->part == NULL || verification->damages == NULL)
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
    char *token = arena_alloc(verification->arena, UUID_TEXT_SIZE);
    if (response == NULL || after == NULL || token == NULL)
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
    if (verification->reading.hasher != NULL) {
        leave_reading(verification->verifier, &verification->reading);
        strcpy(token, verification->reading.token);
        response->has_state = true;
        response->state = (ProtobufCBinaryData){.data = (uint8_t *)token, .len = strlen(token)};
    }
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
    if (message->has_state)
        take_reading(context, &message->state, &verification.reading);
    code = run(&verification, err);
    if (code == 0)
        code = make_response(&verification, ret_response, err);
    if (code != 0)
        hasher_destroy(verification.reading.hasher);
    return code;
}

struct storage_service artifact_verifier_table(struct artifact_verifier *verifier)
{
    static const struct storage_handler handlers[] = {{METHOD_VERIFY_ARTIFACTS, handle_verify}};
    return (struct storage_service){.handlers = handlers, .handler_count = 1, .context = verifier};
}
