/* SPDX-License-Identifier: Apache-2.0 */
/* head_shelf: see head_shelf.h. The registry is asked and heads are loaded without the mutex; two
 * that load the same head at once end with one of them. */
#include "worker_gpu/head_shelf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "storage/model_reference.h"

/* Of a model's description: its metadata hold what the dataset's report and the metrics say. */
#define LOAD_MEMORY_MAX ((size_t)64 << 20)

struct place {
    struct served_head *head; /* owns; NULL: free */
    struct model_reference reference;
    uint32_t held; /* by tasks */
    uint64_t used_ns;
    uint64_t newest_until_ns; /* until then this is its name's newest version */
};

struct head_shelf {
    struct storage_client *storage;
    const char *models_dir;
    pthread_mutex_t mutex;
    struct place places[HEAD_SHELF_MAX];
};

/* ---- with the mutex held ---- */

/* The place of that version, or (version 0) of the one known to be the newest; NULL. */
static struct place *place_of(struct head_shelf *shelf, const struct model_reference *reference)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < HEAD_SHELF_MAX; i++) {
        struct place *place = &shelf->places[i];
        if (place->head == NULL || strcmp(place->reference.name, reference->name) != 0)
            continue;
        if (reference->version == 0 ? now_ns < place->newest_until_ns
                                    : place->reference.version == reference->version)
            return place;
    }
    return NULL;
}

static const struct served_head *hold(struct place *place)
{
    place->held++;
    place->used_ns = clock_monotonic_ns();
    return place->head;
}

/* An empty place: a free one, else that of the head unused for longest. NULL: tasks hold all. */
static struct place *place_clear(struct head_shelf *shelf)
{
    struct place *oldest = NULL;
    for (uint32_t i = 0; i < HEAD_SHELF_MAX; i++) {
        struct place *place = &shelf->places[i];
        if (place->head == NULL)
            return place;
        if (place->held == 0 && (oldest == NULL || place->used_ns < oldest->used_ns))
            oldest = place;
    }
    if (oldest != NULL) {
        served_head_destroy(oldest->head);
        *oldest = (struct place){0};
    }
    return oldest;
}

/* This one is its name's newest from now on, and no other. */
static void newest_set(struct head_shelf *shelf, struct place *newest)
{
    for (uint32_t i = 0; i < HEAD_SHELF_MAX; i++) {
        if (shelf->places[i].head != NULL &&
            strcmp(shelf->places[i].reference.name, newest->reference.name) == 0)
            shelf->places[i].newest_until_ns = 0;
    }
    newest->newest_until_ns = clock_monotonic_ns() + HEAD_NEWEST_NS;
}

/* ---- finding ---- */

/* is_newest: that version is known to be the newest one now. */
static const struct served_head *find(struct head_shelf *shelf,
                                      const struct model_reference *reference, bool is_newest)
{
    pthread_mutex_lock(&shelf->mutex);
    struct place *place = place_of(shelf, reference);
    if (place != NULL && is_newest)
        newest_set(shelf, place);
    const struct served_head *head = place != NULL ? hold(place) : NULL;
    pthread_mutex_unlock(&shelf->mutex);
    return head;
}

const struct served_head *head_shelf_find(struct head_shelf *shelf, const char *name)
{
    struct model_reference reference;
    return model_reference_parse(name, &reference, NULL) == 0 ? find(shelf, &reference, false)
                                                              : NULL;
}

/* ---- loading ---- */

/* Puts a loaded head, which is taken, on the shelf, if it is not there by now; holds it. */
static int shelve(struct head_shelf *shelf, const struct model_reference *reference,
                  struct served_head *head, bool is_newest, const struct served_head **ret_head,
                  struct error *err)
{
    int code = 0;
    pthread_mutex_lock(&shelf->mutex);
    struct place *place = place_of(shelf, reference);
    if (place == NULL && (place = place_clear(shelf)) != NULL) {
        place->head = head;
        place->reference = *reference;
        head = NULL;
    }
    if (place == NULL)
        code = error_set(err, ERR_LIMIT, "could not load model %s: tasks use %u others", head->name,
                         HEAD_SHELF_MAX);
    else
        *ret_head = hold(place);
    if (place != NULL && is_newest)
        newest_set(shelf, place);
    pthread_mutex_unlock(&shelf->mutex);
    served_head_destroy(head);
    return code;
}

/* Asks the registry, and loads what is not here. */
static int load(struct head_shelf *shelf, const char *name, bool is_newest, struct arena *arena,
                const struct served_head **ret_head, struct error *err)
{
    const struct registered_model *model;
    struct model_reference reference;
    struct served_head *head;
    int code = model_get(shelf->storage, name, arena, &model, err);
    if (code == 0)
        code = model_reference_parse(model->name, &reference, err);
    if (code != 0)
        return code;
    reference.version = model->version;
    const struct served_head *here = find(shelf, &reference, is_newest);
    if (here != NULL) {
        *ret_head = here;
        return 0;
    }
    code = served_head_load(model, shelf->storage, shelf->models_dir, &head, err);
    if (code != 0)
        return code;
    log_info("model.loaded", "model=%s base=%s", head->name, head->base);
    return shelve(shelf, &reference, head, is_newest, ret_head, err);
}

int head_shelf_take(struct head_shelf *shelf, const char *name, const struct served_head **ret_head,
                    struct error *err)
{
    struct model_reference reference;
    int code = model_reference_parse(name, &reference, err);
    if (code != 0)
        return code;
    const struct served_head *head = find(shelf, &reference, false);
    if (head != NULL) {
        *ret_head = head;
        return 0;
    }
    struct arena arena;
    arena_init(&arena, LOAD_MEMORY_MAX);
    code = load(shelf, name, reference.version == 0, &arena, ret_head, err);
    arena_fini(&arena);
    return code;
}

void head_shelf_give(struct head_shelf *shelf, const struct served_head *head)
{
    if (head == NULL)
        return;
    pthread_mutex_lock(&shelf->mutex);
    uint32_t i = 0;
    while (i < HEAD_SHELF_MAX && shelf->places[i].head != head)
        i++;
    ASSERT(i < HEAD_SHELF_MAX && shelf->places[i].held > 0);
    shelf->places[i].held--;
    pthread_mutex_unlock(&shelf->mutex);
}

/* ---- making and freeing ---- */

int head_shelf_create(struct storage_client *storage, const char *models_dir,
                      struct head_shelf **ret_shelf, struct error *err)
{
    struct head_shelf *shelf = calloc(1, sizeof *shelf);
    if (shelf == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    shelf->storage = storage;
    shelf->models_dir = models_dir;
    pthread_mutex_init(&shelf->mutex, NULL);
    *ret_shelf = shelf;
    return 0;
}

void head_shelf_destroy(struct head_shelf *shelf)
{
    if (shelf == NULL)
        return;
    for (uint32_t i = 0; i < HEAD_SHELF_MAX; i++) {
        ASSERT(shelf->places[i].held == 0);
        served_head_destroy(shelf->places[i].head);
    }
    pthread_mutex_destroy(&shelf->mutex);
    free(shelf);
}
