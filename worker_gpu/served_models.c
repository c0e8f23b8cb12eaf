/* SPDX-License-Identifier: Apache-2.0 */
/* served_models: see served_models.h. */
#include "worker_gpu/served_models.h"

#include <stdlib.h>

#include "common/nearest.h"
#include "worker_gpu/model_shelf.h"

struct served_models {
    const char *models_dir; /* borrowed */
    struct model_shelf *shelf;
};

int served_models_create(const struct base_model_options *options, const char *own,
                         struct served_models **ret_models, struct error *err)
{
    struct served_models *models = calloc(1, sizeof *models);
    if (models == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    models->models_dir = options->models_dir;
    int code = model_shelf_create(options, own, &models->shelf, err);
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
    model_shelf_destroy(models->shelf);
    free(models);
}

const struct base_model *served_models_own(const struct served_models *models)
{
    return model_shelf_own(models->shelf);
}

bool served_models_find(struct served_models *models, const char *name,
                        struct served_model *ret_model)
{
    const struct base_model *base =
        model_shelf_find(models->shelf, name != NULL ? name : served_models_own(models)->name);
    if (base != NULL)
        *ret_model = (struct served_model){base};
    return base != NULL;
}

/* Says that there is no such model, and which one may have been meant. */
static int set_unknown(const struct served_models *models, const char *name, struct error *err)
{
    struct model_entry *entries = NULL;
    size_t count = 0;
    const char *nearest = NULL;
    if (model_store_list(models->models_dir, &entries, &count, NULL) == 0) {
        const char **names = calloc(count + 1, sizeof *names);
        for (size_t i = 0; names != NULL && i < count; i++)
            names[i] = entries[i].name;
        nearest = names != NULL ? nearest_name(name, names, count) : NULL;
        free(names);
    }
    int code =
        nearest != NULL
            ? error_set(err, ERR_NOT_FOUND, "there is no model \"%s\"; the nearest is \"%s\"", name,
                        nearest)
            : error_set(err, ERR_NOT_FOUND, "there is no model \"%s\"; this group's own is \"%s\"",
                        name, served_models_own(models)->name);
    free(entries);
    return code;
}

int served_models_take(struct served_models *models, const char *name,
                       struct served_model *ret_model, struct error *err)
{
    if (name == NULL)
        name = served_models_own(models)->name;
    const struct base_model *base;
    int code = model_shelf_take(models->shelf, name, &base, err);
    if (code == ERR_NOT_FOUND)
        return set_unknown(models, name, err);
    if (code == 0)
        *ret_model = (struct served_model){base};
    return code;
}

void served_models_give(struct served_models *models, struct served_model *model)
{
    model_shelf_give(models->shelf, model->base);
    *model = (struct served_model){0};
}
