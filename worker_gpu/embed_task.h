/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_task: what the activity compute_embeddings reads, collects and writes.
 *
 *   input    ["text", ...]  or
 *            {"texts": ["text", ...], "format": "json" | "binary", "model": "NAME"}
 *   result   [[0.1, ...], ...], or with "binary" all vectors in a row as little-endian fp32
 *   details  {"done": 12, "width": 384, "model": "all-MiniLM-L6-v2", "vectors": "<base64 of fp32>"}
 *
 * Details are a checkpoint: the vectors of the first `done` texts, so that the next dispatch starts
 * at text `done`. They stay below EMBED_DETAILS_MAX: of a larger task only its first part is kept.
 *
 * Threading: one thread at a time per task.
 */
#ifndef ARGOSY_WORKER_GPU_EMBED_TASK_H
#define ARGOSY_WORKER_GPU_EMBED_TASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/limits.h"
#include "models/model.h"

/* Half a payload: the base64 of 512 vectors of MiniLM is 1 MiB. */
#define EMBED_DETAILS_MAX (LIMIT_PAYLOAD_SIZE / 2)

struct embed_task {
    json_t *input; /* owns until the texts are tokens */
    char *model;   /* owns; NULL: the group's own */
    uint32_t texts;
    bool is_binary;       /* the result's form */
    int32_t *ids;         /* owns; all texts' tokens */
    uint32_t *cu_seqlens; /* owns; [texts + 1] */
    uint32_t width;
    float *vectors; /* owns; [texts, width] */
    uint32_t done;  /* texts whose vectors are there: the first ones */
};

/* Reads the input. ERR_INVALID says what is wrong with it; ERR_MEMORY. embed_task_fini frees what
 * the struct owns. */
int embed_task_init(struct embed_task *task, const char *json, size_t size, struct error *err);

/* Cuts the texts into tokens of their model and takes room for their vectors. ERR_LIMIT when the
 * result could not travel in one payload; ERR_MEMORY. */
int embed_task_tokenise(struct embed_task *task, const struct model *model, struct error *err);

/* Accepts a zeroed struct. */
void embed_task_fini(struct embed_task *task);

/* Takes over the vectors of an earlier dispatch's details and returns how many texts they are; 0
 * for details that are none, damaged, or of another model. */
uint32_t embed_task_resume(struct embed_task *task, const char *details, size_t size,
                           const char *model_name);

/* The vectors [count, width] of the texts that follow those done. */
void embed_task_add(struct embed_task *task, uint32_t count, const float *vectors);

/* Appends the details. */
void embed_task_details(const struct embed_task *task, const char *model_name, struct buffer *out);

/* Appends the result; every text must be done. ERR_LIMIT when it is larger than a payload may be,
 * ERR_INTERNAL for a vector that is not finite, ERR_MEMORY. */
int embed_task_result(const struct embed_task *task, struct buffer *out, struct error *err);

#endif
