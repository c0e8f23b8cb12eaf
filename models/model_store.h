/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_store: the folder where models live, one folder per model, by name.
 *
 *     <models_dir>/all-MiniLM-L6-v2/{config.json,vocab.txt,model.safetensors,...}
 *
 * models_dir is fleet_config's (`<data_dir>/models`, or ARGOSY_MODEL_DIR). A model appears by
 * rename of a finished folder and is never changed afterwards, so that whoever has its files mapped
 * is safe. Folders whose name starts with a dot are unfinished work and are not models.
 *
 * Threading: any thread; the file system is the only state.
 */
#ifndef ARGOSY_MODELS_MODEL_STORE_H
#define ARGOSY_MODELS_MODEL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define MODEL_NAME_MAX 128
#define MODEL_PATH_MAX 4096

/* "<models_dir>/<name>" into ret_path. ERR_INVALID for a name that is empty, longer than
 * MODEL_NAME_MAX, starts with a dot or has other characters than letters, digits, "-", "_", ".". */
int model_store_path(const char *models_dir, const char *name, char ret_path[MODEL_PATH_MAX],
                     struct error *err);

struct model_entry {
    char name[MODEL_NAME_MAX + 1];
    uint64_t size_bytes; /* of its weights file; 0 when there is none */
    bool is_known;       /* model_fetch knows it and its checksums */
};

/* All models of the folder by name. A folder that does not exist holds none. The caller frees
 * *ret_entries (NULL for none). ERR_IO. */
int model_store_list(const char *models_dir, struct model_entry **ret_entries, size_t *ret_count,
                     struct error *err);

/* Opens the model (model.h) and, for a known name, compares the files' SHA-256 with the pinned
 * ones. 0, ERR_NOT_FOUND, ERR_CORRUPT, ERR_UNSUPPORTED, ERR_IO. */
int model_store_verify(const char *models_dir, const char *name, struct error *err);

/* The same for a folder that is not in the store yet: as if it were the model of that name. */
int model_folder_verify(const char *folder, const char *name, struct error *err);

#endif
