/* SPDX-License-Identifier: Apache-2.0 */
/* served_models: see served_models.h. */
#include "worker_gpu/served_models.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/nearest.h"
#include "worker_gpu/head_shelf.h"
#include "worker_gpu/model_shelf.h"

/* Of the list of all registered models, for an error's text. */
#define LIST_MEMORY_MAX ((size_t)64 << 20)

struct served_models {
    const char *models_dir; /* borrowed, as is storage */
    struct storage_client *storage;
    struct model_shelf *shelf;
    struct head_shelf *heads;
};

int served_models_create(const struct base_model_options *options, const char *own,
                         struct storage_client *storage, struct served_models **ret_models,
                         struct error *err)
{
    struct served_models *models = calloc(1, sizeof *models);
    if (models == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    models->models_dir = options->models_dir;
    models->storage = storage;
    int code = model_shelf_create(options, own, &models->shelf, err);
    if (code == 0)
        code = head_shelf_create(storage, options->models_dir, &models->heads, err);
    if (code != 0) {
        served_models_destroy(models);
        return code;
    }
    *ret_models = models;
    return 0;
}

void served_models_destroy(struct served_models *models)
{
    if (models == NULL)
        return;
    head_shelf_destroy(models->heads);
    model_shelf_destroy(models->shelf);
    free(models);
}

const struct base_model *served_models_own(const struct served_models *models)
{
    return model_shelf_own(models->shelf);
}

/* Both or neither are at hand; base NULL: neither. */
static struct served_model find_head(struct served_models *models, const char *name)
{
    struct served_model model = {.head = head_shelf_find(models->heads, name)};
    if (model.head == NULL)
        return model;
    model.base = model_shelf_find(models->shelf, model.head->base);
    if (model.base == NULL) {
        head_shelf_give(models->heads, model.head);
        model.head = NULL;
    }
    return model;
}

bool served_models_find(struct served_models *models, const char *name,
                        struct served_model *ret_model)
{
    const char *folder = name != NULL ? name : served_models_own(models)->name;
    struct served_model model = {.base = model_shelf_find(models->shelf, folder)};
    if (model.base == NULL)
        model = find_head(models, folder);
    if (model.base != NULL)
        *ret_model = model;
    return model.base != NULL;
}

/* ---- an unknown name ---- */

/* Names of folders and of registered models; borrowed from entries and arena. NULL: no memory. */
static const char **names_list(const struct model_entry *entries, size_t entry_count,
                               const struct registered_model *registered, size_t registered_count,
                               struct arena *arena)
{
    const char **names = arena_calloc(arena, entry_count + registered_count + 1, sizeof *names);
    for (size_t i = 0; names != NULL && i < entry_count; i++)
        names[i] = entries[i].name;
    for (size_t i = 0; names != NULL && i < registered_count; i++)
        names[entry_count + i] = registered[i].name;
    return names;
}

/* The name that may have been meant, in arena; NULL: none is near. */
static const char *find_nearest(const struct served_models *models, const char *name,
                                struct arena *arena)
{
    struct model_entry *entries = NULL;
    const struct registered_model *registered = NULL;
    size_t entry_count = 0, registered_count = 0;
    if (model_store_list(models->models_dir, &entries, &entry_count, NULL) != 0)
        entry_count = 0;
    if (model_list(models->storage, arena, &registered, &registered_count, NULL) != 0)
        registered_count = 0;
    const char **names = names_list(entries, entry_count, registered, registered_count, arena);
    const char *nearest =
        names != NULL ? nearest_name(name, names, entry_count + registered_count) : NULL;
    if (nearest != NULL)
        nearest = arena_strdup(arena, nearest);
    free(entries);
    return nearest;
}

/* Says that there is no such model, and which one may have been meant: another version's name is
 * near enough without its version. */
static int set_unknown(const struct served_models *models, const char *name, struct error *err)
{
    struct arena arena;
    arena_init(&arena, LIST_MEMORY_MAX);
    const char *plain = arena_strndup(&arena, name, strcspn(name, "@"));
    const char *nearest = plain != NULL ? find_nearest(models, plain, &arena) : NULL;
    int code =
        nearest != NULL
            ? error_set(err, ERR_NOT_FOUND, "there is no model \"%s\"; the nearest is \"%s\"", name,
                        nearest)
            : error_set(err, ERR_NOT_FOUND, "there is no model \"%s\"; this group's own is \"%s\"",
                        name, served_models_own(models)->name);
    arena_fini(&arena);
    return code;
}

/* ---- taking and giving ---- */

static int take_head(struct served_models *models, const char *name, struct served_model *ret_model,
                     struct error *err)
{
    struct served_model model = {0};
    int code = head_shelf_take(models->heads, name, &model.head, err);
    if (code == ERR_NOT_FOUND)
        return set_unknown(models, name, err);
    if (code != 0)
        return code;
    code = model_shelf_take(models->shelf, model.head->base, &model.base, err);
    if (code == 0 && encoder_width(model.base->encoder) != model.head->weights.width)
        code = error_set(err, ERR_CORRUPT, "model %s has a width of %u, and its base one of %u",
                         model.head->name, model.head->weights.width,
                         encoder_width(model.base->encoder));
    if (code != 0) {
        served_models_give(models, &model);
        return code;
    }
    *ret_model = model;
    return 0;
}

/* The shelf is not asked in vain: it would make room for what does not come. */
static bool is_folder(const struct served_models *models, const char *name)
{
    char path[MODEL_PATH_MAX];
    return model_store_path(models->models_dir, name, path, NULL) == 0 && access(path, F_OK) == 0;
}

int served_models_take(struct served_models *models, const char *name,
                       struct served_model *ret_model, struct error *err)
{
    if (name == NULL)
        name = served_models_own(models)->name;
    if (!is_folder(models, name))
        return take_head(models, name, ret_model, err);
    const struct base_model *base;
    int code = model_shelf_take(models->shelf, name, &base, err);
    if (code == 0)
        *ret_model = (struct served_model){.base = base};
    return code;
}

void served_models_give(struct served_models *models, struct served_model *model)
{
    head_shelf_give(models->heads, model->head);
    model_shelf_give(models->shelf, model->base);
    *model = (struct served_model){0};
}

/* ---- a held model ---- */

void served_model_classify(const struct served_model *model, const float *vector,
                           const float *probabilities, const char **ret_label, float *ret_score)
{
    if (model->head != NULL)
        *ret_label = served_head_classify(model->head, vector, ret_score);
    else
        base_model_classify(model->base, vector, probabilities, ret_label, ret_score);
}

const char *served_model_name(const struct served_model *model)
{
    return model->head != NULL ? model->head->name : model->base->name;
}
