/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search: the chunks of a collection that are nearest to a question.
 *
 * Input: {"collection", "question", "k" (5), "filter", "model"}; filter as in storage/vectors.h;
 * model is that of the collection and need not be said, which costs one step less. Result:
 * [{"document_id", "ordinal", "score", "text", "metadata"} ...], best first. Somebody waits for the
 * answer: the question's embedding goes before all other work of the GPU queue.
 */
#include <argosy/workflow.h>
#include <string.h>

#include "common/fleet_config.h"
#include "storage/vectors.h"
#include "workflows/failure.h"
#include "workflows/json_members.h"
#include "workflows/json_payload.h"
#include "workflows/search/search_activity.h"
#include "workflows/shipped.h"
#include "workflows/text.h"
#include "workflows/text_activity.h"

#define NEIGHBOURS_DEFAULT 5
#define QUESTION_PRIORITY  1

/* Both steps take milliseconds; whoever asked would rather hear of a failure than wait. */
static const struct argosy_retry_policy retry = {.initial_interval_ms = 500, .maximum_attempts = 3};

#define STEP_TIMEOUT_MS 30000

struct question {
    const char *collection;
    const char *text;
    const char *model;  /* NULL: the collection's */
    const char *filter; /* JSON; NULL: none */
    json_int_t k;
};

static int wrong(struct argosy_arena *arena, const char *what, struct argosy_error *err)
{
    return failure_final(arena, FAILURE_INVALID_INPUT, err, "%s", what);
}

static int question_check(const json_t *object, struct argosy_arena *arena,
                          struct argosy_error *err)
{
    static const char *const names[] = {"collection", "question", "k", "filter", "model"};
    struct error why;
    if (json_members_check(object, names, sizeof names / sizeof names[0], &why) != 0)
        return failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
    const json_t *text = json_object_get(object, "question");
    const json_t *collection = json_object_get(object, "collection");
    const json_t *model = json_object_get(object, "model");
    const json_t *k = json_object_get(object, "k");
    const json_t *filter = json_object_get(object, "filter");
    struct text_measure measure;
    if (json_string_length(collection) == 0)
        return wrong(arena, "\"collection\" must be a collection's name", err);
    if (!json_is_string(text) ||
        text_measure(json_string_value(text), json_string_length(text), &measure, NULL) != 0 ||
        measure.blank || measure.length > TEXT_LENGTH_MAX)
        return wrong(arena, "\"question\" must be a text, not blank, of at most 10000 characters",
                     err);
    if (model != NULL && json_string_length(model) == 0)
        return wrong(arena, "\"model\" must be a model's name", err);
    if (k != NULL && (!json_is_integer(k) || json_integer_value(k) < 1 ||
                      json_integer_value(k) > VECTOR_NEIGHBOURS_MAX))
        return wrong(arena, "\"k\" must be a whole number from 1 to 1000", err);
    if (filter != NULL && !json_is_object(filter) && !json_is_null(filter))
        return wrong(arena, "\"filter\" must be an object", err);
    return 0;
}

static int question_read(const struct argosy_payload *input, struct argosy_arena *arena,
                         struct question *ret_question, struct argosy_error *err)
{
    json_t *object;
    int code = json_payload_read_object(input, arena, &object, err);
    if (code != 0)
        return code;
    code = question_check(object, arena, err);
    if (code != 0) {
        json_decref(object);
        return code;
    }
    const json_t *k = json_object_get(object, "k");
    const json_t *model = json_object_get(object, "model");
    const json_t *filter = json_object_get(object, "filter");
    struct question question = {
        .collection = argosy_arena_printf(arena, "%s",
                                          json_string_value(json_object_get(object, "collection"))),
        .text = argosy_arena_printf(arena, "%s",
                                    json_string_value(json_object_get(object, "question"))),
        .model = model != NULL ? argosy_arena_printf(arena, "%s", json_string_value(model)) : NULL,
        .k = k != NULL ? json_integer_value(k) : NEIGHBOURS_DEFAULT,
    };
    struct argosy_payload text;
    if (json_is_object(filter)) {
        code = json_payload_make(json_incref((json_t *)filter), arena, &text, err);
        if (code == 0)
            question.filter =
                argosy_arena_printf(arena, "%.*s", (int)text.size, (const char *)text.data);
    }
    json_decref(object);
    if (code == 0)
        *ret_question = question;
    return code;
}

