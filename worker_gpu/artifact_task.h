/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_task: what the activity embed_artifact reads and writes.
 *
 *   input    {"texts": {"artifact": "sha256:...", "size": 1048576}, "offset": 0, "count": 4096,
 *             "line": 1, "model": "NAME", "format": "f32"}
 *   result   {"vectors": {"artifact": "sha256:...", "size": 6291456}, "count": 4096,
 *             "dimension": 384, "truncated": 3, "model": "all-MiniLM-L6-v2"}
 *   details  {"texts": "sha256:...", "model": "all-MiniLM-L6-v2", "dimension": 384, "done": 1200,
 *             "truncated": 1, "offset": 90210, "line": 1201,
 *             "segments": [{"artifact": "sha256:...", "size": 1843200}]}
 *
 * "texts" is JSONL (models/text_lines.h); the task are `count` texts from the line that begins at
 * byte `offset`, which is the file's line number `line` (1; for error texts). The vectors artifact
 * is count x dimension little-endian fp32, row-major, nothing else. "truncated" counts texts that
 * are longer than the model reads.
 *
 * Details are a checkpoint: the vectors of the first `done` texts, in segments that follow each
 * other, and where the next text begins.
 *
 * Threading: one thread at a time per task.
 */
#ifndef ARGOSY_WORKER_GPU_ARTIFACT_TASK_H
#define ARGOSY_WORKER_GPU_ARTIFACT_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "storage/artifact.h"

/* A thousand million vectors of 384 numbers are 1.5 TB. */
#define ARTIFACT_TASK_TEXTS_MAX 1000000000u

/* A checkpoint of so many segments has about half a megabyte. */
#define ARTIFACT_TASK_SEGMENTS_MAX 4096u

struct artifact_task {
    /* the input */
    struct artifact texts;
    uint64_t offset;
    uint64_t count;
    uint64_t line;
    char *model; /* owns; NULL: the group's own */

    /* progress */
    uint64_t done;
    uint64_t truncated;
    uint64_t next_offset; /* of the first text that is not done */
    uint64_t next_line;
    struct artifact *segments; /* owns; the vectors of the first `saved` texts */
    size_t segment_count;
    uint64_t saved;
};

/* Reads the input. ERR_INVALID says what is wrong with it; ERR_MEMORY. artifact_task_fini frees
 * what the struct owns. */
int artifact_task_init(struct artifact_task *task, const char *json, size_t size,
                       struct error *err);

/* Accepts a zeroed struct. */
void artifact_task_fini(struct artifact_task *task);

/* Takes over the progress of an earlier dispatch's details; false, and nothing changed, for details
 * that are none, damaged, or of other texts or another model. */
bool artifact_task_resume(struct artifact_task *task, const char *details, size_t size,
                          const char *model_name, uint32_t dimension);

/* Back to the beginning. */
void artifact_task_restart(struct artifact_task *task);

/* Adds the artifact that has the vectors behind the segments so far, up to those done. ERR_LIMIT at
 * ARTIFACT_TASK_SEGMENTS_MAX, ERR_MEMORY. */
int artifact_task_save(struct artifact_task *task, const struct artifact *segment,
                       struct error *err);

/* Append details and result. A model's name has nothing to escape (model_store.h). */
void artifact_task_details(const struct artifact_task *task, const char *model_name,
                           uint32_t dimension, struct buffer *out);
void artifact_task_result(const struct artifact_task *task, const struct artifact *vectors,
                          const char *model_name, uint32_t dimension, struct buffer *out);

#endif
