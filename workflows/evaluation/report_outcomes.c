/* SPDX-License-Identifier: Apache-2.0 */
/* report_outcomes: an earlier report as the baseline of a later evaluation; see report.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/sha256.h"
#include "workflows/evaluation/report.h"

/* ---- the digest ---- */

static void case_write(const struct suite *suite, const struct suite_case *from, struct buffer *out)
{
    buffer_printf(out, "%s%c%u%c", from->id, 0, from->text, 0);
    if (suite->type == SUITE_CLASSIFICATION)
        buffer_printf(out, "%s", suite->labels[from->label]);
    else if (suite->type == SUITE_SIMILARITY)
        buffer_printf(out, "%.17g", from->score);
    for (uint32_t i = 0; i < from->relevant_count; i++) {
        const struct suite_relevant *relevant = &suite->relevants[from->relevant_first + i];
        buffer_printf(out, "%u%c%u%c", suite->documents[relevant->document].text, 0,
                      relevant->grade, 0);
    }
}

/* Each case's bytes behind the digest of what came before: one case at a time is in memory. */
int suite_digest(const struct suite *suite, const char *texts, char ret_digest[REPORT_DIGEST_SIZE],
                 struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    struct buffer bytes = {0};
    buffer_printf(&bytes, "%s%c%s", suite_type_name(suite->type), 0, texts);
    int code = bytes.failed ? -1 : sha256_of_bytes(bytes.data, bytes.size, digest);
    for (size_t i = 0; code == 0 && i < suite->case_count; i++) {
        buffer_clear(&bytes);
        buffer_append(&bytes, digest, sizeof digest);
        case_write(suite, &suite->cases[i], &bytes);
        code = bytes.failed ? -1 : sha256_of_bytes(bytes.data, bytes.size, digest);
    }
    buffer_fini(&bytes);
    if (code != 0)
        return error_set(err, ERR_MEMORY, "could not compute the suite's digest");
    strcpy(ret_digest, "sha256:");
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ret_digest + 7 + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

/* ---- outcomes ---- */

static int by_rank(const void *left, const void *right)
{
    uint32_t a = ((const struct hit *)left)->rank, b = ((const struct hit *)right)->rank;
    return a < b ? -1 : a > b;
}

static int hits_read(const json_t *from, const struct suite *suite, size_t place,
                     struct outcome_set *set, struct error *err)
{
    const json_t *list = json_object_get(from, "hits");
    const char *best = json_string_value(json_object_get(from, "answer"));
    uint32_t count = suite->cases[place].relevant_count;
    if (json_array_size(list) != count || best == NULL)
        return error_set(err, ERR_INVALID, "\"hits\" are not those of this query");
    struct hit *hits = calloc(count, sizeof *hits);
    if (hits == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        json_int_t rank = json_integer_value(json_array_get(json_array_get(list, i), 0));
        json_int_t grade = json_integer_value(json_array_get(json_array_get(list, i), 1));
        if (rank < 1 || rank > (json_int_t)suite->document_count || grade < 1 ||
            grade > SUITE_GRADE_MAX)
            code = error_set(err, ERR_INVALID, "\"hits\" must be pairs of rank and grade");
        else
            hits[i] = (struct hit){(uint32_t)rank, (uint32_t)grade};
    }
    if (code == 0) {
        qsort(hits, count, sizeof *hits, by_rank);
        code = outcome_set_hits(set, place, hits, count, best, err);
    }
    free(hits);
    return code;
}

static int case_read(const json_t *from, const struct suite *suite, size_t place,
                     struct outcome_set *set, struct error *err)
{
    const json_t *answer = json_object_get(from, "answer");
    if (suite->type == SUITE_RETRIEVAL)
        return hits_read(from, suite, place, set, err);
    if (suite->type == SUITE_SIMILARITY ? !json_is_number(answer) : !json_is_string(answer))
        return error_set(err, ERR_INVALID, "\"answer\" is missing");
    if (suite->type == SUITE_CLASSIFICATION)
        return outcome_set_label(set, place, json_string_value(answer),
                                 json_number_value(json_object_get(from, "confidence")), err);
    /* REPORT_DIGITS give the fp32 back that it was. */
    outcome_set_get(set)->cases[place].answer = (double)(float)json_number_value(answer);
    return 0;
}

static int cases_read(const json_t *cases, const struct suite *suite, struct outcome_set *set,
                      struct error *err)
{
    struct error why;
    if (json_array_size(cases) != suite->case_count)
        return error_set(err, ERR_INVALID, "the baseline's report lacks cases");
    for (size_t i = 0; i < suite->case_count; i++) {
        int code = case_read(json_array_get(cases, i), suite, i, set, &why);
        if (code != 0)
            return error_set(err, code, "the baseline's report, case %s: %s", suite->cases[i].id,
                             why.text);
    }
    return 0;
}

int report_outcomes(const json_t *report, const struct suite *suite, const char *digest,
                    struct outcome_set **ret_set, const char **ret_model, struct error *err)
{
    const json_t *schema = json_object_get(report, "schema");
    const char *model = json_string_value(json_object_get(report, "model"));
    const char *its =
        json_string_value(json_object_get(json_object_get(report, "suite"), "digest"));
    struct outcome_set *set;
    if (!json_is_integer(schema) || model == NULL || its == NULL)
        return error_set(err, ERR_INVALID, "the baseline is no report of an evaluation");
    if (json_integer_value(schema) != REPORT_SCHEMA)
        return error_set(err, ERR_INVALID, "the baseline's report has another schema than %d",
                         REPORT_SCHEMA);
    if (strcmp(its, digest) != 0)
        return error_set(err, ERR_INVALID,
                         "the baseline is of other cases: run it again on this suite, or compare "
                         "with its model");
    int code = outcome_set_create(suite, &set, err);
    if (code != 0)
        return code;
    code = cases_read(json_object_get(report, "cases"), suite, set, err);
    if (code != 0) {
        outcome_set_destroy(set);
        return code;
    }
    *ret_set = set;
    *ret_model = model;
    return 0;
}
