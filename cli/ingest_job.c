/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_job: see ingest_job.h. */
#include "cli/ingest_job.h"

#include <stdlib.h>
#include <string.h>

#include "cli/session.h"
#include "common/fleet_config.h"
#include "common/utf8.h"
#include "storage/artifact.h"
#include "workflows/artifact_reference.h"
#include "workflows/ingest/ingest_request.h"
#include "workflows/shipped.h"

/* Between two looks at the progress; the wait itself ends with the run. */
#define LOOK_MS 2000
/* Somebody else's run of the document may be in the way, and then another's. */
#define STARTS_MAX 3

static int workflow_id_make(const struct document *document, char ret_id[ARTIFACT_OWNER_MAX],
                            struct error *err)
{
    if (!utf8_is_valid(document->id, strlen(document->id)))
        return error_set(err, ERR_INVALID, "the name is not UTF-8");
    int length = snprintf(ret_id, ARTIFACT_OWNER_MAX, "ingest-%s", document->id);
    return length < ARTIFACT_OWNER_MAX - (int)sizeof "workflow:"
               ? 0
               : error_set(err, ERR_INVALID, "the document's id is too long");
}

static int source_put(const struct ingest_plan *plan, const struct ingest_job *job,
                      const char *workflow_id, struct artifact *ret_source, struct error *err)
{
    char owner[ARTIFACT_OWNER_MAX + sizeof "workflow:"];
    snprintf(owner, sizeof owner, "workflow:%s", workflow_id);
    return artifact_put_file(plan->storage, job->document->path, owner, NULL, NULL, ret_source,
                             err);
}

/* The workflow's input; the caller frees it. */
static int input_make(const struct ingest_plan *plan, const struct document *document,
                      const struct artifact *source, char **ret_input, struct error *err)
{
    json_t *input = json_pack("{s:s, s:s, s:o}", "document_id", document->id, "collection",
                              plan->collection, "source", artifact_reference_create(source));
    /* NULL also where the collection's name is not UTF-8. */
    if (input == NULL)
        return error_set(err, ERR_INVALID, "the collection's name is not UTF-8");
    const char *slash = strrchr(document->path, '/');
    const char *name = slash != NULL ? slash + 1 : document->path;
    if (strlen(name) <= 255)
        json_object_set_new(json_object_get(input, "source"), "name", json_string(name));
    json_object_update(input, (json_t *)plan->options);
    char *text = json_dumps(input, JSON_COMPACT);
    json_decref(input);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_input = text;
    return 0;
}

/* What the run says of itself: {"done", "total", "request", ...}; NULL where it cannot be asked. */
static json_t *progress_ask(const struct ingest_plan *plan, const char *workflow_id,
                            const char *run_id)
{
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_payload answer;
    json_t *value = NULL;
    if (arena != NULL &&
        argosy_client_query(plan->client, workflow_id, run_id, "progress",
                            (struct argosy_payloads){0}, arena, &answer, NULL) == 0)
        value = json_loadb(answer.data, answer.size, 0, NULL);
    argosy_arena_destroy(arena);
    return value;
}

/* Keeps what part of the chunks is done. */
static void progress_look(const struct ingest_plan *plan, struct ingest_job *job,
                          const char *workflow_id, const char *run_id)
{
    json_t *progress = progress_ask(plan, workflow_id, run_id);
    json_int_t done = 0, total = 0;
    if (json_unpack(progress, "{s:I, s:I}", "done", &done, "total", &total) == 0 && done >= 0 &&
        total >= done && total > 0)
        job->done = (uint64_t)((double)job->document->size * (double)done / (double)total);
    json_decref(progress);
}

/* What the run failed of, in the end. */
static int run_failed(const struct argosy_error *why, struct error *err)
{
    if (why->failure == NULL)
        return session_error(why, err);
    const struct argosy_failure *root = argosy_failure_root(why->failure);
    const char *type = argosy_failure_type(root);
    return error_set(err, why->code, "%s%s%s%s", argosy_failure_message(root),
                     type[0] != '\0' ? " (" : "", type, type[0] != '\0' ? ")" : "");
}

