/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_collector: removes artifacts that nobody has owned for long enough
 * (docs/spec/06-storage.md, section "Collection"): on request, and by itself once an hour.
 *
 * An artifact that is found without an owner is noted as such; it goes when it is found so again
 * after the config's artifact_keep_hours. Whoever puts or keeps it meanwhile saves it. Where the
 * engine cannot be asked, what workflows own stays.
 *
 * Threading: its handler runs on any thread; one thread of its own.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_COLLECTOR_H
#define ARGOSY_STORAGE_ARTIFACT_COLLECTOR_H

#include "storage/artifacts/artifact_service.h"
#include "storage/artifacts/owner_oracle.h"

/* How often it looks by itself. */
#define COLLECT_PERIOD_S 3600

/* What it did by itself; not called where that was nothing. failure is NULL, or why it stopped
 * early. On the collector's thread. */
typedef void artifact_collector_fn(void *context, uint64_t count, uint64_t bytes,
                                   const struct error *failure);

struct artifact_collector_config {
    struct artifact_service *artifacts; /* the first three are borrowed */
    struct catalog *catalog;
    struct owner_oracle *oracle;
    int keep_hours;
    artifact_collector_fn *on_collected;
    void *context;
};

struct artifact_collector;

/* Starts the thread. ERR_MEMORY. */
int artifact_collector_create(const struct artifact_collector_config *config,
                              struct artifact_collector **ret_collector, struct error *err);

/* NULL is fine. */
void artifact_collector_destroy(struct artifact_collector *collector);

/* Its method, for the server. */
struct storage_service artifact_collector_table(struct artifact_collector *collector);

#endif
