/* SPDX-License-Identifier: Apache-2.0 */
/* dataset_index: what dataset.c and dataset_split.c keep of a dataset between them. */
#ifndef ARGOSY_WORKFLOWS_DATASET_INDEX_H
#define ARGOSY_WORKFLOWS_DATASET_INDEX_H

#include "common/arena.h"
#include "common/hash.h"
#include "workflows/finetune/dataset.h"

/* Half of a SHA-256: no two of a million texts share it by chance (10^-27). */
#define DATASET_HASH_SIZE 16

struct dataset_entry {
    uint8_t clean[DATASET_HASH_SIZE]; /* of the clean text */
    uint8_t exact[DATASET_HASH_SIZE]; /* of the text as it stands */
    uint64_t line;
    uint16_t label;
    uint8_t source;
    uint8_t part; /* enum dataset_part, once split */
};

struct dataset_label_entry {
    struct dataset_label label;
    uint16_t id; /* by first appearance; after reading, by name */
    UT_hash_handle hh;
};

struct dataset {
    struct dataset_source sources[2];
    struct dataset_report report;

    struct dataset_entry *entries; /* in the order of the files */
    size_t entry_count, entry_capacity;
    uint32_t *by_text; /* indices of entries, equal clean texts together, each group by place */

    struct dataset_label_entry *labels; /* hash table by name */
    struct dataset_label *label_list;   /* report.labels */
    struct dataset_problem *problems;   /* two lists of DATASET_PROBLEMS_MAX */

    uint64_t part_counts[DATASET_PARTS];
    struct arena arena; /* names */
};

/* The end of the group of equal clean texts that begins at begin in by_text. */
size_t dataset_group_end(const struct dataset *dataset, size_t begin);

#endif
