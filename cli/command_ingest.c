/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_ingest: `argosy ingest`: documents into a collection, one workflow for each.
 *
 * Some documents are under way at a time, each on a thread of its own that mostly waits; the main
 * thread draws the one bar over all of them, in bytes.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command_table.h"
#include "cli/ingest_job.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/storage_session.h"
#include "cli/wait_hint.h"
#include "common/fleet_config.h"
#include "common/uuid.h"
#include "storage/vectors.h"
#include "workflows/shipped.h"

#define PARALLEL_DEFAULT 4
#define PARALLEL_MAX     64
#define DRAW_MS          200

static const struct option ingest_options[] = {
    {"collection", NULL, 0, OPTION_TEXT, "NAME", "where they can be found (needed)", NULL},
    {"id-prefix", NULL, 0, OPTION_TEXT, "TEXT",
     "before every document's id, which is its path as it is given", NULL},
    {"model", NULL, 0, OPTION_TEXT, "NAME", "the model that embeds them (the fleet's)", NULL},
    {"chunk-tokens", NULL, 0, OPTION_NUMBER, "N", "tokens of a chunk (as many as the model reads)",
     NULL},
    {"chunk-overlap", NULL, 0, OPTION_NUMBER, "N",
     "tokens that a chunk repeats of the one before (an eighth of a chunk)", NULL},
    {"metadata", NULL, 0, OPTION_TEXT, "JSON",
     "of every document, for filters: an object of texts, numbers and booleans", NULL},
    {"parallel", NULL, 0, OPTION_NUMBER, "N", "documents at a time (4)", NULL},
    {"remove", NULL, 0, OPTION_FLAG, NULL,
     "remove the documents of these paths instead of ingesting them", NULL},
    {0},
};

/* The command at work: jobs are taken one by one. */
struct ingest {
    struct ingest_plan plan;
    struct document_list documents;
    struct ingest_job *jobs; /* one per document */
    size_t thread_count;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next;     /* job that nobody has taken */
    size_t finished; /* jobs */
};

static void *jobs_run(void *arg)
{
    struct ingest *ingest = arg;
    pthread_mutex_lock(&ingest->lock);
    while (ingest->next < ingest->documents.count) {
        struct ingest_job *job = &ingest->jobs[ingest->next++];
        pthread_mutex_unlock(&ingest->lock);
        ingest_job_run(&ingest->plan, job);
        pthread_mutex_lock(&ingest->lock);
        ingest->finished++;
        pthread_cond_signal(&ingest->changed);
    }
    pthread_mutex_unlock(&ingest->lock);
    return NULL;
}

static void progress_draw(const struct ingest *ingest, struct progress *progress)
{
    uint64_t done = 0, total = 0;
    for (size_t i = 0; i < ingest->documents.count; i++) {
        done += ingest->jobs[i].done;
        total += ingest->documents.items[i].size;
    }
    progress_update(progress, done, total);
}

/* Draws until all jobs are finished. */
static void jobs_watch(struct ingest *ingest, bool is_silent)
{
    struct progress progress;
    progress_open(&progress, is_silent);
    progress_stage(&progress, "ingest", "bytes");
    pthread_mutex_lock(&ingest->lock);
    while (ingest->finished < ingest->documents.count) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += DRAW_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&ingest->changed, &ingest->lock, &until);
        progress_draw(ingest, &progress);
    }
    pthread_mutex_unlock(&ingest->lock);
    progress_close(&progress);
}

