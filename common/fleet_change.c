/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_change: see fleet_change.h. Two values are equal when they print the same. */
#include "common/fleet_change.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/fleet_config.h"
#include "common/fleet_schema.h"

struct comparison {
    struct fleet_change *change;
    struct fleet_group_change *group; /* whose keys are being compared; NULL: those of the node */
    struct buffer path;               /* of the key being compared */
    struct buffer refused;            /* the first line of what is refused; empty: nothing is */
    struct buffer before, after;      /* two printed values */
    bool failed;                      /* memory is exhausted: something may have been missed */
};

static void compare_map(struct comparison *comparison, const struct yaml_schema *schema,
                        const void *before, const void *after);

/* What a change takes */

static void raise_effect(enum fleet_effect *effect, enum fleet_effect to)
{
    if (*effect < to)
        *effect = to;
}

static void raise_group(struct fleet_group_change *group, unsigned takes)
{
    if (group->before == NULL || group->after == NULL)
        return;
    if (takes & FLEET_TAKES_GROUP_LIVE)
        raise_effect(&group->effect, FLEET_EFFECT_LIVE);
    if (takes & FLEET_TAKES_GROUP_RESTART)
        raise_effect(&group->effect, FLEET_EFFECT_RESTART);
    if ((takes & FLEET_TAKES_GPU_RESTART) && group->after->kind == FLEET_GROUP_GPU)
        raise_effect(&group->effect, FLEET_EFFECT_RESTART);
}

static void raise_effects(struct comparison *comparison, unsigned takes)
{
    struct fleet_change *change = comparison->change;
    if (takes & FLEET_TAKES_ENGINE_LIVE)
        raise_effect(&change->engine, FLEET_EFFECT_LIVE);
    if (takes & FLEET_TAKES_ENGINE_RESTART)
        raise_effect(&change->engine, FLEET_EFFECT_RESTART);
    if (takes & FLEET_TAKES_STORAGE_RESTART)
        raise_effect(&change->storage, FLEET_EFFECT_RESTART);
    if (takes & FLEET_TAKES_LINK_RESTART)
        raise_effect(&change->link, FLEET_EFFECT_RESTART);
    if (comparison->group != NULL) {
        raise_group(comparison->group, takes);
        return;
    }
    for (size_t i = 0; i < change->group_count; i++)
        raise_group(&change->groups[i], takes);
}

/* Notes that the key at the path differs; what is the rest of its line. */
static void note(struct comparison *comparison, unsigned takes, const char *what)
{
    struct fleet_change *change = comparison->change;
    size_t start = change->text.size;
    buffer_printf(&change->text, "%s%s\n", buffer_text(&comparison->path), what);
    change->key_count++;
    if ((takes & FLEET_TAKES_STOP) && comparison->refused.size == 0 && !change->text.failed)
        buffer_append(&comparison->refused, change->text.data + start,
                      change->text.size - start - 1);
    raise_effects(comparison, takes);
}

/* Walking the table */

/* Adds "[name]" or ".key" to the path and returns the size to cut it back to. */
static size_t enter_key(struct comparison *comparison, const char *key)
{
    size_t size = comparison->path.size;
    buffer_printf(&comparison->path, "%s%s", size > 0 ? "." : "", key);
    return size;
}

static size_t enter_element(struct comparison *comparison, const char *name)
{
    size_t size = comparison->path.size;
    buffer_printf(&comparison->path, "[%s]", name);
    return size;
}

static void leave(struct comparison *comparison, size_t size)
{
    comparison->path.size = size;
}

static void print_value(const struct yaml_field *field, const void *object, struct buffer *out)
{
    buffer_clear(out);
    if (yaml_is_absent(field, object))
        buffer_append_text(out, "(none)");
    else
        yaml_print_value(field, object, out);
}

static void compare_value(struct comparison *comparison, const struct yaml_field *field,
                          const void *before, const void *after)
{
    print_value(field, before, &comparison->before);
    print_value(field, after, &comparison->after);
    const char *from = buffer_text(&comparison->before);
    const char *to = buffer_text(&comparison->after);
    comparison->failed |= comparison->before.failed || comparison->after.failed;
    if (strcmp(from, to) == 0)
        return;
    bool is_long = field->type == YAML_TYPE_TREE;
    struct buffer what = {0};
    if (field->is_secret || is_long)
        buffer_append_text(&what, ": changed");
    else
        buffer_printf(&what, ": %s -> %s", from, to);
    note(comparison, field->change, buffer_text(&what));
    comparison->failed |= what.failed;
    buffer_fini(&what);
}

