/* SPDX-License-Identifier: Apache-2.0 */
/* bootstrap: see bootstrap.h. */
#include "workflows/evaluation/bootstrap.h"

#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

/* Resamples between two ticks: a second of work at most, with the largest suites. */
#define TICK_RESAMPLES 32u

/* Both models' series of a metric, and its values of all resamples. */
struct pair {
    struct metric_series *own, *baseline;
    double *samples, *baseline_samples, *differences;
};

struct bootstrap {
    size_t cases;
    uint32_t *weights; /* how often each case was drawn */
    struct pair pairs[METRICS_MAX];
    size_t pair_count;
    uint64_t random;
};

/* splitmix64 (Steele, Lea and Flood 2014): one add and one mix per number. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* A multiplication instead of a remainder: with at most 2^17 cases its bias is below 2^-15 of a
 * case. */
static void draw(struct bootstrap *bootstrap)
{
    memset(bootstrap->weights, 0, bootstrap->cases * sizeof *bootstrap->weights);
    for (size_t i = 0; i < bootstrap->cases; i++) {
        uint64_t random = random_next(&bootstrap->random) >> 32;
        bootstrap->weights[(random * bootstrap->cases) >> 32]++;
    }
}

static int pair_init(struct pair *pair, const struct metric *metric, const struct outcomes *own,
                     const struct outcomes *baseline, struct error *err)
{
    size_t size = BOOTSTRAP_RESAMPLES * sizeof(double);
    pair->samples = malloc(size);
    pair->baseline_samples = malloc(size);
    pair->differences = malloc(size);
    if (pair->samples == NULL || pair->baseline_samples == NULL || pair->differences == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = metric_series_create(metric, own, &pair->own, err);
    if (code == 0 && baseline != NULL)
        code = metric_series_create(metric, baseline, &pair->baseline, err);
    return code;
}

static void bootstrap_fini(struct bootstrap *bootstrap)
{
    for (size_t i = 0; i < bootstrap->pair_count; i++) {
        struct pair *pair = &bootstrap->pairs[i];
        metric_series_destroy(pair->own);
        metric_series_destroy(pair->baseline);
        free(pair->samples);
        free(pair->baseline_samples);
        free(pair->differences);
    }
    free(bootstrap->weights);
}

static void resample(struct bootstrap *bootstrap, uint32_t place)
{
    draw(bootstrap);
    for (size_t i = 0; i < bootstrap->pair_count; i++) {
        struct pair *pair = &bootstrap->pairs[i];
        pair->samples[place] = metric_series_value(pair->own, bootstrap->weights);
        if (pair->baseline == NULL)
            continue;
        pair->baseline_samples[place] = metric_series_value(pair->baseline, bootstrap->weights);
        pair->differences[place] = pair->samples[place] - pair->baseline_samples[place];
    }
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double percentile(const double *sorted, double share)
{
    double place = share * (BOOTSTRAP_RESAMPLES - 1);
    size_t below = (size_t)place;
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* Sorts samples. */
static struct estimate estimate_of(double value, double *samples)
{
    qsort(samples, BOOTSTRAP_RESAMPLES, sizeof *samples, by_size);
    return (struct estimate){
        .value = value,
        .low = percentile(samples, (1 - BOOTSTRAP_LEVEL) / 2),
        .high = percentile(samples, (1 + BOOTSTRAP_LEVEL) / 2),
    };
}

static void score(struct bootstrap *bootstrap, struct metric_score *ret_scores)
{
    for (size_t i = 0; i < bootstrap->cases; i++)
        bootstrap->weights[i] = 1;
    for (size_t i = 0; i < bootstrap->pair_count; i++) {
        struct pair *pair = &bootstrap->pairs[i];
        struct metric_score result = {0};
        double own = metric_series_value(pair->own, bootstrap->weights);
        result.own = estimate_of(own, pair->samples);
        if (pair->baseline != NULL) {
            double baseline = metric_series_value(pair->baseline, bootstrap->weights);
            result.baseline = estimate_of(baseline, pair->baseline_samples);
            result.difference = estimate_of(own - baseline, pair->differences);
        }
        ret_scores[i] = result;
    }
}

int bootstrap_score(const struct metric_list *list, const struct outcomes *own,
                    const struct outcomes *baseline, bootstrap_tick_fn *tick, void *arg,
                    struct metric_score *ret_scores, struct error *err)
{
    ASSERT(baseline == NULL || baseline->count == own->count);
    struct bootstrap bootstrap = {.cases = own->count, .random = BOOTSTRAP_SEED};
    bootstrap.weights = malloc(own->count * sizeof *bootstrap.weights);
    int code = bootstrap.weights == NULL ? error_set(err, ERR_MEMORY, "out of memory") : 0;
    while (code == 0 && bootstrap.pair_count < list->count) {
        const struct metric *metric = &list->metrics[bootstrap.pair_count];
        code = pair_init(&bootstrap.pairs[bootstrap.pair_count++], metric, own, baseline, err);
    }
    for (uint32_t i = 0; code == 0 && i < BOOTSTRAP_RESAMPLES; i++) {
        if (tick != NULL && i % TICK_RESAMPLES == 0)
            code = tick(arg, err);
        if (code == 0)
            resample(&bootstrap, i);
    }
    if (code == 0)
        score(&bootstrap, ret_scores);
    bootstrap_fini(&bootstrap);
    return code;
}
