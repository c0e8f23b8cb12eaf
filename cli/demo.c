/* SPDX-License-Identifier: Apache-2.0 */
/* demo: see demo.h. */
#include "cli/demo.h"

#include <stdlib.h>
#include <string.h>

#include "cli/outcome.h"
#include "common/fleet_config.h"
#include "common/uuid.h"
#include "workflows/shipped.h"
#include "workflows/text.h"
#include "workflows/text_activity.h"

/* A fleet that is up answers in seconds; this long without an answer something is wrong. */
#define RESULT_TIMEOUT_MS (10 * 60 * 1000)

/* Starts one run with one JSON argument; takes input. */
static int run_start(struct session *session, const char *type, json_t *input, struct demo_run *run,
                     struct error *err)
{
    char *text = input != NULL ? json_dumps(input, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    json_decref(input);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    struct argosy_error why = {0};
    int code = argosy_client_start(
        session->client,
        &(struct argosy_start_options){.workflow_id = run->workflow_id,
                                       .workflow_type = type,
                                       .task_queue = FLEET_QUEUE_CPU,
                                       .input = ARGOSY_PAYLOADS(argosy_payload_json(text))},
        run->run_id, &why);
    free(text);
    return code == 0 ? 0 : session_error(&why, err);
}

/* Waits for a run; its failure is a result. */
static int run_wait(struct session *session, struct demo_run *run, struct error *err)
{
    struct argosy_error why = {0};
    struct argosy_payload result = {0};
    int code = argosy_client_result(session->client, run->workflow_id, run->run_id,
                                    RESULT_TIMEOUT_MS, session->arena, &result, &why);
    if (code == 0) {
        run->result = outcome_value(&result, session->arena);
        return 0;
    }
    if (why.failure == NULL && code != ARGOSY_ERR_CANCELED && code != ARGOSY_ERR_ABORTED)
        return session_error(&why, err);
    run->failure = why.failure != NULL ? argosy_failure_text(why.failure, session->arena)
                                       : argosy_arena_printf(session->arena, "%s", why.text);
    return run->failure != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

/* Which texts the batches embed: those that BatchEmbedWorkflow neither drops nor refuses. */
static void embedded_choose(struct demo *demo)
{
    for (size_t i = 0; i < demo->texts->count; i++) {
        const char *text = demo->texts->items[i];
        struct text_measure measure;
        if (text_measure(text, strlen(text), &measure, NULL) == 0 && !measure.blank &&
            measure.length <= TEXT_LENGTH_MAX)
            demo->embedded[demo->embedded_count++] = i;
    }
}

static int runs_start(struct session *session, struct demo *demo, struct error *err)
{
    char uuid[UUID_TEXT_SIZE];
    uuid_create(uuid);
    for (size_t i = 0; i < demo->texts->count; i++) {
        struct demo_run *run = &demo->inferences[i];
        snprintf(run->workflow_id, sizeof(run->workflow_id), "demo-%.8s-infer-%zu", uuid, i + 1);
        int code = run_start(session, WORKFLOW_PREPARE_AND_INFER,
                             json_string(demo->texts->items[i]), run, err);
        if (code != 0)
            return code;
    }
    for (size_t i = 0; i < demo->embedded_count; i += DEMO_BATCH) {
        struct demo_run *run = &demo->batches[demo->batch_count++];
        snprintf(run->workflow_id, sizeof(run->workflow_id), "demo-%.8s-embed-%zu", uuid,
                 demo->batch_count);
        json_t *texts = json_array();
        for (size_t j = i; j < demo->embedded_count && j < i + DEMO_BATCH; j++)
            json_array_append_new(texts, json_string(demo->texts->items[demo->embedded[j]]));
        int code = run_start(session, WORKFLOW_BATCH_EMBED, texts, run, err);
        if (code != 0)
            return code;
    }
    return 0;
}

static int runs_wait(struct session *session, struct demo *demo, struct error *err)
{
    for (size_t i = 0; i < demo->texts->count; i++) {
        int code = run_wait(session, &demo->inferences[i], err);
        if (code != 0)
            return code;
    }
    bool complete = true;
    for (size_t i = 0; i < demo->batch_count; i++) {
        int code = run_wait(session, &demo->batches[i], err);
        if (code == 0 && demo->batches[i].result != NULL)
            code = vectors_append(&demo->vectors, demo->batches[i].result, err);
        if (code != 0)
            return code;
        complete = complete && demo->batches[i].result != NULL;
    }
    /* Vectors are told apart by their place: a missing batch would shift them. */
    if (!complete)
        vectors_fini(&demo->vectors);
    else if (demo->vectors.count != demo->embedded_count)
        return error_set(err, ERR_PROTOCOL, "%zu vectors came back for %zu texts",
                         demo->vectors.count, demo->embedded_count);
    return 0;
}

int demo_run(struct session *session, const struct text_list *texts, struct demo *ret_demo,
             struct error *err)
{
    size_t count = texts->count;
    *ret_demo = (struct demo){
        .texts = texts,
        .inferences = calloc(count + 1, sizeof(*ret_demo->inferences)),
        .batches = calloc(count / DEMO_BATCH + 1, sizeof(*ret_demo->batches)),
        .embedded = calloc(count + 1, sizeof(*ret_demo->embedded)),
    };
    if (ret_demo->inferences == NULL || ret_demo->batches == NULL || ret_demo->embedded == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    embedded_choose(ret_demo);
    int code = runs_start(session, ret_demo, err);
    return code == 0 ? runs_wait(session, ret_demo, err) : code;
}

void demo_fini(struct demo *demo)
{
    for (size_t i = 0; demo->inferences != NULL && i < demo->texts->count; i++)
        json_decref(demo->inferences[i].result);
    for (size_t i = 0; i < demo->batch_count; i++)
        json_decref(demo->batches[i].result);
    free(demo->inferences);
    free(demo->batches);
    free(demo->embedded);
    vectors_fini(&demo->vectors);
    *demo = (struct demo){0};
}

bool demo_is_complete(const struct demo *demo)
{
    bool complete = true;
    for (size_t i = 0; i < demo->texts->count; i++)
        complete = complete && demo->inferences[i].result != NULL;
    for (size_t i = 0; i < demo->batch_count; i++)
        complete = complete && demo->batches[i].result != NULL;
    return complete;
}
