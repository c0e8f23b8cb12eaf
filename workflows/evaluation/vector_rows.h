/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_rows: vectors of texts that were embedded in parts, as rows in the order of the texts.
 * The parts' files are mapped, so that memory holds what is being looked at.
 *
 * Threading: any thread may read rows; adding is for one.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_VECTOR_ROWS_H
#define ARGOSY_WORKFLOWS_EVALUATION_VECTOR_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct vector_part {
    const float *rows; /* mapped */
    uint32_t first, count;
};

struct vector_rows {
    uint32_t dimension;
    uint32_t count;
    struct vector_part *parts; /* owns */
    size_t part_count;
};

/* Zero-initialised but for dimension (at least 1) is empty and valid. Adds the file at fd, which
 * holds count rows of little-endian fp32 and nothing else; fd is borrowed. ERR_INVALID for another
 * size, ERR_IO, ERR_MEMORY. */
int vector_rows_add(struct vector_rows *rows, int fd, uint32_t count, struct error *err);
void vector_rows_fini(struct vector_rows *rows);

/* row is below count. */
const float *vector_rows_get(const struct vector_rows *rows, uint32_t row);

/* The cosine of two rows, which are normalised. */
float vector_rows_cosine(const struct vector_rows *rows, uint32_t first, uint32_t second);

#endif