/* Runs all jobs on threads. ERR_MEMORY where not even one thread can be had. */
static int jobs_all(struct ingest *ingest, bool is_silent, struct error *err)
{
    pthread_t threads[PARALLEL_MAX];
    size_t count = 0;
    while (count < ingest->thread_count && count < ingest->documents.count &&
           pthread_create(&threads[count], NULL, jobs_run, ingest) == 0)
        count++;
    if (count == 0)
        return error_set(err, ERR_MEMORY, "could not start a thread");
    jobs_watch(ingest, is_silent);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

/* ---- outcome ---- */

static json_int_t sum_of(const struct ingest *ingest, const char *member)
{
    json_int_t sum = 0;
    for (size_t i = 0; i < ingest->documents.count; i++)
        sum += json_integer_value(json_object_get(ingest->jobs[i].result, member));
    return sum;
}

static size_t failures_count(const struct ingest *ingest)
{
    size_t count = 0;
    for (size_t i = 0; i < ingest->documents.count; i++)
        count += ingest->jobs[i].code != 0;
    return count;
}

static int outcome_json(const struct ingest *ingest, struct error *err)
{
    json_t *documents = json_array(), *failures = json_array();
    for (size_t i = 0; i < ingest->documents.count; i++) {
        const struct ingest_job *job = &ingest->jobs[i];
        if (job->code == 0)
            json_array_append(documents, job->result);
        else
            json_array_append_new(failures,
                                  json_pack("{s:s, s:s, s:s}", "document_id", job->document->id,
                                            "code", error_name(job->code), "error", job->err.text));
    }
    return output_json(json_pack("{s:s, s:o, s:o, s:I}", "collection", ingest->plan.collection,
                                 "documents", documents, "failures", failures, "skipped",
                                 (json_int_t)ingest->documents.skipped),
                       err);
}

static void outcome_print_text(const struct ingest *ingest)
{
    size_t failed = failures_count(ingest);
    printf("%zu of %zu documents in collection %s: %" JSON_INTEGER_FORMAT
           " chunks, %" JSON_INTEGER_FORMAT " embedded, %" JSON_INTEGER_FORMAT " unchanged\n",
           ingest->documents.count - failed, ingest->documents.count, ingest->plan.collection,
           sum_of(ingest, "chunks"), sum_of(ingest, "embedded"), sum_of(ingest, "unchanged"));
    if (ingest->documents.skipped > 0)
        printf("%zu files skipped: not of a type that can be read\n", ingest->documents.skipped);
    struct buffer safe = {0};
    for (size_t i = 0; i < ingest->documents.count; i++) {
        const struct ingest_job *job = &ingest->jobs[i];
        if (job->code == 0)
            continue;
        buffer_clear(&safe);
        output_safe(job->document->id, strlen(job->document->id), &safe);
        buffer_append_text(&safe, ": ");
        output_safe(job->err.text, strlen(job->err.text), &safe);
        fprintf(stderr, "failed: %s\n", buffer_text(&safe));
    }
    buffer_fini(&safe);
}

/* ---- ingesting ---- */

/* Members of every workflow's input. */
static int options_make(const struct invocation *invocation, json_t **ret_options,
                        struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *metadata = parsed_text(parsed, "metadata");
    json_t *options = json_object();
    if (parsed_has(parsed, "model"))
        json_object_set_new(options, "model", json_string(parsed_text(parsed, "model")));
    if (parsed_has(parsed, "chunk-tokens"))
        json_object_set_new(options, "chunk_tokens",
                            json_integer(parsed_number(parsed, "chunk-tokens", 0)));
    if (parsed_has(parsed, "chunk-overlap"))
        json_object_set_new(options, "chunk_overlap",
                            json_integer(parsed_number(parsed, "chunk-overlap", 0)));
    int code =
        metadata == NULL ? 0 : input_check_json("--metadata", metadata, strlen(metadata), err);
    if (metadata != NULL && code == 0)
        json_object_set_new(options, "metadata", json_loads(metadata, JSON_DECODE_ANY, NULL));
    if (code != 0)
        json_decref(options);
    else
        *ret_options = options;
    return code;
}

static int ingest_run(const struct invocation *invocation, struct ingest *ingest, struct error *err)
{
    struct session session;
    struct storage_session storage;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    code = storage_session_open(invocation, &storage, err);
    if (code == 0) {
        ingest->plan.client = session.client;
        ingest->plan.storage = storage.client;
        wait_hint_start(&session, WORKFLOW_DOCUMENT_INGEST, FLEET_QUEUE_CPU);
        code = jobs_all(ingest, invocation->json, err);
        storage_session_close(&storage);
    }
    session_close(&session);
    return code;
}

static const char *id_prefix(const struct parsed *parsed)
{
    const char *prefix = parsed_text(parsed, "id-prefix");
    return prefix != NULL ? prefix : "";
}

static int ingest_files(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    int64_t parallel = parsed_number(parsed, "parallel", PARALLEL_DEFAULT);
    if (parallel < 1 || parallel > PARALLEL_MAX)
        return command_usage(invocation, "--parallel must be 1 to %d", PARALLEL_MAX);
    struct ingest ingest = {
        .plan.collection = parsed_text(parsed, "collection"),
        .thread_count = (size_t)parallel,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
    };
    json_t *options = NULL;
    int code = options_make(invocation, &options, err);
    if (code == 0)
        code = document_list_read(parsed->arguments, parsed->argument_count, id_prefix(parsed),
                                  &ingest.documents, err);
    if (code != 0) {
        json_decref(options);
        return code;
    }
    ingest.plan.options = options;
    ingest.jobs = calloc(ingest.documents.count + 1, sizeof *ingest.jobs);
    if (ingest.jobs == NULL)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if (ingest.documents.count == 0)
        code = error_set(err, ERR_NOT_FOUND, "there is no document to ingest in what was named");
    for (size_t i = 0; code == 0 && i < ingest.documents.count; i++)
        ingest.jobs[i].document = &ingest.documents.items[i];
    if (code == 0)
        code = ingest_run(invocation, &ingest, err);
    if (code == 0 && invocation->json)
        code = outcome_json(&ingest, err);
    else if (code == 0)
        outcome_print_text(&ingest);
    if (code == 0 && failures_count(&ingest) > 0)
        code = EXIT_FAILED;
    for (size_t i = 0; ingest.jobs != NULL && i < ingest.documents.count; i++)
        json_decref(ingest.jobs[i].result);
    free(ingest.jobs);
    document_list_fini(&ingest.documents);
    json_decref(options);
    return code;
}

/* ---- removing ---- */

static int collection_get(struct storage_client *client, const char *name, struct arena *arena,
                          const struct vector_collection **ret_collection, struct error *err)
{
    const struct vector_collection *collections;
    size_t count;
    int code = vectors_collections(client, arena, &collections, &count, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(collections[i].name, name) != 0)
            continue;
        *ret_collection = &collections[i];
        return 0;
    }
    return error_set(err, ERR_NOT_FOUND, "there is no collection \"%s\"", name);
}

