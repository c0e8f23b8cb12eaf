/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bootstrap: how far a metric would move with other cases of the same kind.
 *
 * BOOTSTRAP_RESAMPLES times as many cases as there are are drawn, with replacement, and the metric
 * is computed of them; the interval is that between the 2.5th and the 97.5th percentile (linear
 * between neighbours). With a baseline, both models are scored on each resample, and the difference
 * of the two is treated alike (a paired bootstrap): a case that is hard for both moves neither.
 * Draws come from one seed, so that the same outcomes give the same interval, bit for bit.
 *
 * What it does not say: a suite without one wrong answer gives an interval without width, and a
 * handful of cases an interval that is too narrow.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_BOOTSTRAP_H
#define ARGOSY_WORKFLOWS_EVALUATION_BOOTSTRAP_H

#include "workflows/evaluation/metric.h"

/* The 2.5th percentile lies between the 50th and 51st smallest: its own scatter is a twentieth of
 * the interval. */
#define BOOTSTRAP_RESAMPLES 2000u
#define BOOTSTRAP_SEED      20260101u
#define BOOTSTRAP_LEVEL     0.95

struct estimate {
    double value, low, high;
};

struct metric_score {
    struct estimate own;
    struct estimate baseline, difference; /* own - baseline; only with a baseline */
};

/* Called now and then during the work; not 0 ends it with that code. */
typedef int bootstrap_tick_fn(void *arg, struct error *err);

/* Scores every metric of the list; ret_scores has room for list->count. baseline may be NULL, else
 * has the same cases in the same order. tick may be NULL. ERR_MEMORY, or what tick returned. */
int bootstrap_score(const struct metric_list *list, const struct outcomes *own,
                    const struct outcomes *baseline, bootstrap_tick_fn *tick, void *arg,
                    struct metric_score *ret_scores, struct error *err);

#endif