struct elements {
    const struct yaml_schema *schema;
    const char *first;
    size_t count;
};

static struct elements elements_of(const struct yaml_field *field, const void *object)
{
    const char *at = object;
    if (yaml_is_absent(field, object))
        return (struct elements){.schema = field->schema};
    return (struct elements){
        .schema = field->schema,
        .first = *(const char *const *)(const void *)(at + field->offset),
        .count = *(const size_t *)(const void *)(at + field->count_offset),
    };
}

static const void *element_at(const struct elements *elements, size_t index)
{
    return elements->first + index * elements->schema->size;
}

/* The name is the first row of every list's table. */
static const char *element_name(const struct elements *elements, const void *element)
{
    const char *at = element;
    return *(const char *const *)(const void *)(at + elements->schema->fields[0].offset);
}

static const void *element_find(const struct elements *elements, const char *name)
{
    for (size_t i = 0; i < elements->count; i++) {
        const void *element = element_at(elements, i);
        if (strcmp(element_name(elements, element), name) == 0)
            return element;
    }
    return NULL;
}

static void note_element(struct comparison *comparison, unsigned takes, const char *name,
                         const char *what)
{
    size_t size = enter_element(comparison, name);
    note(comparison, takes, what);
    leave(comparison, size);
}

/* Whether two lists that have the same names have them in the same order. */
static bool is_same_order(const struct elements *before, const struct elements *after)
{
    for (size_t i = 0; i < before->count; i++) {
        if (strcmp(element_name(before, element_at(before, i)),
                   element_name(after, element_at(after, i))) != 0)
            return false;
    }
    return true;
}

static void compare_list(struct comparison *comparison, const struct yaml_field *field,
                         const void *before, const void *after)
{
    struct elements old = elements_of(field, before);
    struct elements new = elements_of(field, after);
    size_t kept = 0;
    for (size_t i = 0; i < old.count; i++) {
        const char *name = element_name(&old, element_at(&old, i));
        if (element_find(&new, name) == NULL)
            note_element(comparison, field->change, name, ": removed");
    }
    for (size_t i = 0; i < new.count; i++) {
        const void *element = element_at(&new, i);
        const char *name = element_name(&new, element);
        const void *twin = element_find(&old, name);
        if (twin == NULL) {
            note_element(comparison, field->change, name, ": added");
            continue;
        }
        kept++;
        size_t size = enter_element(comparison, name);
        compare_map(comparison, field->schema, twin, element);
        leave(comparison, size);
    }
    if (field->is_ordered && kept == old.count && kept == new.count && !is_same_order(&old, &new))
        note(comparison, field->change, ": in another order");
}

static void compare_groups(struct comparison *comparison, const struct yaml_field *field)
{
    struct fleet_change *change = comparison->change;
    for (size_t i = 0; i < change->group_count; i++) {
        struct fleet_group_change *group = &change->groups[i];
        comparison->group = group;
        size_t size = enter_element(comparison, group->name);
        if (group->before == NULL)
            note(comparison, field->change, ": added");
        else if (group->after == NULL)
            note(comparison, field->change, ": removed");
        else
            compare_map(comparison, field->schema, group->before, group->after);
        leave(comparison, size);
    }
    comparison->group = NULL;
}

static void compare_map(struct comparison *comparison, const struct yaml_schema *schema,
                        const void *before, const void *after)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct yaml_field *field = &schema->fields[i];
        const char *old = (const char *)before + field->offset;
        const char *new = (const char *)after + field->offset;
        size_t size = enter_key(comparison, field->key);
        if (schema == &fleet_schema && field->offset == offsetof(struct fleet_config, groups))
            compare_groups(comparison, field);
        else if (field->type == YAML_TYPE_MAP)
            compare_map(comparison, field->schema, old, new);
        else if (field->type == YAML_TYPE_LIST)
            compare_list(comparison, field, before, after);
        else
            compare_value(comparison, field, before, after);
        leave(comparison, size);
    }
}

/* What concerns several keys */

static bool is_same_text(const char *before, const char *after)
{
    if (before == NULL || after == NULL)
        return before == after;
    return strcmp(before, after) == 0;
}

