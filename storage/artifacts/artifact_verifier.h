/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_verifier: reads contents and compares them with their names, a second at a time
 * (docs/spec/06-storage.md, section "Verification"). Nothing is repaired or removed: what is
 * damaged is named.
 *
 * Threading: its handler runs on any thread.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_VERIFIER_H
#define ARGOSY_STORAGE_ARTIFACT_VERIFIER_H

#include "storage/artifacts/artifact_service.h"

struct artifact_verifier;

/* Both are borrowed. ERR_MEMORY. */
int artifact_verifier_create(struct artifact_store *store, struct catalog *catalog,
                             struct artifact_verifier **ret_verifier, struct error *err);

/* NULL is fine. */
void artifact_verifier_destroy(struct artifact_verifier *verifier);

/* Its method, for the server. */
struct storage_service artifact_verifier_table(struct artifact_verifier *verifier);

#endif
