/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_file: EmbedFileWorkflow and its activities: a file of texts becomes a file of vectors.
 *
 *   input    {"input": {"artifact": ..., "size": ...}, "format": "npy" | "safetensors",
 *             "model": "NAME", "part_texts": 2048, "parallel": 8}     all but "input" may be
 * missing result   {"output": {"artifact": ..., "size": ...}, "input": {...}, "format": "npy",
 *             "count": 2000, "dimension": 384, "truncated": 3, "model": "all-MiniLM-L6-v2"}
 *
 * The input is JSONL (models/text_lines.h), the output one row per text, in their order: a .npy
 * file of little-endian fp32, or a safetensors file with the tensor "vectors".
 *
 *   plan_texts        (storage-queue)  reads every line once: what is wrong with the file is found
 *                                      before anything is computed; cuts it into parts
 *   embed_artifact    (gpu-queue)      each part; at most `parallel` at once (worker_gpu/)
 *   assemble_vectors  (storage-queue)  the parts' vectors behind a header
 *
 *   plan_texts        {"input": {...}, "part_texts": 2048}
 *                     -> {"count": 2000, "parts": [{"offset": 0, "line": 1, "count": 2000}, ...]}
 *   assemble_vectors  {"format": "npy", "dimension": 384,
 *                      "parts": [{"artifact": ..., "size": ..., "count": 2000}, ...]}
 *                     -> {"output": {"artifact": ..., "size": ...}}
 *
 * The query "progress" answers {"stage", "done", "total", "unit"}.
 */
#ifndef ARGOSY_WORKFLOWS_EMBED_FILE_H
#define ARGOSY_WORKFLOWS_EMBED_FILE_H

#include <argosy/activity.h>
#include <argosy/workflow.h>

/* Texts of a part: what a killed worker's part costs at most, and seldom more than a minute on a
 * CPU. Parts are merged in pairs while a file has more than the second number: each takes three
 * events of the history, which may have 51,200. */
#define EMBED_PART_TEXTS     2048
#define EMBED_PART_TEXTS_MAX 1000000
#define EMBED_PARTS_MAX      2048

#define EMBED_PARALLEL     8
#define EMBED_PARALLEL_MAX 64

argosy_workflow_function embed_file;

/* user_data is a struct shipped_context (shipped.h). */
argosy_activity_function plan_texts;
argosy_activity_function assemble_vectors;

#endif
