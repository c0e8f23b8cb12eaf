/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipped: the workflows that come with Argosy, by type name, and the activities they call.
 *
 *     PrepareAndInferWorkflow   text, or {"text", "model"} -> {"input", "label", "score"}
 *         validate_input (cpu-queue) -> preprocess (cpu-queue) -> run_inference (gpu-queue)
 *     BatchEmbedWorkflow        [text ...] -> [[number ...] ...]          batch_embed.c
 *         preprocess_batch (cpu-queue) -> compute_embeddings (gpu-queue)
 *     DocumentIngestWorkflow    ingest_request.h -> {"document_id", "collection", "chunks", ...}
 *         load_and_chunk (cpu-queue) -> select_new_chunks (storage-queue) -> embed_artifact
 *         (gpu-queue), several -> index_chunks, commit_document (storage-queue)  document_ingest.c
 *     SearchWorkflow            {"collection", "question", ...} -> [{"document_id", ...} ...]
 *         find_collection (storage-queue) -> compute_embeddings (gpu-queue) -> search_vectors
 *         (storage-queue)                                             search.c
 *     FineTuneWorkflow          labelled texts -> a registered classifier         fine_tune.h
 *     EmbedFileWorkflow         file of texts -> file of vectors          embed_file.c
 *         plan_texts (storage-queue) -> embed_artifact (gpu-queue), several at once
 *         -> assemble_vectors (storage-queue)
 *     EvalWorkflow              suite, model -> scores, report    evaluation/evaluate.h
 *
 * Inputs and results are JSON payloads. run_inference takes the preprocessed text as a JSON string,
 * or {"text", "model"}; compute_embeddings a JSON list of texts; they and embed_artifact are
 * registered by GPU workers (worker_gpu/).
 *
 * Threading: registration happens before a worker runs; the functions registered have no state.
 */
#ifndef ARGOSY_WORKFLOWS_SHIPPED_H
#define ARGOSY_WORKFLOWS_SHIPPED_H

#include <argosy/registry.h>

#include "common/fleet_config.h"
#include "storage/storage_client.h"

#define WORKFLOW_PREPARE_AND_INFER "PrepareAndInferWorkflow"
#define WORKFLOW_BATCH_EMBED       "BatchEmbedWorkflow"
#define WORKFLOW_FINE_TUNE         "FineTuneWorkflow"
#define WORKFLOW_DOCUMENT_INGEST   "DocumentIngestWorkflow"
#define WORKFLOW_SEARCH            "SearchWorkflow"
#define WORKFLOW_EMBED_FILE        "EmbedFileWorkflow"
#define WORKFLOW_EVAL              "EvalWorkflow"

#define ACTIVITY_VALIDATE_INPUT     "validate_input"
#define ACTIVITY_PREPROCESS         "preprocess"
#define ACTIVITY_PREPROCESS_BATCH   "preprocess_batch"
#define ACTIVITY_RUN_INFERENCE      "run_inference"
#define ACTIVITY_COMPUTE_EMBEDDINGS "compute_embeddings"
#define ACTIVITY_EMBED_ARTIFACT     "embed_artifact"
#define ACTIVITY_PLAN_TEXTS         "plan_texts"
#define ACTIVITY_ASSEMBLE_VECTORS   "assemble_vectors"

#define ACTIVITY_VALIDATE_DATASET    "validate_dataset"
#define ACTIVITY_STORE_DATASET       "store_dataset"
#define ACTIVITY_TRAIN_CLASSIFIER    "train_classifier"
#define ACTIVITY_EVALUATE_CLASSIFIER "evaluate_classifier"
#define ACTIVITY_REGISTER_MODEL      "register_model"

/* How long a step that somebody waits for may stand in its queue before an attempt begins, in
 * milliseconds: by then nobody serves the queue, or far too few do, and the caller hears of it.
 * Bulk work (embed_artifact, training) waits as long as it has to. */
#define INTERACTIVE_WAIT_MS 60000

#define ACTIVITY_VALIDATE_SUITE    "validate_suite"
#define ACTIVITY_STORE_SUITE       "store_suite"
#define ACTIVITY_CLASSIFY_ARTIFACT "classify_artifact"
#define ACTIVITY_SCORE_SUITE       "score_suite"
#define ACTIVITY_WRITE_PAGE        "write_page"

/* What the activities are given as their user_data. All of it is borrowed. */
struct shipped_context {
    struct storage_client *storage;    /* connects with the first call */
    const struct fleet_config *config; /* of the worker's node */
};

/* Registers the shipped workflows and CPU activities; context must outlive the registry.
 * ARGOSY_ERR_EXISTS when a name is taken. */
int shipped_register(struct argosy_registry *registry, const struct shipped_context *context,
                     struct argosy_error *err);

argosy_workflow_function prepare_and_infer;
argosy_workflow_function batch_embed;
argosy_workflow_function document_ingest;
argosy_workflow_function search;

#endif
