/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo: what `argosy demo` runs and what came of it; printing is command_demo.c's.
 *
 * Every text is one run of PrepareAndInferWorkflow; all texts that are neither blank nor too long
 * are embedded by BatchEmbedWorkflow, DEMO_BATCH texts per run. All runs are started before any is
 * waited for.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_DEMO_H
#define ARGOSY_CLI_DEMO_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/session.h"
#include "cli/text_list.h"
#include "cli/vectors.h"

/* A result is one payload of 2 MiB: 128 vectors of 1,024 numbers of 12 characters fit. */
#define DEMO_BATCH 128

struct demo_run {
    char workflow_id[64];
    char run_id[ARGOSY_RUN_ID_SIZE];
    json_t *result;      /* NULL when it failed; owned */
    const char *failure; /* NULL when it completed; lives in the session's arena */
};

struct demo {
    const struct text_list *texts; /* borrowed */
    struct demo_run *inferences;   /* one for each text; owned */
    struct demo_run *batches;      /* owned */
    size_t batch_count;
    size_t *embedded; /* vector i belongs to text embedded[i]; owned */
    size_t embedded_count;
    struct vectors vectors;
};

/* Runs everything. Runs that fail are results too; a negative code means that something else went
 * wrong (the engine is away). demo_fini frees, after failure too. */
int demo_run(struct session *session, const struct text_list *texts, struct demo *ret_demo,
             struct error *err);
void demo_fini(struct demo *demo);

/* Whether every run completed. */
bool demo_is_complete(const struct demo *demo);

#endif
