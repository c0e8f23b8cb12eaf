/* SPDX-License-Identifier: Apache-2.0 */
/*
 * training_data: a part of a dataset from its artifacts: the labels from the JSONL of examples, the
 * vectors mapped from the files that embedding made, so that they take no more memory than the
 * kernel thinks useful (workflows/finetune/fine_tune.h: stored, vectors).
 *
 * Threading: one thread at a time per data.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_TRAINING_DATA_H
#define ARGOSY_WORKER_GPU_TRAINER_TRAINING_DATA_H

#include <jansson.h>

#include "common/error.h"
#include "storage/storage_client.h"
#include "worker_gpu/trainer/training_set.h"

struct training_data {
    struct training_set set;
    uint16_t *labels; /* owns, as the two below */
    const float **chunks;
    size_t *chunk_sizes; /* bytes mapped */
    uint32_t chunk_count;
};

/* The labels a request's parts are of, by name: a class id is a place in it. Borrows. */
struct training_labels {
    const char **names; /* owns the list, not the names */
    uint32_t count;
};

/* Reads {"labels": [...]}, which must be sorted by name. ERR_INVALID, ERR_MEMORY. names lives as
 * long as stored; training_labels_fini frees. */
int training_labels_read(const json_t *stored, struct training_labels *ret_labels,
                         struct error *err);
void training_labels_fini(struct training_labels *labels);

/* Opens a part by name ("train"). ERR_INVALID where stored and vectors do not fit each other,
 * ERR_CORRUPT for examples that are none; errors of artifact_open. training_data_fini frees. */
int training_data_open(struct storage_client *storage, const json_t *stored, const json_t *vectors,
                       const char *part, const struct training_labels *labels,
                       struct training_data *ret_data, struct error *err);

/* Accepts a zeroed struct. */
void training_data_fini(struct training_data *data);

#endif