/* The collection's model, where none was said. */
static int model_find(struct argosy_workflow *workflow, struct question *question,
                      struct argosy_error *err)
{
    if (question->model != NULL)
        return 0;
    struct argosy_arena *arena = argosy_workflow_arena(workflow);
    struct argosy_payload input, result, model;
    int code = json_payload_make(json_pack("{s:s}", "collection", question->collection), arena,
                                 &input, err);
    if (code == 0)
        code = argosy_activity_execute(workflow,
                                       &(struct argosy_activity_options){
                                           .type = ACTIVITY_FIND_COLLECTION,
                                           .task_queue = FLEET_QUEUE_STORAGE,
                                           .input = {&input, 1},
                                           .start_to_close_timeout_ms = STEP_TIMEOUT_MS,
                                           .schedule_to_start_timeout_ms = INTERACTIVE_WAIT_MS,
                                           .retry_policy = retry,
                                           .priority = QUESTION_PRIORITY,
                                       },
                                       &result, err);
    if (code == 0)
        code = argosy_payload_get_member(&result, "model", arena, &model, err);
    return code == 0 ? argosy_payload_get_string(&model, arena, &question->model, err) : code;
}

/* The question's vector, as little-endian fp32. */
static int question_embed(struct argosy_workflow *workflow, const struct question *question,
                          struct argosy_payload *ret_vector, struct argosy_error *err)
{
    struct argosy_payload input;
    int code = json_payload_make(json_pack("{s:[s], s:s, s:s}", "texts", question->text, "model",
                                           question->model, "format", "binary"),
                                 argosy_workflow_arena(workflow), &input, err);
    if (code != 0)
        return code;
    return argosy_activity_execute(workflow,
                                   &(struct argosy_activity_options){
                                       .type = ACTIVITY_COMPUTE_EMBEDDINGS,
                                       .task_queue = FLEET_QUEUE_GPU,
                                       .input = {&input, 1},
                                       .start_to_close_timeout_ms = STEP_TIMEOUT_MS,
                                       .schedule_to_start_timeout_ms = INTERACTIVE_WAIT_MS,
                                       .retry_policy = retry,
                                       .priority = QUESTION_PRIORITY,
                                   },
                                   ret_vector, err);
}

static int neighbours_search(struct argosy_workflow *workflow, const struct question *question,
                             const struct argosy_payload *vector, struct argosy_payload *ret_result,
                             struct argosy_error *err)
{
    struct argosy_payload input;
    json_t *query = json_pack("{s:s, s:s, s:I}", "collection", question->collection, "model",
                              question->model, "k", question->k);
    if (question->filter != NULL)
        json_object_set_new(query, "filter", json_loads(question->filter, 0, NULL));
    int code = json_payload_make(query, argosy_workflow_arena(workflow), &input, err);
    if (code != 0)
        return code;
    return argosy_activity_execute(workflow,
                                   &(struct argosy_activity_options){
                                       .type = ACTIVITY_SEARCH_VECTORS,
                                       .task_queue = FLEET_QUEUE_STORAGE,
                                       .input = ARGOSY_PAYLOADS(input, *vector),
                                       .start_to_close_timeout_ms = STEP_TIMEOUT_MS,
                                       .schedule_to_start_timeout_ms = INTERACTIVE_WAIT_MS,
                                       .retry_policy = retry,
                                       .priority = QUESTION_PRIORITY,
                                   },
                                   ret_result, err);
}

int search(struct argosy_workflow *workflow, void *user_data, struct argosy_payload *ret_result,
           struct argosy_error *err)
{
    (void)user_data;
    struct question question;
    struct argosy_payload vector;
    int code = question_read(argosy_workflow_input(workflow), argosy_workflow_arena(workflow),
                             &question, err);
    if (code == 0)
        code = model_find(workflow, &question, err);
    if (code == 0)
        code = question_embed(workflow, &question, &vector, err);
    if (code == 0)
        code = neighbours_search(workflow, &question, &vector, ret_result, err);
    return code;
}
