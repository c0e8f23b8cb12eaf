/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataset_split: the parts of a dataset; see dataset.h.
 *
 * The texts of a label are put in the order of SHA-256(seed, clean text): a shuffle that knows
 * neither the order of the file nor the number of texts, so that adding examples moves few of the
 * others. The first ones are held out, the next validate, the rest train.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "models/sha256.h"
#include "workflows/finetune/dataset_index.h"
#include "workflows/text.h"

/* Equal clean texts of one file: they go to one part. */
struct text_group {
    uint8_t key[SHA256_SIZE]; /* the shuffle */
    size_t begin, end;        /* in by_text */
    uint16_t label;
};

static int compare_groups(const void *a, const void *b)
{
    const struct text_group *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return memcmp(x->key, y->key, sizeof x->key);
}

static int group_key(struct text_group *group, uint64_t seed, const uint8_t *clean,
                     struct error *err)
{
    uint8_t material[sizeof seed + DATASET_HASH_SIZE];
    for (size_t i = 0; i < sizeof seed; i++)
        material[i] = (uint8_t)(seed >> (8 * i));
    memcpy(material + sizeof seed, clean, DATASET_HASH_SIZE);
    if (sha256_of_bytes(material, sizeof material, group->key) != 0)
        return error_set(err, ERR_INTERNAL, "could not compute a SHA-256");
    return 0;
}

/* The groups of the train file, by label and shuffled; the caller frees them. */
static int groups_make(const struct dataset *dataset, uint64_t seed, struct text_group **ret_groups,
                       size_t *ret_count, struct error *err)
{
    struct text_group *groups = malloc((dataset->entry_count + 1) * sizeof *groups);
    if (groups == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    size_t count = 0;
    int code = 0;
    for (size_t begin = 0, end; code == 0 && begin < dataset->entry_count; begin = end) {
        end = dataset_group_end(dataset, begin);
        const struct dataset_entry *first = &dataset->entries[dataset->by_text[begin]];
        if (first->source != 0)
            continue;
        groups[count] = (struct text_group){.begin = begin, .end = end, .label = first->label};
        code = group_key(&groups[count++], seed, first->clean, err);
    }
    if (code != 0) {
        free(groups);
        return code;
    }
    qsort(groups, count, sizeof *groups, compare_groups);
    *ret_groups = groups;
    *ret_count = count;
    return 0;
}

static void group_assign(struct dataset *dataset, const struct text_group *group,
                         enum dataset_part part)
{
    for (size_t i = group->begin; i < group->end; i++)
        dataset->entries[dataset->by_text[i]].part = (uint8_t)part;
}

static size_t share_count(double share, size_t count)
{
    size_t part = (size_t)floor(share * (double)count + 0.5);
    return part > 0 ? part : 1;
}

/* groups [count]: all those of one label, shuffled. */
static void label_split(struct dataset *dataset, const struct text_group *groups, size_t count,
                        const struct dataset_split_options *options)
{
    bool is_one_file = dataset->report.file_count == 1;
    size_t held_out = is_one_file ? share_count(options->held_out_share, count) : 0;
    size_t validation = share_count(options->validation_share, count);
    ASSERT(held_out + validation < count);
    for (size_t i = 0; i < count; i++)
        group_assign(dataset, &groups[i],
                     i < held_out                ? DATASET_HELD_OUT
                     : i < held_out + validation ? DATASET_VALIDATION
                                                 : DATASET_TRAIN);
}

static int share_check(const char *name, double share, struct error *err)
{
    if (!(share >= DATASET_SHARE_MIN && share <= DATASET_SHARE_MAX))
        return error_set(err, ERR_INVALID, "%s must be %g to %g, not %g", name, DATASET_SHARE_MIN,
                         DATASET_SHARE_MAX, share);
    return 0;
}

int dataset_split(struct dataset *dataset, const struct dataset_split_options *options,
                  struct error *err)
{
    ASSERT(dataset_is_fit(dataset));
    int code = share_check("the held-out share", options->held_out_share, err);
    if (code == 0)
        code = share_check("the validation share", options->validation_share, err);
    struct text_group *groups;
    size_t count;
    if (code == 0)
        code = groups_make(dataset, options->seed, &groups, &count, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < dataset->entry_count; i++) {
        if (dataset->entries[i].source == 1)
            dataset->entries[i].part = DATASET_HELD_OUT;
    }
    for (size_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && groups[end].label == groups[begin].label;)
            end++;
        label_split(dataset, groups + begin, end - begin, options);
    }
    free(groups);
    memset(dataset->part_counts, 0, sizeof dataset->part_counts);
    for (size_t i = 0; i < dataset->entry_count; i++)
        dataset->part_counts[dataset->entries[i].part]++;
    return 0;
}

uint64_t dataset_part_count(const struct dataset *dataset, enum dataset_part part)
{
    return dataset->part_counts[part];
}

/* ---- walking ---- */

struct walk {
    struct dataset *dataset;
    enum dataset_part part;
    dataset_example_fn *on_example;
    void *arg;
    size_t entry; /* the next one */
    struct buffer clean;
};

static int walk_line(struct walk *walk, uint32_t source, const struct dataset_line *line,
                     struct error *err)
{
    const struct dataset *dataset = walk->dataset;
    const struct dataset_entry *entry =
        walk->entry < dataset->entry_count ? &dataset->entries[walk->entry] : NULL;
    if (line->type != DATASET_LINE_EXAMPLE || entry == NULL || entry->source != source ||
        entry->line != line->number)
        return error_set(err, ERR_IO, "%s was changed while it was read",
                         dataset->sources[source].name);
    walk->entry++;
    if (entry->part != walk->part)
        return 0;
    buffer_clear(&walk->clean);
    int code = text_clean(line->text, line->text_size, &walk->clean, err);
    if (code != 0)
        return code;
    return walk->on_example(walk->arg, buffer_text(&walk->clean), walk->clean.size, line->label,
                            err);
}

static int walk_source(struct walk *walk, uint32_t source, struct error *err)
{
    struct dataset_reader *reader;
    struct dataset_line line;
    int code = dataset_reader_create(walk->dataset->sources[source].fd, &reader, err);
    if (code != 0)
        return code;
    while ((code = dataset_reader_next(reader, &line, err)) == 0 && line.type != DATASET_LINE_END) {
        if ((code = walk_line(walk, source, &line, err)) != 0)
            break;
    }
    dataset_reader_destroy(reader);
    return code;
}

int dataset_part_walk(struct dataset *dataset, enum dataset_part part,
                      dataset_example_fn *on_example, void *arg, struct error *err)
{
    struct walk walk = {.dataset = dataset, .part = part, .on_example = on_example, .arg = arg};
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < dataset->report.file_count; i++)
        code = walk_source(&walk, i, err);
    if (code == 0 && walk.entry != dataset->entry_count)
        code = error_set(err, ERR_IO, "the dataset was changed while it was read");
    buffer_fini(&walk.clean);
    return code;
}
