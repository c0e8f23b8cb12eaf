/* SPDX-License-Identifier: Apache-2.0 */
/* model_shelf: see model_shelf.h. */
#include "worker_gpu/model_shelf.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"

struct place {
    char name[MODEL_NAME_MAX + 1]; /* "": free */
    struct base_model *base;       /* NULL while it is being loaded */
    uint32_t held;                 /* by tasks */
    uint64_t used_ns;
};

struct model_shelf {
    struct base_model_options options;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct place places[MODEL_SHELF_MAX]; /* the first one is the group's own */
};

static struct place *place_of(struct model_shelf *shelf, const char *name)
{
    for (uint32_t i = 0; i < MODEL_SHELF_MAX; i++) {
        if (strcmp(shelf->places[i].name, name) == 0)
            return &shelf->places[i];
    }
    return NULL;
}

/* A place for another model: a free one, else that of the model unused for longest, which is then
 * in *ret_old for the caller to close. NULL when tasks hold all. */
static struct place *place_free(struct model_shelf *shelf, struct base_model **ret_old)
{
    struct place *oldest = NULL;
    *ret_old = NULL;
    for (uint32_t i = 1; i < MODEL_SHELF_MAX; i++) {
        struct place *place = &shelf->places[i];
        if (place->name[0] == '\0')
            return place;
        if (place->base != NULL && place->held == 0 &&
            (oldest == NULL || place->used_ns < oldest->used_ns))
            oldest = place;
    }
    if (oldest != NULL) {
        *ret_old = oldest->base;
        *oldest = (struct place){0};
    }
    return oldest;
}

static const struct base_model *hold(struct place *place)
{
    place->held++;
    place->used_ns = clock_monotonic_ns();
    return place->base;
}

const struct base_model *model_shelf_own(const struct model_shelf *shelf)
{
    return shelf->places[0].base;
}

const struct base_model *model_shelf_find(struct model_shelf *shelf, const char *name)
{
    pthread_mutex_lock(&shelf->mutex);
    struct place *place = place_of(shelf, name);
    const struct base_model *base = place != NULL && place->base != NULL ? hold(place) : NULL;
    pthread_mutex_unlock(&shelf->mutex);
    return base;
}

/* Loads a model into a place that has its name, and only that. With the mutex held, which is let go
 * meanwhile. */
static int load(struct model_shelf *shelf, struct place *place, struct base_model *old,
                struct error *err)
{
    struct base_model *base = NULL;
    char name[sizeof place->name];
    memcpy(name, place->name, sizeof name);
    pthread_mutex_unlock(&shelf->mutex);
    base_model_close(old);
    int code = base_model_open(&shelf->options, name, &base, err);
    if (code == 0)
        log_info("model.loaded", "model=%s", name);
    pthread_mutex_lock(&shelf->mutex);
    if (code == 0)
        place->base = base;
    else
        *place = (struct place){0};
    pthread_cond_broadcast(&shelf->changed);
    return code;
}

/* With the mutex held. */
static int take(struct model_shelf *shelf, const char *name, const struct base_model **ret_base,
                struct error *err)
{
    struct place *place;
    while ((place = place_of(shelf, name)) != NULL && place->base == NULL)
        pthread_cond_wait(&shelf->changed, &shelf->mutex);
    if (place == NULL) {
        struct base_model *old;
        place = place_free(shelf, &old);
        if (place == NULL)
            return error_set(err, ERR_LIMIT,
                             "could not load model %s: tasks use %u others on this worker", name,
                             MODEL_SHELF_MAX);
        memcpy(place->name, name, strlen(name) + 1);
        int code = load(shelf, place, old, err);
        if (code != 0)
            return code;
    }
    *ret_base = hold(place);
    return 0;
}

int model_shelf_take(struct model_shelf *shelf, const char *name,
                     const struct base_model **ret_base, struct error *err)
{
    char path[MODEL_PATH_MAX];
    int code = model_store_path(shelf->options.models_dir, name, path, err); /* checks the name */
    if (code != 0)
        return code;
    pthread_mutex_lock(&shelf->mutex);
    code = take(shelf, name, ret_base, err);
    pthread_mutex_unlock(&shelf->mutex);
    return code;
}

void model_shelf_give(struct model_shelf *shelf, const struct base_model *base)
{
    if (base == NULL)
        return;
    pthread_mutex_lock(&shelf->mutex);
    struct place *place = place_of(shelf, base->name);
    ASSERT(place != NULL && place->base == base && place->held > 0);
    place->held--;
    pthread_mutex_unlock(&shelf->mutex);
}

int model_shelf_create(const struct base_model_options *options, const char *own,
                       struct model_shelf **ret_shelf, struct error *err)
{
    struct base_model *base;
    int code = base_model_open(options, own, &base, err);
    if (code != 0)
        return code;
    struct model_shelf *shelf = calloc(1, sizeof *shelf);
    if (shelf == NULL) {
        base_model_close(base);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    shelf->options = *options;
    pthread_mutex_init(&shelf->mutex, NULL);
    pthread_cond_init(&shelf->changed, NULL);
    shelf->places[0].base = base;
    memcpy(shelf->places[0].name, base->name, sizeof base->name);
    *ret_shelf = shelf;
    return 0;
}

void model_shelf_destroy(struct model_shelf *shelf)
{
    if (shelf == NULL)
        return;
    for (uint32_t i = 0; i < MODEL_SHELF_MAX; i++) {
        ASSERT(shelf->places[i].held == 0);
        base_model_close(shelf->places[i].base);
    }
    pthread_cond_destroy(&shelf->changed);
    pthread_mutex_destroy(&shelf->mutex);
    free(shelf);
}
