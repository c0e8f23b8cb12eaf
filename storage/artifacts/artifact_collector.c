/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_collector: see artifact_collector.h. */
#include "storage/artifacts/artifact_collector.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/messages.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/time_unit.h"

/* Artifacts whose owners are asked about before the clock is looked at; all their owners are in
 * memory meanwhile. */
#define PAGE_SIZE 16

/* What one step collects at most, and the owners that are told of each: half a message. */
#define COLLECTED_MAX   256
#define OWNERS_TOLD_MAX 16

/* One call's share of a pass, so that callers see it go on. */
#define STEP_NS NS_PER_S

struct artifact_collector {
    struct artifact_collector_config config;
    int64_t keep_us;
    pthread_t thread;
    bool has_thread;
    /* shared with the thread */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_stopping;
};

/* What one step of a pass has found; the pass goes on behind `after`. */
struct step {
    bool is_dry_run;
    struct digest after_digest;
    const struct digest *after; /* NULL: from the start */
    bool has_more;
    uint64_t examined_count;
    uint64_t undecided_count;
    uint64_t collected_bytes;
    struct catalog_artifact *collected; /* in arena, with room for COLLECTED_MAX and a page */
    const char **reasons;
    size_t collected_count;
    struct arena *arena;
};

/* ---- one artifact ---- */

static enum owner_state ask_owners(const struct artifact_collector *collector,
                                   const struct catalog_artifact *artifact)
{
    enum owner_state result = OWNER_GONE;
    for (size_t i = 0; i < artifact->owner_count; i++) {
        enum owner_state state = owner_oracle_ask(collector->config.oracle, artifact->owners[i]);
        if (state == OWNER_THERE)
            return OWNER_THERE;
        if (state == OWNER_UNKNOWN)
            result = OWNER_UNKNOWN;
    }
    return result;
}

static const char *reason_for(const struct catalog_artifact *artifact, struct arena *arena)
{
    if (artifact->owner_count == 0)
        return arena_strdup(arena, "it has no owner");
    if (artifact->owner_count == 1)
        return arena_printf(arena, "%s is gone", artifact->owners[0]);
    return arena_printf(arena, "%s and %zu more are gone", artifact->owners[0],
                        artifact->owner_count - 1);
}

static int note_collected(struct step *step, const struct catalog_artifact *artifact,
                          struct error *err)
{
    struct catalog_artifact *copy = &step->collected[step->collected_count];
    *copy = *artifact;
    if (copy->owner_count > OWNERS_TOLD_MAX)
        copy->owner_count = OWNERS_TOLD_MAX;
    copy->owners = arena_calloc(step->arena, copy->owner_count, sizeof *copy->owners);
    bool is_copied = copy->owners != NULL;
    for (size_t i = 0; is_copied && i < copy->owner_count; i++) {
        copy->owners[i] = arena_strdup(step->arena, artifact->owners[i]);
        is_copied = copy->owners[i] != NULL;
    }
    const char *reason = reason_for(artifact, step->arena);
    if (!is_copied || reason == NULL)
        return error_set(err, ERR_MEMORY, "no memory to collect artifacts");
    step->reasons[step->collected_count++] = reason;
    step->collected_bytes += artifact->size;
    return 0;
}

/* Nobody owns it: noted, or removed when that was long enough ago. */
static int take_unowned(struct artifact_collector *collector, struct step *step,
                        struct catalog_artifact *artifact, struct error *err)
{
    int64_t now_utc_us = clock_utc_us();
    bool is_removed = step->is_dry_run;
    int code = 0;
    if (artifact->unowned_utc_us == 0) {
        artifact->unowned_utc_us = now_utc_us;
        if (!step->is_dry_run)
            code = artifact_catalog_set_unowned(collector->config.catalog, &artifact->digest,
                                                artifact->revision, now_utc_us, err);
    }
    if (code != 0 || now_utc_us - artifact->unowned_utc_us < collector->keep_us)
        return code;
    if (!step->is_dry_run)
        code = artifact_service_remove(collector->config.artifacts, &artifact->digest,
                                       artifact->revision, &is_removed, err);
    return code == 0 && is_removed ? note_collected(step, artifact, err) : code;
}

static int examine(struct artifact_collector *collector, struct step *step,
                   struct catalog_artifact *artifact, struct error *err)
{
    step->examined_count++;
    switch (ask_owners(collector, artifact)) {
    case OWNER_GONE:
        return take_unowned(collector, step, artifact, err);
    case OWNER_UNKNOWN:
        step->undecided_count++;
        return 0;
    case OWNER_THERE:
        break;
    }
    if (artifact->unowned_utc_us == 0 || step->is_dry_run)
        return 0;
    return artifact_catalog_set_unowned(collector->config.catalog, &artifact->digest,
                                        artifact->revision, 0, err);
}

/* ---- a step of a pass ---- */

static bool is_stopping(struct artifact_collector *collector)
{
    pthread_mutex_lock(&collector->mutex);
    bool is_stopping = collector->is_stopping;
    pthread_mutex_unlock(&collector->mutex);
    return is_stopping;
}

static int take_page(struct artifact_collector *collector, struct step *step, struct arena *arena,
                     struct error *err)
{
    struct catalog_artifact *artifacts;
    size_t count;
    int code = artifact_catalog_list(collector->config.catalog, step->after, PAGE_SIZE,
                                     ARTIFACT_OWNERS_MAX, arena, &artifacts, &count, err);
    if (code != 0)
        return code;
    step->has_more = count == PAGE_SIZE;
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = examine(collector, step, &artifacts[i], err);
        step->after_digest = artifacts[i].digest;
        step->after = &step->after_digest;
    }
    return code;
}