/* Waits for the run's end; an engine that is away comes back. */
static int run_wait(const struct ingest_plan *plan, struct ingest_job *job, const char *workflow_id,
                    const char *run_id, json_t **ret_result, struct error *err)
{
    for (;;) {
        struct argosy_arena *arena = argosy_arena_create();
        struct argosy_payload payload;
        struct argosy_error why = {0};
        int code = arena == NULL ? argosy_error_set(&why, ARGOSY_ERR_MEMORY, "out of memory")
                                 : argosy_client_result(plan->client, workflow_id, run_id, LOOK_MS,
                                                        arena, &payload, &why);
        bool is_open =
            code == ARGOSY_ERR_UNAVAILABLE || (code == ARGOSY_ERR_TIMEOUT && why.failure == NULL);
        if (code == 0) {
            *ret_result = json_loadb(payload.data, payload.size, 0, NULL);
            if (*ret_result == NULL)
                code = error_set(err, ERR_PROTOCOL, "the run's result is no JSON object");
        } else if (!is_open) {
            code = run_failed(&why, err);
        }
        argosy_arena_destroy(arena);
        if (!is_open)
            return code;
        progress_look(plan, job, workflow_id, run_id);
    }
}

/* Whether what a run says of itself names our request: it may have been open before. */
static bool is_ours(const char *input, const json_t *said)
{
    const struct argosy_payload payload = argosy_payload_json(input);
    const char *request = json_string_value(json_object_get(said, "request"));
    char digest[INGEST_DIGEST_SIZE];
    ingest_request_digest(&payload, digest);
    return request != NULL && strcmp(request, digest) == 0;
}

/* A run that failed is asked whose it was; one that does not answer is taken for ours. */
static bool is_failure_ours(const struct ingest_plan *plan, const char *workflow_id,
                            const char *run_id, const char *input)
{
    json_t *progress = progress_ask(plan, workflow_id, run_id);
    bool is = progress == NULL || is_ours(input, progress);
    json_decref(progress);
    return is;
}

static int run_start(const struct ingest_plan *plan, const char *workflow_id, const char *input,
                     char ret_run_id[ARGOSY_RUN_ID_SIZE], struct error *err)
{
    struct argosy_error why = {0};
    int code = argosy_client_start(plan->client,
                                   &(struct argosy_start_options){
                                       .workflow_id = workflow_id,
                                       .workflow_type = WORKFLOW_DOCUMENT_INGEST,
                                       .task_queue = FLEET_QUEUE_CPU,
                                       .input = ARGOSY_PAYLOADS(argosy_payload_json(input)),
                                       .id_conflict_policy = ARGOSY_CONFLICT_USE_EXISTING,
                                   },
                                   ret_run_id, &why);
    return code == 0 ? 0 : session_error(&why, err);
}

/* One run to its end: ours, or the one of the document that was open. */
static int job_try(const struct ingest_plan *plan, struct ingest_job *job, const char *workflow_id,
                   struct error *err)
{
    struct artifact source;
    char run_id[ARGOSY_RUN_ID_SIZE];
    char *input;
    json_t *result = NULL;
    /* Every time: when the run before ended, what was put for it was let go. */
    int code = source_put(plan, job, workflow_id, &source, err);
    if (code == 0)
        code = input_make(plan, job->document, &source, &input, err);
    if (code != 0)
        return code;
    code = run_start(plan, workflow_id, input, run_id, err);
    if (code == 0)
        code = run_wait(plan, job, workflow_id, run_id, &result, err);
    if (code == 0 && is_ours(input, result))
        job->result = json_incref(result);
    else if (code == ERR_FAILED && !is_failure_ours(plan, workflow_id, run_id, input))
        code = 0; /* it is tried again */
    json_decref(result);
    free(input);
    return code;
}

static int job_run(const struct ingest_plan *plan, struct ingest_job *job, struct error *err)
{
    char workflow_id[ARTIFACT_OWNER_MAX];
    int code = workflow_id_make(job->document, workflow_id, err);
    for (int tries = 0; code == 0 && job->result == NULL; tries++)
        code = tries < STARTS_MAX
                   ? job_try(plan, job, workflow_id, err)
                   : error_set(err, ERR_ABORTED, "runs of others for this document are in the way");
    return code;
}

void ingest_job_run(const struct ingest_plan *plan, struct ingest_job *job)
{
    job->code = job_run(plan, job, &job->err);
    job->done = job->document->size;
}
