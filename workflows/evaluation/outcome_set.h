/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome_set: the outcomes of a model on a suite, as they are gathered: from what the GPU steps
 * have made (answers.h), or from the report of an earlier run (report.h).
 *
 * Threading: one thread at a time per set.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_OUTCOME_SET_H
#define ARGOSY_WORKFLOWS_EVALUATION_OUTCOME_SET_H

#include "workflows/evaluation/outcome.h"
#include "workflows/evaluation/suite.h"

struct outcome_set;

/* One outcome per case, with its truth and no answer. The suite is borrowed until the set is
 * destroyed. ERR_MEMORY. */
int outcome_set_create(const struct suite *suite, struct outcome_set **ret_set, struct error *err);

/* Accepts NULL. */
void outcome_set_destroy(struct outcome_set *set);

/* Borrowed; gathered in place. */
struct outcomes *outcome_set_get(struct outcome_set *set);

/* The answer of a classification. ERR_LIMIT for more labels than a model may have, ERR_MEMORY. */
int outcome_set_label(struct outcome_set *set, size_t place, const char *label, double confidence,
                      struct error *err);

/* What a query found: hits, copied, by rank; best is borrowed. ERR_MEMORY. */
int outcome_set_hits(struct outcome_set *set, size_t place, const struct hit *hits, uint32_t count,
                     const char *best, struct error *err);

#endif
