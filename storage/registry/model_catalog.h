/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_catalog: the registered models in the catalog (docs/spec/06-storage.md, section "Models").
 *
 * A version's number is given once and never again. A model owns its artifacts under the owner
 * "model:NAME@VERSION", which comes and goes in the same transaction.
 *
 * Errors: as artifact_catalog.h. Threading: any thread.
 */
#ifndef ARGOSY_STORAGE_MODEL_CATALOG_H
#define ARGOSY_STORAGE_MODEL_CATALOG_H

#include "common/arena.h"
#include "storage/catalog.h"
#include "storage/model_registry.h"

/* Registers model, whose fields the caller has checked, under the next version of its name; a
 * registration that is there gives its version. ERR_NOT_FOUND: an artifact nobody put, or one that
 * has another size. */
int model_catalog_add(struct catalog *catalog, const struct registered_model *model,
                      const char *registration, uint32_t *ret_version, struct error *err);

/* The version of a name, 0 being the newest, in arena. ERR_NOT_FOUND without a text. */
int model_catalog_get(struct catalog *catalog, const char *name, uint32_t version,
                      struct arena *arena, struct registered_model *ret_model, struct error *err);

/* Up to count models behind (name, version), in arena, by both. */
int model_catalog_list(struct catalog *catalog, const char *name, uint32_t version, size_t count,
                       struct arena *arena, struct registered_model **ret_models, size_t *ret_count,
                       struct error *err);

/* Up to count names, in arena. */
int model_catalog_names(struct catalog *catalog, size_t count, struct arena *arena,
                        const char **ret_names, size_t *ret_count, struct error *err);

/* 0 also where there is none; *ret_known: there is, or was, such a version. */
int model_catalog_remove(struct catalog *catalog, const char *name, uint32_t version,
                         bool *ret_known, struct error *err);

#endif
