/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_postgres_filter: a filter as a condition of SQL with the meaning of vector_filter_accepts.
 * Names and values are parameters, never text of the statement. Threading: any thread; no state.
 */
#ifndef ARGOSY_STORAGE_VECTOR_POSTGRES_FILTER_H
#define ARGOSY_STORAGE_VECTOR_POSTGRES_FILTER_H

#include "storage/vectors/vector_filter.h"
#include "storage/vectors/postgres.h"

/* Appends " AND ..." for each condition, over tables chunk and document with columns facts (jsonb)
 * and document.name. */
void vector_postgres_filter(const struct vector_filter *filter, struct buffer *sql,
                            struct postgres_parameters *parameters);

#endif
