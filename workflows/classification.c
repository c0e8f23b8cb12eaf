/* SPDX-License-Identifier: Apache-2.0 */
/* classification: see classification.h. */
#include "workflows/classification.h"

#include <stdlib.h>

#include "common/assert.h"

int classification_init(struct classification *classification, uint32_t label_count,
                        struct error *err)
{
    uint64_t *confusion = calloc((size_t)label_count * label_count, sizeof *confusion);
    if (confusion == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *classification = (struct classification){label_count, confusion};
    return 0;
}

void classification_fini(struct classification *classification)
{
    free(classification->confusion);
    *classification = (struct classification){0};
}

static uint64_t cell(const struct classification *classification, uint32_t truth, uint32_t answer)
{
    return classification->confusion[(size_t)truth * classification->label_count + answer];
}

void classification_add(struct classification *classification, uint32_t truth, uint32_t answer)
{
    ASSERT(truth < classification->label_count && answer < classification->label_count);
    classification->confusion[(size_t)truth * classification->label_count + answer]++;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

/* How often a label was the answer. */
static uint64_t answers_of(const struct classification *classification, uint32_t label)
{
    uint64_t answers = 0;
    for (uint32_t truth = 0; truth < classification->label_count; truth++)
        answers += cell(classification, truth, label);
    return answers;
}

struct label_score classification_label(const struct classification *classification, uint32_t label)
{
    uint64_t right = cell(classification, label, label), support = 0;
    uint64_t answers = answers_of(classification, label);
    for (uint32_t answer = 0; answer < classification->label_count; answer++)
        support += cell(classification, label, answer);
    return (struct label_score){
        .precision = share(right, answers),
        .recall = share(right, support),
        .f1 = share(2 * right, answers + support),
        .support = support,
    };
}

uint64_t classification_count(const struct classification *classification)
{
    uint64_t count = 0;
    for (uint32_t label = 0; label < classification->label_count; label++)
        count += answers_of(classification, label);
    return count;
}

double classification_accuracy(const struct classification *classification)
{
    uint64_t right = 0;
    for (uint32_t label = 0; label < classification->label_count; label++)
        right += cell(classification, label, label);
    return share(right, classification_count(classification));
}

double classification_macro_f1(const struct classification *classification)
{
    double sum = 0;
    uint32_t occurring = 0;
    for (uint32_t label = 0; label < classification->label_count; label++) {
        struct label_score score = classification_label(classification, label);
        sum += score.f1;
        occurring += score.support > 0 || answers_of(classification, label) > 0;
    }
    return occurring > 0 ? sum / occurring : 0;
}

static json_t *labels_json(const struct classification *classification, const char *const *labels)
{
    json_t *rows = json_array();
    for (uint32_t label = 0; label < classification->label_count; label++) {
        struct label_score score = classification_label(classification, label);
        json_array_append_new(rows,
                              json_pack("{s:s, s:f, s:f, s:f, s:I}", "label", labels[label],
                                        "precision", score.precision, "recall", score.recall, "f1",
                                        score.f1, "support", (json_int_t)score.support));
    }
    return rows;
}

static json_t *matrix_json(const struct classification *classification)
{
    json_t *rows = json_array();
    for (uint32_t truth = 0; truth < classification->label_count; truth++) {
        json_t *row = json_array();
        for (uint32_t answer = 0; answer < classification->label_count; answer++)
            json_array_append_new(row,
                                  json_integer((json_int_t)cell(classification, truth, answer)));
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *classification_json(const struct classification *classification, const char *const *labels)
{
    json_t *json = json_pack(
        "{s:I, s:f, s:f, s:o}", "examples", (json_int_t)classification_count(classification),
        "accuracy", classification_accuracy(classification), "macro_f1",
        classification_macro_f1(classification), "labels", labels_json(classification, labels));
    if (json != NULL && classification->label_count <= CLASSIFICATION_MATRIX_MAX)
        json_object_set_new(json, "confusion", matrix_json(classification));
    return json;
}