/* Processes that find their peer at an address chosen from several keys. */
static void compare_addresses(struct comparison *comparison, const struct fleet_config *before,
                              const struct fleet_config *after)
{
    if (!is_same_text(before->engine.address, after->engine.address))
        raise_effects(comparison, FLEET_TAKES_STORAGE_RESTART | FLEET_TAKES_LINK_RESTART |
                                      FLEET_TAKES_GROUP_RESTART);
    if (!is_same_text(before->storage.address, after->storage.address))
        raise_effects(comparison, FLEET_TAKES_GROUP_RESTART);
}

static bool is_sqlite(const struct fleet_config *config)
{
    return strcmp(config->storage.vectors, "sqlite") == 0;
}

static int check_refused(struct comparison *comparison, const struct fleet_config *before,
                         const struct fleet_config *after, struct error *err)
{
    const char *stop = "stop the fleet first";
    bool was_here = before->engine.endpoint == NULL;
    bool is_here = after->engine.endpoint == NULL;
    if (was_here != is_here)
        return error_set(err, ERR_STATE,
                         "engine.endpoint: an engine cannot %s the node of a running fleet (%s)",
                         is_here ? "come to" : "leave", stop);
    if (comparison->refused.size > 0)
        return error_set(err, ERR_STATE, "%s: cannot change while the fleet runs (%s)",
                         buffer_text(&comparison->refused), stop);
    if (before->storage.enabled && is_sqlite(before) != is_sqlite(after))
        return error_set(err, ERR_STATE,
                         "storage.vectors: what is stored does not move to another kind of "
                         "database (%s)",
                         stop);
    if (is_here && after->engine.store == FLEET_STORE_MEMORY &&
        comparison->change->engine == FLEET_EFFECT_RESTART)
        return error_set(err, ERR_STATE,
                         "engine.store: the engine keeps everything in memory and would lose it in "
                         "the restart that this takes (%s)",
                         stop);
    return 0;
}

static int list_groups(struct fleet_change *change, const struct fleet_config *before,
                       const struct fleet_config *after, struct error *err)
{
    size_t most = before->group_count + after->group_count;
    change->groups = calloc(most > 0 ? most : 1, sizeof *change->groups);
    if (change->groups == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < after->group_count; i++) {
        const struct fleet_group *group = &after->groups[i];
        change->groups[change->group_count++] = (struct fleet_group_change){
            .name = group->name, .before = fleet_config_group(before, group->name), .after = group};
    }
    for (size_t i = 0; i < before->group_count; i++) {
        const struct fleet_group *group = &before->groups[i];
        if (fleet_config_group(after, group->name) == NULL)
            change->groups[change->group_count++] =
                (struct fleet_group_change){.name = group->name, .before = group};
    }
    return 0;
}

static int compare(struct comparison *comparison, const struct fleet_config *before,
                   const struct fleet_config *after, struct error *err)
{
    struct fleet_change *change = comparison->change;
    int code = list_groups(change, before, after, err);
    if (code != 0)
        return code;
    compare_map(comparison, &fleet_schema, before, after);
    compare_addresses(comparison, before, after);
    if (comparison->failed || comparison->path.failed || change->text.failed ||
        comparison->refused.failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    code = check_refused(comparison, before, after, err);
    if (after->engine.endpoint != NULL)
        change->engine = FLEET_EFFECT_SAME;
    if (!after->storage.enabled)
        change->storage = FLEET_EFFECT_SAME;
    return code;
}

int fleet_change_compare(const struct fleet_config *before, const struct fleet_config *after,
                         struct fleet_change *ret_change, struct error *err)
{
    struct fleet_change change = {0};
    struct comparison comparison = {.change = &change};
    int code = compare(&comparison, before, after, err);
    buffer_fini(&comparison.path);
    buffer_fini(&comparison.refused);
    buffer_fini(&comparison.before);
    buffer_fini(&comparison.after);
    if (code != 0)
        fleet_change_fini(&change);
    else
        *ret_change = change;
    return code;
}

void fleet_change_fini(struct fleet_change *change)
{
    buffer_fini(&change->text);
    free(change->groups);
    *change = (struct fleet_change){0};
}

const char *fleet_effect_name(enum fleet_effect effect)
{
    static const char *const names[] = {"same", "live", "restart"};
    return names[effect];
}
