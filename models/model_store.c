/* SPDX-License-Identifier: Apache-2.0 */
/* model_store: see model_store.h. */
#include "models/model_store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/file.h"
#include "models/known_model.h"
#include "models/model.h"

static bool is_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-_.");
    return length > 0 && length <= MODEL_NAME_MAX && name[length] == '\0' && name[0] != '.';
}

int model_store_path(const char *models_dir, const char *name, char ret_path[MODEL_PATH_MAX],
                     struct error *err)
{
    if (!is_name(name))
        return error_set(err, ERR_INVALID,
                         "\"%.150s\" is no name of a model: 1 to %d letters, digits, \"-\", \"_\" "
                         "and \".\", not starting with \".\"",
                         name, MODEL_NAME_MAX);
    char path[MODEL_PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", models_dir, name) >= (int)sizeof path)
        return error_set(err, ERR_INVALID, "the path of the model folder is too long");
    memcpy(ret_path, path, sizeof path);
    return 0;
}

static int is_candidate(const struct dirent *entry)
{
    return is_name(entry->d_name);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void fill_entry(const char *path, const char *name, struct model_entry *ret_entry)
{
    char weights[MODEL_PATH_MAX + 32];
    struct stat st;
    snprintf(weights, sizeof weights, "%s/model.safetensors", path);
    *ret_entry = (struct model_entry){.is_known = known_model_find(name) != NULL};
    memcpy(ret_entry->name, name, strlen(name) + 1);
    if (stat(weights, &st) == 0 && S_ISREG(st.st_mode))
        ret_entry->size_bytes = (uint64_t)st.st_size;
}

int model_store_list(const char *models_dir, struct model_entry **ret_entries, size_t *ret_count,
                     struct error *err)
{
    struct dirent **found = NULL;
    int found_count = scandir(models_dir, &found, is_candidate, alphasort);
    if (found_count < 0 && errno != ENOENT)
        return error_set_errno(err, ERR_IO, errno, "could not read the folder %s", models_dir);
    struct model_entry *entries = NULL;
    size_t count = 0;
    if (found_count > 0)
        entries = calloc((size_t)found_count, sizeof *entries);
    bool failed = found_count > 0 && entries == NULL;
    for (int i = 0; i < found_count; i++) {
        char path[MODEL_PATH_MAX];
        const char *name = found[i]->d_name;
        if (!failed && model_store_path(models_dir, name, path, NULL) == 0 && is_folder(path))
            fill_entry(path, name, &entries[count++]);
        free(found[i]);
    }
    free(found);
    if (failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (count == 0) {
        free(entries);
        entries = NULL;
    }
    *ret_entries = entries;
    *ret_count = count;
    return 0;
}

int model_folder_verify(const char *folder, const char *name, struct error *err)
{
    const struct known_model *known = known_model_find(name);
    for (size_t i = 0; known != NULL && i < known->pin_count; i++) {
        const struct model_pin *pin = &known->pins[i];
        if (pin->sha256 == NULL)
            continue;
        char path[MODEL_PATH_MAX];
        char found[FILE_SHA256_TEXT];
        if (snprintf(path, sizeof path, "%s/%s", folder, pin->file) >= (int)sizeof path)
            return error_set(err, ERR_INVALID, "the path of %s is too long", pin->file);
        int code = file_sha256(path, found, err);
        if (code != 0)
            return code;
        if (strcmp(found, pin->sha256) != 0)
            return error_set(err, ERR_CORRUPT, "%s: its SHA-256 is %s, that of %s is %s", path,
                             found, name, pin->sha256);
    }
    struct model *model;
    int code = model_open(folder, &model, err);
    if (code == 0)
        model_close(model);
    return code;
}

int model_store_verify(const char *models_dir, const char *name, struct error *err)
{
    char path[MODEL_PATH_MAX];
    int code = model_store_path(models_dir, name, path, err);
    if (code != 0)
        return code;
    if (!is_folder(path))
        return error_set(err, ERR_NOT_FOUND, "there is no model %s in %s", name, models_dir);
    return model_folder_verify(path, name, err);
}
