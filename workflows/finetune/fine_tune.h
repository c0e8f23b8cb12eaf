/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fine_tune: what the steps of FineTuneWorkflow hand to each other; all of it JSON.
 *
 *   request   {"job_id", "name", "dataset": REF or {"train": REF, "held_out": REF}, "base"?,
 *              "training"?: {...}}         REF: artifact_reference.h; training: training_options.h
 *   stored    {"labels": [NAME...], "parts": {"train": PART, "validation": PART, "held_out": PART}}
 *             PART: {"examples": REF of JSONL, "count", "chunks": [[byte offset, count]...]}
 *   vectors   {"dimension", "train": [REF...], "validation": [REF...], "held_out": [REF...]}
 *             one REF per chunk, of its examples' vectors, fp32
 *   trained   {"head": REF, "base": {"name", "sha256"}, "pooling", "normalize", "epochs", "steps",
 *              "best_epoch", "loss", "validation_loss", "validation_accuracy", "stopped"}
 *   evaluated metrics (classification.h)
 *
 *   validate_dataset (request) -> report (dataset.h)                      cpu-queue
 *   store_dataset (request) -> stored                                     storage-queue
 *   embed_artifact, one per chunk                                         gpu-queue
 *   train_classifier (request, stored, vectors) -> trained                gpu-queue
 *   evaluate_classifier (request, stored, vectors, trained) -> evaluated  gpu-queue
 *   register_model (request, stored, trained, evaluated) -> result        storage-queue
 *
 * The result: {"model": "NAME@VERSION", "name", "version", "labels", "metrics", "head", "training",
 * "dataset", "base"}. Failures that a retry would not mend: "InvalidInput" for a request that is
 * wrong, "InvalidDataset" for a dataset that is not fit: the first problems in the text, the report
 * in the details.
 */
#ifndef ARGOSY_WORKFLOWS_FINE_TUNE_H
#define ARGOSY_WORKFLOWS_FINE_TUNE_H

#include <argosy/activity.h>
#include <argosy/workflow.h>
#include <stdbool.h>

#include "models/model_config.h"
#include "storage/artifact.h"
#include "storage/model_registry.h"
#include "workflows/finetune/training_options.h"

#define FINE_TUNE_WORKFLOW_ID "finetune-%s" /* of a job id */

/* Examples of one embedding activity: 6 MB of vectors of MiniLM, and some ten seconds of a CPU. */
#define FINE_TUNE_CHUNK 4096u

#define FINE_TUNE_JOB_ID_MAX 200
#define FINE_TUNE_HEAD_KIND  "text-classification-head"

struct fine_tune_request {
    const char *job_id;
    const char *name; /* of the model that comes of it */
    const char *base; /* the encoder; FLEET_MODEL_DEFAULT where not given */
    struct artifact train;
    struct artifact held_out;
    bool has_held_out; /* else a part of train is held out */
    struct training_options training;
};

/* Reads and checks a request; its strings live in arena. ERR_INVALID says what is wrong. */
int fine_tune_request_read(const struct argosy_payload *input, struct argosy_arena *arena,
                           struct fine_tune_request *ret_request, struct error *err);

argosy_workflow_function fine_tune;

/* user_data: the process's struct shipped_context. */
argosy_activity_function validate_dataset;
argosy_activity_function store_dataset;
argosy_activity_function register_model;

#endif
