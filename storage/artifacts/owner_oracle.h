/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner_oracle: whether the owner of an artifact is there (docs/spec/06-storage.md, section
 * "Owners"): a workflow by asking the engine for an open run of it, a model by the catalog; a pin
 * always is.
 *
 * Threading: any thread; the engine is asked by one at a time.
 */
#ifndef ARGOSY_STORAGE_OWNER_ORACLE_H
#define ARGOSY_STORAGE_OWNER_ORACLE_H

#include "common/error.h"
#include "common/fleet_config.h"
#include "storage/catalog.h"

enum owner_state {
    OWNER_GONE,
    OWNER_THERE,
    OWNER_UNKNOWN, /* the engine does not answer: nobody may act on its absence */
};

struct owner_oracle;

/* Connects to the engine with the first workflow that is asked about. Both are borrowed.
 * ERR_MEMORY. */
int owner_oracle_create(const struct fleet_config *config, struct catalog *catalog,
                        struct owner_oracle **ret_oracle, struct error *err);

/* NULL is fine. */
void owner_oracle_destroy(struct owner_oracle *oracle);

/* Waits at most OWNER_ASK_MS; an engine that did not answer is not asked again for as long. A kind
 * of owner that is not known here is OWNER_UNKNOWN. */
#define OWNER_ASK_MS 5000
enum owner_state owner_oracle_ask(struct owner_oracle *oracle, const char *owner);

#endif
