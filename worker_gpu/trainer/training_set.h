/* SPDX-License-Identifier: Apache-2.0 */
/*
 * training_set: labelled feature vectors, as they lie in the files that embedding made: chunks of
 * equally many rows, the last one shorter. Borrows all it points to. Threading: any thread.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_TRAINING_SET_H
#define ARGOSY_WORKER_GPU_TRAINER_TRAINING_SET_H

#include <stdint.h>

struct training_set {
    uint32_t count;
    uint32_t width;
    uint32_t chunk_rows;        /* of each chunk but the last */
    const float *const *chunks; /* [rows, width] each */
    const uint16_t *labels;     /* [count] class ids */
};

static inline const float *training_set_row(const struct training_set *set, uint32_t row)
{
    return set->chunks[row / set->chunk_rows] + (size_t)(row % set->chunk_rows) * set->width;
}

#endif
