/* SPDX-License-Identifier: Apache-2.0 */
/* outcome_set: see outcome_set.h. */
#include "workflows/evaluation/outcome_set.h"

#include <stdlib.h>
#include <string.h>

#include "common/hash.h"

/* Those of the suite, and as many of a model that was trained on others. */
#define LABELS_MAX (2 * SUITE_LABELS_MAX)

struct label {
    UT_hash_handle hh;
    uint32_t place;
    char name[SUITE_LABEL_SIZE_MAX + 1];
};

struct outcome_set {
    struct outcomes outcomes;
    const char **names; /* owns; outcomes.labels */
    struct label *labels;
    struct arena arena;
};

static int label_add(struct outcome_set *set, const char *name, struct label **ret_label,
                     struct error *err)
{
    if (set->outcomes.label_count == LABELS_MAX || strlen(name) > SUITE_LABEL_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "the answers have more labels than a model may have");
    struct label *label = arena_calloc(&set->arena, 1, sizeof *label);
    if (label == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    strcpy(label->name, name);
    label->place = set->outcomes.label_count++;
    set->names[label->place] = label->name;
    HASH_ADD_STR(set->labels, name, label);
    *ret_label = label;
    return 0;
}

static int truth_take(struct outcome_set *set, const struct suite *suite, struct error *err)
{
    struct label *label;
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < suite->label_count; i++)
        code = label_add(set, suite->labels[i], &label, err);
    for (size_t i = 0; i < suite->case_count; i++)
        set->outcomes.cases[i] = (struct outcome){.id = suite->cases[i].id,
                                                  .line = suite->cases[i].line,
                                                  .truth_label = suite->cases[i].label,
                                                  .truth = suite->cases[i].score};
    return code;
}

int outcome_set_create(const struct suite *suite, struct outcome_set **ret_set, struct error *err)
{
    struct outcome_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    arena_init(&set->arena, ARENA_NO_LIMIT);
    set->outcomes.type = suite->type;
    set->outcomes.count = suite->case_count;
    set->outcomes.cases = calloc(suite->case_count, sizeof *set->outcomes.cases);
    set->names = calloc(LABELS_MAX, sizeof *set->names);
    set->outcomes.labels = set->names;
    int code = set->outcomes.cases == NULL || set->names == NULL
                   ? error_set(err, ERR_MEMORY, "out of memory")
                   : truth_take(set, suite, err);
    if (code != 0) {
        outcome_set_destroy(set);
        return code;
    }
    *ret_set = set;
    return 0;
}

void outcome_set_destroy(struct outcome_set *set)
{
    if (set == NULL)
        return;
    HASH_CLEAR(hh, set->labels);
    free(set->outcomes.cases);
    free(set->names);
    arena_fini(&set->arena);
    free(set);
}

struct outcomes *outcome_set_get(struct outcome_set *set)
{
    return &set->outcomes;
}

int outcome_set_label(struct outcome_set *set, size_t place, const char *name, double confidence,
                      struct error *err)
{
    struct label *label;
    HASH_FIND_STR(set->labels, name, label);
    int code = label == NULL ? label_add(set, name, &label, err) : 0;
    if (code != 0)
        return code;
    set->outcomes.cases[place].answer_label = label->place;
    set->outcomes.cases[place].confidence = confidence;
    return 0;
}

int outcome_set_hits(struct outcome_set *set, size_t place, const struct hit *hits, uint32_t count,
                     const char *best, struct error *err)
{
    struct outcome *outcome = &set->outcomes.cases[place];
    outcome->hits = arena_memdup(&set->arena, hits, count * sizeof *hits);
    outcome->hit_count = count;
    outcome->best = best;
    return outcome->hits != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}
