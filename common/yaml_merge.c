/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_merge: see yaml_schema.h. Nodes are moved, not copied; each keeps its file and line. */
#include <string.h>

#include "common/yaml_schema.h"

/* Takes out of over what base's child meets there: by key in a map, by name in a list. NULL when
 * there is none. */
static struct yaml_node *take_twin(struct yaml_node *over, const struct yaml_node *child)
{
    const struct yaml_node *name = over->kind == YAML_LIST ? yaml_name(child) : NULL;
    const struct yaml_node *twin = NULL;
    if (over->kind == YAML_MAP)
        twin = yaml_get(over, child->key);
    else if (name != NULL)
        twin = yaml_find(over, name->text);
    for (struct yaml_node **at = &over->first; *at != NULL; at = &(*at)->next) {
        struct yaml_node *node = *at;
        if (node == twin) {
            *at = node->next;
            return node;
        }
    }
    return NULL;
}

/* The schema by which twin, found in a map or list of schema, is laid on child; NULL: it replaces
 * child. */
static const struct yaml_schema *schema_below(const struct yaml_schema *schema,
                                              const struct yaml_node *child,
                                              const struct yaml_node *twin)
{
    if (child->kind != twin->kind || twin->kind == YAML_TEXT)
        return NULL;
    if (child->key == NULL) /* elements; with names, so that they are maps */
        return schema;
    const struct yaml_field *field = yaml_field_find(schema, child->key);
    enum yaml_type type = twin->kind == YAML_MAP ? YAML_TYPE_MAP : YAML_TYPE_LIST;
    return field != NULL && field->type == type ? field->schema : NULL;
}

/* Gives the map or list over the children of base: in base's order, then its own. schema is a map's
 * or that of a list's elements. */
static void lay(const struct yaml_schema *schema, struct yaml_node *base, struct yaml_node *over)
{
    struct yaml_node *first = NULL;
    struct yaml_node **end = &first;
    struct yaml_node *next;
    for (struct yaml_node *child = base->first; child != NULL; child = next) {
        next = child->next;
        struct yaml_node *twin = take_twin(over, child);
        struct yaml_node *node = twin != NULL ? twin : child;
        const struct yaml_schema *below = twin != NULL ? schema_below(schema, child, twin) : NULL;
        if (below != NULL)
            lay(below, child, twin);
        node->parent = over;
        *end = node;
        end = &node->next;
    }
    *end = over->first;
    over->first = first;
}

struct yaml_node *yaml_merge(const struct yaml_schema *schema, struct yaml_node *base,
                             struct yaml_node *over)
{
    lay(schema, base, over);
    return over;
}
