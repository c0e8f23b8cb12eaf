/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classify_artifact: the activity that labels texts of a JSONL artifact, as run_inference labels
 * one:
 *
 *   input    {"texts": {"artifact": "sha256:...", "size": 1048576}, "offset": 0, "count": 512,
 *             "line": 1, "model": "NAME"}          as of embed_artifact (artifact_task.h)
 *   result   {"labels": {"artifact": "sha256:...", "size": 20480}, "count": 512, "model": "NAME"}
 *
 * The labels artifact is JSONL, one line {"label": "positive", "score": 0.9731} per text. A task is
 * a part of a larger whole, at most CLASSIFY_TEXTS_MAX texts: it has no checkpoint, and is done
 * again when its process is lost.
 *
 * Failures that are not tried again are those of embed_artifact. Threading: runs on threads of the
 * SDK, several at once.
 */
#ifndef ARGOSY_WORKER_GPU_CLASSIFY_ARTIFACT_H
#define ARGOSY_WORKER_GPU_CLASSIFY_ARTIFACT_H

#include <argosy/activity.h>

#define ACTIVITY_CLASSIFY_ARTIFACT "classify_artifact"

/* Some seconds of a GPU, a minute of a CPU. */
#define CLASSIFY_TEXTS_MAX 4096u

/* user_data is the worker's struct gpu_context. */
argosy_activity_function classify_artifact;

#endif
