/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers: from what a model made of a suite's texts to the outcomes of its cases.
 *
 *   similarity  the cosine of the pair's two vectors
 *   retrieval   every document by the cosine of its vector and the query's; of equals the one that
 *               comes first in the suite
 *
 * Threading: one thread at a time per set of outcomes.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_ANSWERS_H
#define ARGOSY_WORKFLOWS_EVALUATION_ANSWERS_H

#include "workflows/evaluation/bootstrap.h"
#include "workflows/evaluation/outcome_set.h"
#include "workflows/evaluation/suite.h"
#include "workflows/evaluation/vector_rows.h"

/* The answers of the cases from *place on, from a file (fd, borrowed) of lines {"label", "score"},
 * one a case; count of them are expected. ERR_INVALID for a file that is another, ERR_IO,
 * ERR_MEMORY. */
int answers_classify(struct outcome_set *set, size_t place, size_t count, int fd,
                     struct error *err);

/* rows has the vectors of all texts of the suite. A vector that is not finite is ERR_INVALID. tick
 * may be NULL; not 0 ends the work with that code. ERR_MEMORY. */
int answers_compare(struct outcome_set *set, const struct suite *suite,
                    const struct vector_rows *rows, struct error *err);
int answers_retrieve(struct outcome_set *set, const struct suite *suite,
                     const struct vector_rows *rows, bootstrap_tick_fn *tick, void *arg,
                     struct error *err);

#endif