/* A document of no chunks is none; how many chunks it had is not asked. */
static int document_remove(struct storage_client *client,
                           const struct vector_collection *collection, const char *id,
                           struct arena *arena, struct error *err)
{
    const uint8_t(*hashes)[VECTOR_HASH_SIZE];
    size_t count = 0;
    int code = vectors_document_hashes(client, collection->name, id, arena, &hashes, &count, err);
    if (code == 0 && count == 0)
        code = error_set(err, ERR_NOT_FOUND, "there is no document \"%s\" in collection \"%s\"", id,
                         collection->name);
    if (code != 0)
        return code;
    char upload[UUID_TEXT_SIZE];
    uuid_create(upload);
    return vectors_commit(client,
                          &(struct vector_upload_options){.collection = collection->name,
                                                          .document = id,
                                                          .upload = upload,
                                                          .model = collection->model,
                                                          .dimension = collection->dimension},
                          0, NULL, err);
}

static int ingest_remove(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *name = parsed_text(parsed, "collection");
    struct storage_session storage;
    struct arena arena;
    const struct vector_collection *collection;
    json_t *removed = json_array();
    int code = storage_session_open(invocation, &storage, err);
    if (code != 0) {
        json_decref(removed);
        return code;
    }
    arena_init(&arena, ARENA_NO_LIMIT);
    code = collection_get(storage.client, name, &arena, &collection, err);
    for (size_t i = 0; code == 0 && i < parsed->argument_count; i++) {
        const char *id = document_id_of(id_prefix(parsed), parsed->arguments[i], &arena);
        code = id == NULL ? error_set(err, ERR_MEMORY, "out of memory")
                          : document_remove(storage.client, collection, id, &arena, err);
        if (code == 0)
            json_array_append_new(removed, json_string(id));
        if (code == 0 && !invocation->json)
            printf("removed %s from collection %s\n", id, name);
    }
    arena_fini(&arena);
    storage_session_close(&storage);
    if (code == 0 && invocation->json)
        return output_json(json_pack("{s:s, s:o}", "collection", name, "removed", removed), err);
    json_decref(removed);
    return code;
}

static int ingest_main(const struct invocation *invocation, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    if (parsed->argument_count == 0)
        return command_usage(invocation, "the files are missing");
    if (!parsed_has(parsed, "collection"))
        return command_usage(invocation, "--collection is missing");
    return parsed_has(parsed, "remove") ? ingest_remove(invocation, err)
                                        : ingest_files(invocation, err);
}

const struct command command_ingest = {
    .name = "ingest",
    .summary = "make documents searchable: text, Markdown, HTML, PDF",
    .arguments = "PATH...",
    .arguments_max = DOCUMENT_LIST_MAX,
    .about =
        "A path is a file, a folder or a pattern. Each file, and each readable file of a folder,\n"
        "becomes a document of the collection, which is made by its first one. A document is\n"
        "called by its path as it is given here: ingesting it again replaces it, and embeds only\n"
        "what has changed. What fails is listed, and is exit status 1; the other documents are in\n"
        "the collection.",
    .example = "argosy ingest README.md docs/ --collection docs\n"
               "argosy ingest 'papers/*.pdf' --collection docs --metadata '{\"year\": 2026}'\n"
               "argosy ingest docs/old.md --collection docs --remove",
    .options = {{ingest_options, session_options, common_options}},
    .run = ingest_main,
};