static int take_step(struct artifact_collector *collector, struct step *step, struct error *err)
{
    uint64_t end_ns = clock_monotonic_ns() + STEP_NS;
    const size_t room = COLLECTED_MAX + PAGE_SIZE;
    step->collected = arena_calloc(step->arena, room, sizeof *step->collected);
    step->reasons = arena_calloc(step->arena, room, sizeof *step->reasons);
    if (step->collected == NULL || step->reasons == NULL)
        return error_set(err, ERR_MEMORY, "no memory to collect artifacts");
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    int code = 0;
    do {
        arena_reset(&arena);
        code = take_page(collector, step, &arena, err);
    } while (code == 0 && step->has_more && step->collected_count < COLLECTED_MAX &&
             clock_monotonic_ns() < end_ns && !is_stopping(collector));
    arena_fini(&arena);
    return code;
}

/* ---- by itself ---- */

static void run_pass(struct artifact_collector *collector)
{
    struct step step = {.has_more = true};
    struct error err = {0};
    uint64_t count = 0;
    uint64_t bytes = 0;
    int code = 0;
    while (code == 0 && step.has_more && !is_stopping(collector)) {
        struct arena arena;
        arena_init(&arena, LIMIT_DECODED_SIZE);
        step =
            (struct step){.after_digest = step.after_digest, .after = step.after, .arena = &arena};
        code = take_step(collector, &step, &err);
        count += step.collected_count;
        bytes += step.collected_bytes;
        arena_fini(&arena);
    }
    if (count > 0 || code != 0)
        collector->config.on_collected(collector->config.context, count, bytes,
                                       code != 0 ? &err : NULL);
}

static bool wait_period(struct artifact_collector *collector)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += COLLECT_PERIOD_S;
    pthread_mutex_lock(&collector->mutex);
    while (!collector->is_stopping &&
           pthread_cond_timedwait(&collector->changed, &collector->mutex, &until) == 0)
        ;
    bool goes_on = !collector->is_stopping;
    pthread_mutex_unlock(&collector->mutex);
    return goes_on;
}

static void *thread_main(void *argument)
{
    struct artifact_collector *collector = argument;
    while (wait_period(collector))
        run_pass(collector);
    return NULL;
}

int artifact_collector_create(const struct artifact_collector_config *config,
                              struct artifact_collector **ret_collector, struct error *err)
{
    struct artifact_collector *collector = calloc(1, sizeof *collector);
    if (collector == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a collector");
    collector->config = *config;
    collector->keep_us = (int64_t)config->keep_hours * 3600 * US_PER_S;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&collector->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&collector->mutex, NULL);
    int errnum = pthread_create(&collector->thread, NULL, thread_main, collector);
    collector->has_thread = errnum == 0;
    if (errnum != 0) {
        artifact_collector_destroy(collector);
        return error_set_errno(err, ERR_MEMORY, errnum, "could not start a thread");
    }
    *ret_collector = collector;
    return 0;
}

void artifact_collector_destroy(struct artifact_collector *collector)
{
    if (collector == NULL)
        return;
    pthread_mutex_lock(&collector->mutex);
    collector->is_stopping = true;
    pthread_cond_broadcast(&collector->changed);
    pthread_mutex_unlock(&collector->mutex);
    if (collector->has_thread)
        pthread_join(collector->thread, NULL);
    pthread_cond_destroy(&collector->changed);
    pthread_mutex_destroy(&collector->mutex);
    free(collector);
}

/* ---- on request ---- */

static Api__CollectedArtifact **make_collected(const struct step *step)
{
    Api__CollectedArtifact **list = arena_calloc(step->arena, step->collected_count, sizeof *list);
    for (size_t i = 0; list != NULL && i < step->collected_count; i++) {
        list[i] = arena_alloc(step->arena, sizeof *list[i]);
        if (list[i] == NULL)
            return NULL;
        api__collected_artifact__init(list[i]);
        list[i]->artifact = artifact_service_info(&step->collected[i], step->arena);
        list[i]->reason = step->reasons[i];
        if (list[i]->artifact == NULL)
            return NULL;
    }
    return list;
}

static int handle_collect(void *context, const struct storage_request *request,
                          ProtobufCMessage **ret_response, struct error *err)
{
    const Api__CollectArtifactsRequest *message =
        (const Api__CollectArtifactsRequest *)request->message;
    struct step step = {.is_dry_run = message->dry_run, .arena = request->arena};
    Api__CollectArtifactsResponse *response = arena_alloc(request->arena, sizeof *response);
    char *after = arena_alloc(request->arena, ARTIFACT_ID_SIZE);
    int code = artifact_service_after(message->after, &step.after_digest, &step.after, err);
    if (code == 0)
        code = take_step(context, &step, err);
    if (code != 0)
        return code;
    Api__CollectedArtifact **collected = make_collected(&step);
    if (response == NULL || after == NULL || collected == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a reply");
    api__collect_artifacts_response__init(response);
    response->collected = collected;
    response->n_collected = step.collected_count;
    response->has_examined_count = true;
    response->examined_count = step.examined_count;
    response->has_undecided_count = true;
    response->undecided_count = step.undecided_count;
    response->after = step.after != NULL ? digest_to_id(step.after, after) : "";
    response->has_more = true;
    response->more = step.has_more;
    *ret_response = &response->base;
    return 0;
}

struct storage_service artifact_collector_table(struct artifact_collector *collector)
{
    static const struct storage_handler handlers[] = {{METHOD_COLLECT_ARTIFACTS, handle_collect}};
    return (struct storage_service){.handlers = handlers, .handler_count = 1, .context = collector};
}
