/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_artifact: the activity that turns texts of a JSONL artifact into an artifact of vectors
 * (artifact_task.h has the forms of its payloads).
 *
 * It reads its texts in windows, two of which are with the batcher at any time, and writes their
 * vectors to an unnamed file: memory does not grow with the task. Every few seconds the vectors
 * since the last checkpoint become an artifact, whose name travels with the heartbeat; the next
 * dispatch fetches them and goes on behind them, and its result is that of an undisturbed run, bit
 * for bit. When the worker drains, the task is handed back with such a checkpoint. What storage
 * cannot take at a checkpoint is tried again at the next one; only the result must get there.
 *
 * Failures that are not tried again (failure.h): wrong input, a line that holds no text ("line 17:
 * ..."), an artifact that is not there, a model that is not there or damaged.
 *
 * Threading: runs on threads of the SDK, several at once.
 */
#ifndef ARGOSY_WORKER_GPU_EMBED_ARTIFACT_H
#define ARGOSY_WORKER_GPU_EMBED_ARTIFACT_H

#include <argosy/activity.h>

#define ACTIVITY_EMBED_ARTIFACT "embed_artifact"

/* user_data is the worker's struct gpu_context. */
argosy_activity_function embed_artifact;

#endif
