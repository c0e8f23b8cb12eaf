/* SPDX-License-Identifier: Apache-2.0 */
/* shipped: see shipped.h. */
#include "workflows/shipped.h"

#include <stddef.h>
#include <stdint.h>

#include "workflows/embed/embed_file.h"
#include "workflows/evaluation/evaluate.h"
#include "workflows/finetune/fine_tune.h"
#include "workflows/ingest/ingest_activity.h"
#include "workflows/search/search_activity.h"
#include "workflows/text_activity.h"

static const struct {
    const char *type;
    argosy_workflow_function *function;
} workflows[] = {
    {WORKFLOW_PREPARE_AND_INFER, prepare_and_infer},
    {WORKFLOW_BATCH_EMBED, batch_embed},
    {WORKFLOW_EMBED_FILE, embed_file},
    {WORKFLOW_FINE_TUNE, fine_tune},
    {WORKFLOW_DOCUMENT_INGEST, document_ingest},
    {WORKFLOW_SEARCH, search},
    {WORKFLOW_EVAL, evaluate},
};

static const struct {
    const char *type;
    argosy_activity_function *function;
} activities[] = {
    {ACTIVITY_VALIDATE_INPUT, validate_input},
    {ACTIVITY_PREPROCESS, preprocess},
    {ACTIVITY_PREPROCESS_BATCH, preprocess_batch},
    {ACTIVITY_VALIDATE_DATASET, validate_dataset},
    {ACTIVITY_STORE_DATASET, store_dataset},
    {ACTIVITY_REGISTER_MODEL, register_model},
    {ACTIVITY_LOAD_AND_CHUNK, load_and_chunk},
    {ACTIVITY_SELECT_NEW_CHUNKS, select_new_chunks},
    {ACTIVITY_INDEX_CHUNKS, index_chunks},
    {ACTIVITY_COMMIT_DOCUMENT, commit_document},
    {ACTIVITY_FIND_COLLECTION, find_collection},
    {ACTIVITY_SEARCH_VECTORS, search_vectors},
    {ACTIVITY_PLAN_TEXTS, plan_texts},
    {ACTIVITY_ASSEMBLE_VECTORS, assemble_vectors},
    {ACTIVITY_VALIDATE_SUITE, validate_suite},
    {ACTIVITY_STORE_SUITE, store_suite},
    {ACTIVITY_SCORE_SUITE, score_suite},
    {ACTIVITY_WRITE_PAGE, write_page},
};

int shipped_register(struct argosy_registry *registry, const struct shipped_context *context,
                     struct argosy_error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof(workflows) / sizeof(workflows[0]); i++)
        code = argosy_registry_add_workflow(registry, workflows[i].type, workflows[i].function,
                                            NULL, err);
    for (size_t i = 0; code == 0 && i < sizeof(activities) / sizeof(activities[0]); i++)
        code = argosy_registry_add_activity(registry, activities[i].type, activities[i].function,
                                            (void *)(uintptr_t)context, err);
    return code;
}
