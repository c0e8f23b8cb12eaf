/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_registry: models that were made here, by name and version (docs/spec/06-storage.md, section
 * "Models").
 *
 * A registered model is a list of named files, each an artifact that stays while the model is
 * registered, and a description. It is immutable: another training is another version. Names:
 * letters, digits, '.', '_' and '-', at most MODEL_NAME_MAX; a model is written NAME@VERSION, and
 * NAME alone means its newest version.
 *
 * A classification head ("kind": "text-classification-head") has the files
 *     head.safetensors  classifier.weight [labels, hidden] and classifier.bias [labels], F32
 *     head.json         {"base": NAME, "labels": [...], "pooling": "mean", "normalize": true}
 * and is served on top of the base encoder, a folder of the node's models.
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_MODEL_REGISTRY_H
#define ARGOSY_STORAGE_MODEL_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "storage/artifact.h"
#include "storage/storage_client.h"

#define MODEL_NAME_MAX  128
#define MODEL_FILES_MAX 64

struct model_file {
    const char *name;
    struct artifact artifact;
};

struct registered_model {
    const char *name;
    uint32_t version;     /* from 1 */
    const char *kind;     /* "text-classification-head" */
    const char *base;     /* model it stands on, or "" */
    const char *metadata; /* JSON object: metrics, dataset, who made it */
    const struct model_file *files;
    size_t file_count;
    int64_t registered_utc_us;
};

/* Registers a model under the next version of its name. registration names this act: the same one
 * again gives the version it gave before. ERR_NOT_FOUND: an artifact that storage does not have. */
int model_register(struct storage_client *client, const struct registered_model *model,
                   const char *registration, uint32_t *ret_version, struct error *err);

/* The model of that "NAME" or "NAME@VERSION", in arena. ERR_NOT_FOUND with the nearest name. */
int model_get(struct storage_client *client, const char *name, struct arena *arena,
              const struct registered_model **ret_model, struct error *err);

/* All models, by name and version; in arena. */
int model_list(struct storage_client *client, struct arena *arena,
               const struct registered_model **ret_models, size_t *ret_count, struct error *err);

/* Removes one version; 0 also where it was removed before. ERR_NOT_FOUND with the nearest name
 * where there never was such a version. Its artifacts may be collected, its number is not given
 * again. */
int model_unregister(struct storage_client *client, const char *name, uint32_t version,
                     struct error *err);

#endif
