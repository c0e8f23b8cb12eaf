/* SPDX-License-Identifier: Apache-2.0 */
/* answers: see answers.h. */
#include "workflows/evaluation/answers.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "workflows/evaluation/json_lines.h"

/* Cosines between two ticks: some seconds. */
#define TICK_PAIRS 10000000u

static int no_answer(const struct json_line *line, struct error *err)
{
    return error_set(err, ERR_INVALID, "line %llu of the answers is none",
                     (unsigned long long)line->number);
}

int answers_classify(struct outcome_set *set, size_t place, size_t count, int fd, struct error *err)
{
    struct json_lines *lines;
    struct json_line line;
    int code = json_lines_create(fd, &lines, err);
    if (code != 0)
        return code;
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = json_lines_next(lines, &line, err);
        if (code != 0)
            break;
        const char *label = json_string_value(json_object_get(line.object, "label"));
        const json_t *score = json_object_get(line.object, "score");
        code = label != NULL && json_is_number(score)
                   ? outcome_set_label(set, place + i, label, json_number_value(score), err)
                   : no_answer(&line, err);
    }
    if (code == 0)
        code = json_lines_next(lines, &line, err);
    if (code == 0 && (line.object != NULL || line.problem != NULL))
        code = error_set(err, ERR_INVALID, "there are more answers than texts");
    json_lines_destroy(lines);
    return code;
}

static int not_finite(const char *id, struct error *err)
{
    return error_set(err, ERR_INVALID, "the model's vectors of %s are not finite", id);
}

int answers_compare(struct outcome_set *set, const struct suite *suite,
                    const struct vector_rows *rows, struct error *err)
{
    struct outcome *cases = outcome_set_get(set)->cases;
    for (size_t i = 0; i < suite->case_count; i++) {
        uint32_t text = suite->cases[i].text;
        cases[i].answer = (double)vector_rows_cosine(rows, text, text + 1);
        if (!isfinite(cases[i].answer))
            return not_finite(cases[i].id, err);
    }
    return 0;
}

/* ---- retrieval ---- */

/* A document that matters, on its way to its rank. */
struct wanted {
    float score;
    uint32_t document;
    uint32_t grade;
    uint32_t better; /* documents between this one and the one before it */
};

static bool is_better(float score, uint32_t document, const struct wanted *than)
{
    return score > than->score || (score == than->score && document < than->document);
}

static int by_place(const void *left, const void *right)
{
    const struct wanted *a = left, *b = right;
    return is_better(a->score, a->document, b) ? -1 : is_better(b->score, b->document, a);
}

/* Counts each document at the first wanted one that it is better than. */
static void betters_count(struct wanted *wanted, uint32_t count, const float *scores,
                          size_t documents)
{
    for (uint32_t i = 0; i < documents; i++) {
        uint32_t low = 0, high = count;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (is_better(scores[i], i, &wanted[middle]))
                high = middle;
            else
                low = middle + 1;
        }
        if (low < count)
            wanted[low].better++;
    }
}

/* The ranks of what query wants, best first. */
static void ranks_find(const struct suite *suite, const struct suite_case *query,
                       const float *scores, struct wanted *wanted, struct hit *ret_hits)
{
    uint32_t count = query->relevant_count, rank = 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct suite_relevant *relevant = &suite->relevants[query->relevant_first + i];
        wanted[i] = (struct wanted){.score = scores[relevant->document],
                                    .document = relevant->document,
                                    .grade = relevant->grade};
    }
    qsort(wanted, count, sizeof *wanted, by_place);
    betters_count(wanted, count, scores, suite->document_count);
    for (uint32_t i = 0; i < count; i++) {
        rank += wanted[i].better;
        ret_hits[i] = (struct hit){.rank = rank, .grade = wanted[i].grade};
    }
}

/* Room for one query's work. */
struct retrieval {
    float *scores; /* of all documents */
    struct wanted *wanted;
    struct hit *hits;
};

static int query_answer(struct outcome_set *set, const struct suite *suite, size_t place,
                        struct retrieval *retrieval, struct error *err)
{
    const struct suite_case *query = &suite->cases[place];
    const float *scores = retrieval->scores;
    size_t best = 0;
    for (size_t i = 0; i < suite->document_count; i++) {
        if (!isfinite(scores[i]))
            return not_finite(query->id, err);
        if (scores[i] > scores[best])
            best = i;
    }
    ranks_find(suite, query, scores, retrieval->wanted, retrieval->hits);
    return outcome_set_hits(set, place, retrieval->hits, query->relevant_count,
                            suite->documents[best].id, err);
}

int answers_retrieve(struct outcome_set *set, const struct suite *suite,
                     const struct vector_rows *rows, bootstrap_tick_fn *tick, void *arg,
                     struct error *err)
{
    size_t documents = suite->document_count, tick_queries = TICK_PAIRS / documents + 1;
    struct retrieval retrieval = {
        .scores = malloc(documents * sizeof *retrieval.scores),
        .wanted = malloc(documents * sizeof *retrieval.wanted),
        .hits = malloc(documents * sizeof *retrieval.hits),
    };
    int code = retrieval.scores == NULL || retrieval.wanted == NULL || retrieval.hits == NULL
                   ? error_set(err, ERR_MEMORY, "out of memory")
                   : 0;
    for (size_t i = 0; code == 0 && i < suite->case_count; i++) {
        if (tick != NULL && i % tick_queries == 0)
            code = tick(arg, err);
        for (size_t j = 0; code == 0 && j < documents; j++)
            retrieval.scores[j] =
                vector_rows_cosine(rows, suite->cases[i].text, suite->documents[j].text);
        if (code == 0)
            code = query_answer(set, suite, i, &retrieval, err);
    }
    free(retrieval.scores);
    free(retrieval.wanted);
    free(retrieval.hits);
    return code;
}
