/* SPDX-License-Identifier: Apache-2.0 */
/*
 * infer_task: what the activity run_inference reads and writes.
 *
 *   input    "text"  or  {"text": "text", "model": "NAME" or "NAME@VERSION"}
 *   result   {"input": "text", "label": "positive", "score": 0.9731}, and where the input names a
 *            model "model": which one it was, with the version of a registered one
 *
 * Threading: one thread at a time per task.
 */
#ifndef ARGOSY_WORKER_GPU_INFER_TASK_H
#define ARGOSY_WORKER_GPU_INFER_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "models/model.h"

struct infer_task {
    char *text; /* owns; UTF-8, may hold NUL */
    size_t text_size;
    char *model;            /* owns; NULL: the group's own */
    int32_t *ids;           /* owns */
    uint32_t cu_seqlens[2]; /* 0, tokens */
};

/* Reads the input. ERR_INVALID says what is wrong with it; ERR_MEMORY. infer_task_fini frees what
 * the struct owns. */
int infer_task_init(struct infer_task *task, const char *json, size_t size, struct error *err);

/* Cuts the text into tokens of its model. ERR_MEMORY. */
int infer_task_tokenise(struct infer_task *task, const struct model *model, struct error *err);

/* Accepts a zeroed struct. */
void infer_task_fini(struct infer_task *task);

/* Appends the result; model is what labelled it. ERR_INTERNAL for a score that is not finite,
 * ERR_LIMIT when the text makes the result larger than a payload may be, ERR_MEMORY. */
int infer_task_result(const struct infer_task *task, const char *model, const char *label,
                      float score, struct buffer *out, struct error *err);

#endif
